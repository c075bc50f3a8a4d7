// The adapter: its file, its facts, the weights of layers in it, and the button that drops it.
import { formatCount, formatParameters, formatPercent } from '../figures/format.js';
import { softmax } from '../figures/statistics.js';
import { firstText } from '../sources/model.js';
import { byId, element, fill, showText } from '../ui/dom.js';
import { fact } from '../ui/facts.js';
import { watch } from '../ui/watch.js';

/** @import { App } from '../app/app.js' */
/** @import { State } from '../state/state' */
/** @import { AdapterCard } from '../types/wasm' */

const KINDS = { attention: 'attention pooling', mean_mlp: 'mean + MLP', layer_weights: 'layer weights alone' };

/** @param {App} app */
export function adapterView(app) {
  const area = byId('adapter', HTMLDetailsElement);
  const file = byId('adapter-file', HTMLInputElement);
  const facts = byId('adapter-facts', HTMLDListElement);
  const weights = byId('adapter-weights', HTMLElement);
  const remove = byId('adapter-remove', HTMLButtonElement);
  const before = byId('adapter-before', HTMLParagraphElement);
  const note = byId('adapter-note', HTMLParagraphElement);
  const error = byId('adapter-error', HTMLParagraphElement);

  file.addEventListener('change', async () => {
    if (file.files?.[0]) await app.layers.loadAdapter(file.files[0]);
    file.value = '';
  });
  remove.addEventListener('click', () => app.layers.dropAdapter());

  const isNew = watch();
  return (/** @type {State} */ { adapter, model, task, errors }) => {
    const { card, missing } = adapter;
    file.disabled = remove.disabled = task !== null;
    facts.hidden = remove.hidden = card === null;
    weights.hidden = !card?.layer_weights;
    if (isNew(card) && card) {
      fill(facts, ...factList(card));
      fill(weights, ...(card.layer_weights ? [bars(card.layer_weights)] : []));
      area.open = true;
    }
    showText(before, firstText(model));
    showText(
      note,
      missing && !card
        ? `You had the adapter \`${missing}\`. The page cannot keep a picked file: pick it again to use it.`
        : adapter.note,
    );
    showText(error, errors.adapter);
  };
}

/** @param {AdapterCard} card */
function factList({ name, kind, dimension, rope, parameters, layer_weights, sha256 }) {
  return [
    fact('File', name),
    fact('Kind', KINDS[kind]),
    ...(dimension === null ? [] : [fact('Dimension', formatCount(dimension))]),
    ...(rope === null ? [] : [fact('Rotary positions', rope ? 'yes' : 'no')]),
    ...(kind === 'layer_weights'
      ? []
      : [fact('Parameters', parameters < 1e6 ? formatCount(parameters) : formatParameters(parameters))]),
    fact('Layer weights', layer_weights ? `${layer_weights.length} layers` : 'none'),
    ...(sha256 ? [fact('SHA-256', `${sha256.slice(0, 12)}…`, sha256)] : []),
  ];
}

/** Draws the share of each layer as a bar. @param {number[]} weights weights before softmax */
function bars(weights) {
  const shares = [...softmax(weights)];
  const most = Math.max(...shares);
  const label = `Share of each layer after softmax; the largest, ${formatPercent(most)}, is layer ${shares.indexOf(most) + 1}'s.`;
  const columns = shares.map((share, at) => {
    const bar = element('span', { title: `layer ${at + 1}: w ${weights[at].toFixed(3)}, ${formatPercent(share)}` });
    bar.style.setProperty('--share', `${(100 * share) / most}%`);
    return bar;
  });
  const picture = element('div', { className: 'shares', role: 'img', ariaLabel: label }, ...columns);
  return element(
    'figure',
    {},
    picture,
    element('figcaption', { className: 'note' }, `Layers 1 to ${weights.length}. ${label}`),
  );
}
