// The models in this browser's storage: how much of each is stored, and what can be done with it. It works without a
// loaded model.
import { formatBytes, plural } from '../figures/format.js';
import { spelled } from '../sources/hub.js';
import { urlSource } from '../sources/model.js';
import { roomOf } from '../state/stored.js';
import { setsOf } from '../storage/sets.js';
import { byId, element, fill, showText } from '../ui/dom.js';
import { showProgress } from '../ui/progress.js';
import { saveBlob } from '../ui/save.js';
import { table, tbody } from '../ui/table.js';
import { watch } from '../ui/watch.js';

/** @import { App } from '../app/app.js' */
/** @import { State, Stored } from '../state/state' */
/** @import { StoredSet } from '../storage/sets.js' */

const LONG = 600_000; // ms that saving a large file may take

/** @param {App} app */
export function storedView(app) {
  const panel = byId('stored', HTMLDetailsElement);
  const count = byId('stored-count', HTMLSpanElement);
  const error = byId('stored-error', HTMLParagraphElement);
  const area = byId('stored-table', HTMLElement);
  const progressArea = byId('stored-progress', HTMLElement);
  const bar = byId('stored-bar', HTMLProgressElement);
  const stage = byId('stored-stage', HTMLSpanElement);
  const total = byId('stored-total', HTMLParagraphElement);

  byId('stored-cancel', HTMLButtonElement).addEventListener('click', () => app.stop());
  panel.addEventListener('toggle', () => panel.open && app.library.refresh());

  const isNew = watch();
  return (/** @type {State} */ { stored, task, errors }) => {
    const { models, checking } = stored;
    showText(
      count,
      models.length
        ? `(${setsOf(models).length}, ${formatBytes(models.reduce((sum, model) => sum + model.stored, 0))})`
        : '',
    );
    showText(error, errors.stored);
    area.hidden = models.length === 0;
    if (isNew(models, roomOf(stored), task !== null, Object.values(stored.verdicts).join())) {
      const focused = /** @type {HTMLElement | null} */ (document.activeElement?.closest('#stored-table button'))
        ?.dataset.action;
      fill(area, tableOf(app, stored, task !== null));
      if (focused) area.querySelector(/** @type {'button'} */ (`[data-action="${focused}"]`))?.focus();
    }
    progressArea.hidden = task !== 'stored' || checking === null;
    if (checking) {
      const { done, total: bytes } = checking.progress;
      showProgress(bar, checking.progress);
      showText(stage, `Verifying: ${formatBytes(done)} of ${formatBytes(bytes)}`);
    }
    showText(total, totalText(stored));
  };
}

/** @param {App} app @param {Stored} stored @param {boolean} busy */
function tableOf(app, stored, busy) {
  const { models, verdicts } = stored;
  const rows = setsOf(models).map((model) => {
    const verdict = verdicts[model.id] ? [element('small', { role: 'status' }, verdicts[model.id])] : [];
    return element(
      'tr',
      {},
      element('th', { scope: 'row', title: model.url || model.files[0].url }, model.name, ...verdict),
      element('td', {}, sizeText(model), ...shortage(stored, model.complete ? 0 : model.size - model.stored)),
      element('td', { className: 'aside' }, model.used ? new Date(model.used).toLocaleDateString() : ''),
      element('td', { className: 'saves' }, ...buttons(app, model, busy)),
    );
  });
  return table('reports', ['Model', 'Size', { text: 'Last used', className: 'aside' }, ''], [tbody(rows)]);
}

/** @param {App} app @param {StoredSet} model @param {boolean} busy */
function buttons(app, model, busy) {
  const button = (/** @type {string} */ label, /** @type {() => void} */ click) => {
    const node = element(
      'button',
      { type: 'button', className: 'quiet', disabled: busy, ariaLabel: `${label} ${model.name}` },
      label,
    );
    node.dataset.action = `${label} ${model.id}`;
    node.addEventListener('click', click);
    return node;
  };
  return [
    ...(model.url ? [button(model.complete ? 'Load' : 'Go on', () => load(app, model))] : []),
    ...(model.stored && model.files[0].url ? [button('Verify', () => app.library.verify(model))] : []),
    ...(model.complete
      ? [button('Export', () => app.library.exportFiles(model, (file, name) => saveBlob(file, name, LONG)))]
      : []),
    button('Delete', () => app.library.remove(model)),
  ];
}

/** @param {App} app @param {StoredSet} model */
function load(app, { url, size, sha256, missing }) {
  const isDefault = app.model.defaultSource.files.some((file) => 'url' in file && file.url === url);
  return app.model.load(
    isDefault ? app.model.defaultSource : { ...urlSource(spelled(url), sha256), bytes: missing ? null : size },
  );
}

/** The text next to a download that does not fit. @param {Stored} stored @param {number} bytes */
export function shortageText(stored, bytes) {
  const room = roomOf(stored);
  return room === null || bytes <= room ? '' : `room here: ${formatBytes(room)}`;
}

/** @param {Stored} stored @param {number} bytes */
export function shortage(stored, bytes) {
  const text = shortageText(stored, bytes);
  return text ? [element('small', {}, text)] : [];
}

/** @param {StoredSet} model */
function sizeText({ size, stored, complete, missing }) {
  if (missing) return `${formatBytes(stored)}, ${plural(missing, 'part')} missing`;
  return complete || !size ? formatBytes(stored) : `${Math.floor((100 * stored) / size)} % of ${formatBytes(size)}`;
}

/** @param {Stored} stored */
function totalText({ models, usage, quota, persisted, refused }) {
  if (refused)
    return `This browser keeps no files for this page (${refused}): models are streamed, and downloaded again at each visit.`;
  const room =
    quota !== null && usage !== null
      ? ` This page takes ${formatBytes(usage)} of the ${formatBytes(quota)} that the browser grants it.`
      : '';
  const lasting = models.length && !persisted ? ' The browser may remove them when the disk gets short.' : '';
  const kept = models.length
    ? 'Downloaded models are kept here, on this machine.'
    : 'Nothing is stored. A model from the web is kept here once it is downloaded.';
  return `${kept}${room}${lasting}`;
}
