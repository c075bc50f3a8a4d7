// A slider for the weight of each layer. The matrix and the score of the last study follow the sliders at once.
import { formatInterval, formatPercent, plural } from '../figures/format.js';
import { softmax, wilson } from '../figures/statistics.js';
import { canMix, mixes } from '../state/layers.js';
import { weightsOf } from '../state/settings.js';
import { byId, element, fill, showText } from '../ui/dom.js';
import { watch } from '../ui/watch.js';

/** @import { App } from '../app/app.js' */
/** @import { State } from '../state/state' */

/** @param {App} app */
export function weightsView(app) {
  const area = byId('weights', HTMLDetailsElement);
  const note = byId('weights-note', HTMLParagraphElement);
  const read = byId('weights-read', HTMLButtonElement);
  const score = byId('weights-study', HTMLParagraphElement);
  const equal = byId('weights-equal', HTMLButtonElement);
  const adapter = byId('weights-adapter', HTMLButtonElement);
  const copy = byId('weights-copy', HTMLButtonElement);
  const status = byId('weights-status', HTMLSpanElement);
  const list = byId('weights-list', HTMLOListElement);

  /** The weights that the sliders start from. @param {State} state */
  const current = (state) => weightsOf(state) ?? Array(layersOf(state)).fill(0);

  area.addEventListener('toggle', () => app.layers.openWeights(area.open));
  read.addEventListener('click', () => app.layers.readLayers());
  equal.addEventListener('click', () => app.layers.setWeights(Array(list.children.length).fill(0)));
  adapter.addEventListener('click', () => app.layers.setWeights(null));
  copy.addEventListener('click', async () => {
    const json = JSON.stringify(current(app.state));
    const said = await navigator.clipboard.writeText(json).then(
      () => 'Copied.',
      () => json,
    );
    showText(status, said);
  });
  list.addEventListener('input', ({ target }) => {
    if (!(target instanceof HTMLInputElement)) return;
    const at = [...list.querySelectorAll('input')].indexOf(target);
    app.layers.setWeights(current(app.state).with(at, Number(target.value)));
    showText(status, '');
  });

  const isNew = watch();
  return (/** @type {State} */ state) => {
    const layers = layersOf(state);
    const { settings, task, study } = state;
    area.hidden = layers === 0;
    if (area.hidden || !area.open) return;
    showText(note, noteText(state));
    read.hidden = !canMix(state) || mixes(state);
    equal.disabled = adapter.disabled = read.disabled = task !== null;
    adapter.hidden = !state.adapter.card?.layer_weights;
    showText(score, study ? studyText(study, settings.feature === 'weighted') : '');

    const weights = current(state);
    if (!isNew(settings.layer_weights, state.adapter.card, settings.feature, layers, task === null)) return;
    if (list.children.length !== layers) fill(list, ...weights.map((_, at) => row(at + 1)));
    list.classList.toggle('unused', settings.feature !== 'weighted');
    const shares = softmax(weights);
    const most = Math.max(...shares);
    weights.forEach((weight, at) => showRow(list.children[at], weight, shares[at], most, task !== null));
  };
}

/** @param {State} state */
function layersOf({ model, settings, adapter }) {
  return model.card?.num_hidden_layers ?? weightsOf({ settings, adapter })?.length ?? 0;
}

/** @param {State} state */
function noteText(state) {
  const { settings, comparison } = state;
  const what = 'w of each layer, before softmax; the bar is its share of the mix. Equal weights are norm_avg.';
  if (settings.pooling === 'adapter') return `${what} With an adapter the matrix follows when you compare again.`;
  if (!comparison) return `${what} Compare prompts, and the matrix follows the sliders.`;
  if (!mixes(state)) return `${what} For the matrix to follow the sliders, the layers of its prompts are read once.`;
  return `${what} The matrix follows the sliders${settings.reference_precision ? ', without the rounding to bfloat16' : ''}.`;
}

/** @param {NonNullable<State['study']>} study @param {boolean} weighted */
function studyText({ result, mixed }, weighted) {
  const average = result.features.find(({ feature }) => feature === 'norm_avg')?.accuracy;
  const best = average
    ? `; norm_avg has ${average.correct}, ${formatPercent(average.accuracy)} ${formatInterval(average.interval)}`
    : '';
  if (!weighted || !mixed)
    return result.products ? '' : 'The last layer study was too large for its score to follow the sliders.';
  const accuracy = mixed.correct / mixed.total;
  const score = `${formatPercent(accuracy)} ${formatInterval(wilson(accuracy, mixed.total))}`;
  const ties = mixed.ties ? `, ${plural(mixed.ties, 'tie')}` : '';
  const right = `${mixed.correct} of ${mixed.total} right with these weights`;
  return `Last layer study, ${result.pooling} pooling: ${right} (${score}${ties})${best}.`;
}

/** @param {number} layer the number of the layer, from 1 on */
function row(layer) {
  const slider = element('input', {
    type: 'range',
    min: '-4',
    max: '4',
    step: '0.1',
    ariaLabel: `Weight of layer ${layer}`,
  });
  return element(
    'li',
    {},
    element('span', { className: 'number' }, String(layer)),
    slider,
    element('output', { className: 'number' }),
    element('span', { className: 'share', ariaHidden: 'true' }),
  );
}

/** @param {Element} item @param {number} weight @param {number} share @param {number} most @param {boolean} disabled */
function showRow(item, weight, share, most, disabled) {
  const [, slider, output, bar] = /** @type {[HTMLElement, HTMLInputElement, HTMLOutputElement, HTMLElement]} */ (
    /** @type {unknown} */ ([...item.children])
  );
  if (document.activeElement !== slider || Number(slider.value) !== weight) slider.value = String(weight);
  slider.disabled = disabled;
  showText(output, weight.toFixed(2));
  bar.style.setProperty('--share', `${(100 * share) / most}%`);
  bar.title = formatPercent(share); // eslint-disable-line no-restricted-syntax -- a number
}
