// The catalogue of public encoders: the sizes of each, a button that loads it, and one that copies a link to it.
import { formatBytes } from '../figures/format.js';
import { emptyState, encodeState } from '../link/codec.js';
import { encoderSource } from '../sources/catalogue.js';
import { spelled } from '../sources/hub.js';
import { roomOf } from '../state/stored.js';
import { byId, element, fill, showText } from '../ui/dom.js';
import { table, tbody } from '../ui/table.js';
import { watch } from '../ui/watch.js';
import { shortage } from './stored.js';

/** @import { App } from '../app/app.js' */
/** @import { Catalogue, Encoder } from '../sources/catalogue.js' */
/** @import { ModelSource } from '../sources/model.js' */
/** @import { State, Stored } from '../state/state' */
/** @import { StoredModel } from '../types/storage' */

/** @param {App} app */
export function catalogueView(app) {
  const panel = byId('catalogue', HTMLDetailsElement);
  const error = byId('catalogue-error', HTMLParagraphElement);
  const area = byId('catalogue-table', HTMLElement);
  const status = byId('catalogue-status', HTMLSpanElement);
  const source = byId('catalogue-source', HTMLParagraphElement);
  panel.addEventListener('toggle', () => panel.open && app.library.openCatalogue());

  /** @param {Encoder} encoder */
  const copy = async (encoder) => {
    const link = linkTo(app, encoder);
    await navigator.clipboard.writeText(link).then(
      () => showText(status, `The link to ${encoder.name} is copied.`),
      () => showText(status, link),
    );
  };

  const isNew = watch();
  return (/** @type {State} */ { catalogue, stored, task, errors }) => {
    showText(error, errors.catalogue);
    const room = roomOf(stored);
    showText(source, catalogue ? `${catalogue.source}${room === null ? '' : ` ${roomText(room)}`}` : '');
    if (isNew(catalogue, stored.models, room) && catalogue) fill(area, tableOf(app, catalogue, stored, copy));
    for (const button of area.querySelectorAll('button'))
      button.disabled = task !== null && button.dataset.action === 'load';
  };
}

/** @param {App} app @param {Encoder} encoder */
function linkTo(app, encoder) {
  const page = location.href.split(/[?#]/)[0];
  const { kind, name, sha256 } = encoderSource(encoder, app.base);
  return kind === 'url' ? `${page}#${encodeState({ ...emptyState(), model: name, sha256: sha256 ?? null })}` : page;
}

/** @param {ModelSource} source @param {StoredModel[]} models */
function isStored({ files }, models) {
  return files.every(
    (file) => 'url' in file && models.some(({ url, complete }) => complete && spelled(url) === file.url),
  );
}

/** @param {App} app @param {Catalogue} catalogue @param {Stored} stored @param {(encoder: Encoder) => void} copy */
function tableOf(app, { encoders }, stored, copy) {
  const rows = encoders.map((encoder) => {
    const { name, quantization, repository, revision, note, ran, bytes, device_bytes } = encoder;
    const button = (/** @type {string} */ label, /** @type {() => void} */ click, /** @type {string} */ action) => {
      const node = element(
        'button',
        { type: 'button', className: 'quiet', ariaLabel: `${label}: ${name} ${quantization}` },
        label,
      );
      node.dataset.action = action;
      node.addEventListener('click', click);
      return node;
    };
    const source = encoderSource(encoder, app.base);
    const place = repository ? `${repository}${revision ? `@${revision.slice(0, 7)}` : ''}` : 'beside this page';
    return element(
      'tr',
      {},
      element(
        'th',
        { scope: 'row', title: place },
        `${name} ${quantization}`,
        element('small', {}, `${note}. ${ran ? `Ran ${ran}.` : 'Not run here yet.'}`),
      ),
      element(
        'td',
        {},
        formatBytes(bytes),
        ...(isStored(source, stored.models) ? [element('small', {}, 'stored')] : shortage(stored, bytes)),
      ),
      element('td', { className: 'aside' }, formatBytes(device_bytes)),
      element(
        'td',
        { className: 'saves' },
        button('Load', () => app.model.load(source), 'load'),
        button('Copy link', () => copy(encoder), 'copy'),
      ),
    );
  });
  return table('reports', ['Encoder', 'Download', { text: 'Device memory', className: 'aside' }, ''], [tbody(rows)]);
}

/** @param {number} room bytes */
function roomText(room) {
  const kept = `Downloads are kept in this browser, which has room for ${formatBytes(room)}`;
  return `${kept}: what does not fit is streamed and not stored.`;
}
