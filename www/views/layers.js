// The layer study: accuracy by layer with intervals, the mixes as lines across, the weights of the mix below, and all
// of it as a table.
import { formatCount, formatDuration, formatInterval, formatPercent, formatSpeed, plural } from '../figures/format.js';
import { softmax, wilson } from '../figures/statistics.js';
import { firstText } from '../sources/model.js';
import { pausedStudy, trainingFree } from '../state/layers.js';
import { weightsOf } from '../state/settings.js';
import { add, byId, element, fill, showText } from '../ui/dom.js';
import { chart } from '../ui/plot.js';
import { loadStage, showProgress, timeLeft } from '../ui/progress.js';
import { reportName, saveJson } from '../ui/save.js';
import { scrolling, table, tbody } from '../ui/table.js';
import { watch } from '../ui/watch.js';
import { leftOut, leftOutCount } from './left-out.js';

/** @import { App } from '../app/app.js' */
/** @import { State, Study } from '../state/state' */
/** @import { LayerStudy } from '../types/wasm' */

const HEIGHT = 280;
const NARROW = 480; // px of width below which labels have no figures
const SETTLED = 150; // ms after the last move of a slider until the charts are drawn again

/** @param {App} app */
export function layersView(app) {
  const area = byId('layers', HTMLElement);
  const run = byId('layers-run', HTMLButtonElement);
  const note = byId('layers-note', HTMLSpanElement);
  const error = byId('layers-error', HTMLParagraphElement);
  const progressArea = byId('layers-progress', HTMLElement);
  const bar = byId('layers-bar', HTMLProgressElement);
  const stage = byId('layers-stage', HTMLSpanElement);
  const stop = byId('layers-stop', HTMLButtonElement);
  const result = byId('layers-result', HTMLElement);
  const download = byId('layers-download', HTMLButtonElement);
  const [headline, missing] = [element('p'), element('div')];
  const rows = tbody([]);
  const columns = ['Layers', 'Right', 'Accuracy', '95 % interval', 'Ties', 'Share'];
  const details = element(
    'details',
    {},
    element('summary', {}, 'As a table'),
    scrolling(table('study', columns, [rows])),
  );
  const label = 'Accuracy by layer with 95 % intervals, the mixes as lines across';
  const accuracies = chart(label, (Plot, width) => accuracyPlot(Plot, width, app.state));
  const shares = chart('Share of each layer in the weighted mix', (Plot, width) => sharePlot(Plot, width, app.state));
  const sharesTitle = element('p', { className: 'note' });
  add(result, headline, missing, accuracies.node, sharesTitle, shares.node, details);

  run.addEventListener('click', () => app.layers.study());
  stop.addEventListener('click', () => app.stop());
  download.addEventListener('click', () => app.state.study && save(app.state.study));

  const [isNew, isOtherStudy] = [watch(), watch()];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let drawing;
  return (/** @type {State} */ state) => {
    const { study, task, studyRun, settings } = state;
    area.hidden = state.datasetSource === null && study === null;
    showText(run, task !== 'layers' && pausedStudy(state) ? 'Go on with the study' : 'Study all layers');
    run.hidden = state.datasetSource === null;
    run.disabled = task !== null || state.count?.items === 0;
    run.ariaBusy = String(task === 'layers');
    showText(note, noteText(state));
    showText(error, state.errors.layers);
    progressArea.hidden = task !== 'layers';
    showProgress(bar, studyRun?.progress);
    showText(stage, studyRun ? stageText(studyRun) : loadStage(state.model) || 'Preparing…');

    result.hidden = download.hidden = study === null;
    if (!study || !isNew(study, weightsOf(state), settings.feature)) return;
    const fresh = isOtherStudy(study.result);
    fill(headline, ...headlineParts(study));
    if (fresh) fill(missing, ...leftOut(study.result.left_out));
    const mix = mixOf(state);
    showText(
      sharesTitle,
      mix ? `Share of each layer in the mix, after softmax${mix.live ? ' (the weights chosen now)' : ''}` : '',
    );
    shares.node.hidden = mix === null;
    fill(rows, ...tableRows(state, study));
    clearTimeout(drawing);
    drawing = setTimeout(() => [accuracies, shares].forEach(({ draw }) => draw()), fresh ? 0 : SETTLED);
  };
}

/** @param {State} state */
function noteText(state) {
  const { settings, count, task, model } = state;
  const paused = task === 'layers' ? null : pausedStudy(state);
  const pooling = trainingFree(settings.pooling) === 'mean' ? 'mean pooling' : 'last-token pooling';
  const why = settings.pooling === 'adapter' ? ' (an adapter was trained for one mix alone)' : '';
  const done = paused
    ? `Paused: ${formatCount(paused.texts)} of ${plural(paused.total_texts, 'text')} are done, until the page is left. `
    : '';
  return `${done}${count ? `${plural(count.items, 'item')}, ` : ''}${pooling}${why}. ${firstText(model)}`.trim();
}

/** @param {NonNullable<State['studyRun']>} run */
function stageText({ progress, before, elapsed }) {
  const { done, total, texts, total_texts } = progress;
  const left = timeLeft({ done: done - before, total: total - before }, elapsed);
  return [
    `${formatCount(done)} of ${plural(total, 'token')}`,
    `${formatCount(texts)} of ${plural(total_texts, 'text')}`,
    left === null ? '' : `${formatSpeed(done - before, elapsed)}, ${formatDuration(left)} left`,
  ]
    .filter(Boolean)
    .join(' · ');
}

/** @param {Study} study */
function headlineParts({ result, model, file }) {
  const { features, tokens, texts, milliseconds, items, pooling, subset, complete, left_out } = result;
  const best = features
    .filter(({ feature }) => /^layer/.test(feature))
    .reduce((a, b) => (b.accuracy.correct > a.accuracy.correct ? b : a));
  return [
    element(
      'strong',
      {},
      `Best layer: ${nameOf(best.feature)}, ${best.accuracy.correct} of ${best.accuracy.total} right`,
    ),
    ` by ${model}, ${pooling} pooling, on ` +
      [`${plural(items.length, 'item')} of ${file}`, leftOutCount(left_out), complete ? '' : 'stopped before the end']
        .filter(Boolean)
        .join(', ') +
      '. ',
    element(
      'small',
      {},
      `${plural(tokens, 'token')} of ${plural(texts, 'text')} encoded once, ${formatDuration(milliseconds)}. Subset ${subset.id}: ${subset.definition}. ` +
        'Being the best of many is partly luck, the more so on few items: mind the intervals.',
    ),
  ];
}

/** @param {string} feature */
function nameOf(feature) {
  return feature.replace(/^layer\((\d+)\)$/, 'layer $1');
}

/** The number of a layer; null for a mix, or for another name of a layer. @param {string} feature */
function layerOf(feature) {
  const number = /^layer\((\d+)\)$/.exec(feature)?.[1];
  return number === undefined ? null : Number(number);
}

/**
 * The weights below the chart: the chosen ones, otherwise the study's own.
 * @param {State} state
 * @returns {{ weights: number[], live: boolean } | null}
 */
function mixOf(state) {
  const { study } = state;
  const now = weightsOf(state);
  if (!study) return null;
  if (now && study.mixed && state.settings.feature === 'weighted') return { weights: now, live: true };
  return study.result.layer_weights ? { weights: study.result.layer_weights, live: false } : null;
}

/**
 * The study's features, with `weighted` as the sliders have it now.
 * @param {State} state
 * @returns {LayerStudy['features']}
 */
function featuresOf({ study, settings }) {
  const features = study?.result.features ?? [];
  if (!study?.mixed || settings.feature !== 'weighted') return features;
  const { correct, total, ties } = study.mixed;
  const chance = features[0]?.accuracy.chance ?? 0;
  const weighted = {
    feature: /** @type {const} */ ('weighted'),
    ties,
    accuracy: { correct, total, accuracy: correct / total, interval: wilson(correct / total, total), chance },
  };
  return [...features.filter(({ feature }) => feature !== 'weighted'), weighted];
}

/** @param {State} state @param {Study} study */
function tableRows(state, study) {
  const mix = mixOf(state);
  const shares = mix && softmax(mix.weights);
  return featuresOf(state).map(({ feature, accuracy, ties }) => {
    const layer = layerOf(feature);
    const share = shares && layer ? shares[layer - 1] : undefined;
    const cells = [
      `${accuracy.correct} / ${accuracy.total}`,
      formatPercent(accuracy.accuracy),
      formatInterval(accuracy.interval),
      String(ties),
      share === undefined ? '' : formatPercent(share),
    ];
    return element(
      'tr',
      {},
      element(
        'th',
        { scope: 'row' },
        layer === 0
          ? 'layer 0 (token embeddings)'
          : layer === study.result.num_hidden_layers
            ? `layer ${layer} (last)`
            : nameOf(feature),
      ),
      ...cells.map((text) => element('td', { className: 'number' }, text)),
    );
  });
}

/** The margins and the x axis, which both charts share. @param {Study} study @param {number} width */
function layerAxis({ result }, width) {
  const margins = { marginLeft: 48, marginRight: width < NARROW ? 94 : 126 };
  const layers = result.num_hidden_layers;
  const step =
    [1, 2, 5, 10, 20].find(
      (each) => (each * (width - margins.marginLeft - margins.marginRight)) / (layers + 1) >= 22,
    ) ?? 50;
  const ticks = Array.from({ length: Math.floor(layers / step) + 1 }, (_, at) => at * step);
  return { ...margins, x: { domain: [-0.6, layers + 0.6], ticks, tickFormat: String, label: 'Layer' } };
}

/**
 * @param {import('../ui/plot.js').Plot} Plot
 * @param {number} width
 * @param {State} state
 * @returns {import('../ui/plot.js').PlotOptions}
 */
function accuracyPlot(Plot, width, state) {
  const study = /** @type {Study} */ (state.study);
  const features = featuresOf(state).map(({ feature, accuracy }) => ({
    feature,
    layer: layerOf(feature),
    value: 100 * accuracy.accuracy,
    low: 100 * accuracy.interval[0],
    high: 100 * accuracy.interval[1],
  }));
  const layers = features.filter(({ layer }) => layer !== null);
  const chance = 100 * (study.result.features[0]?.accuracy.chance ?? 0);
  const top = Math.max(chance, ...features.map(({ high }) => high));
  const bottom = Math.min(chance, ...features.map(({ low }) => low));
  const domain = [Math.max(0, bottom - 2), Math.min(100, top + 2)];
  const lines = spread(
    [
      ...features.filter(({ layer }) => layer === null).map(({ feature, value }) => ({ name: feature, value })),
      { name: 'chance', value: chance },
    ],
    (14 * (domain[1] - domain[0])) / (HEIGHT - 60),
  );
  const end = study.result.num_hidden_layers + 0.6;
  const color = {
    domain: ['last', 'penultimate', 'norm_avg', 'weighted', 'chance'],
    range: ['var(--line-1)', 'var(--line-2)', 'var(--line-3)', 'var(--own)', 'var(--pico-muted-color)'],
  };
  return {
    ...layerAxis(study, width),
    height: HEIGHT,
    marginTop: 28,
    color,
    y: { domain, label: 'Accuracy, %', grid: true },
    marks: [
      Plot.ruleY(
        lines.filter(({ name }) => name !== 'chance'),
        { y: 'value', stroke: 'name', strokeWidth: 1.5 },
      ),
      Plot.ruleY(
        lines.filter(({ name }) => name === 'chance'),
        { y: 'value', stroke: 'name', strokeDasharray: '4 3' },
      ),
      Plot.line(layers, { x: 'layer', y: 'value', stroke: 'var(--published)', strokeOpacity: 0.35 }),
      Plot.ruleX(layers, { x: 'layer', y1: 'low', y2: 'high', stroke: 'var(--published)', strokeOpacity: 0.55 }),
      Plot.dot(layers, { x: 'layer', y: 'value', r: 3, fill: 'var(--published)' }),
      Plot.text(lines, {
        x: () => end,
        y: 'at',
        text: ({ name, value }) => (width < NARROW ? name : `${name} ${value.toFixed(1)}`),
        fill: 'name',
        textAnchor: 'start',
        dx: 6,
        fontWeight: 600,
      }),
    ],
  };
}

/**
 * @param {import('../ui/plot.js').Plot} Plot
 * @param {number} width
 * @param {State} state
 * @returns {import('../ui/plot.js').PlotOptions}
 */
function sharePlot(Plot, width, state) {
  const study = /** @type {Study} */ (state.study);
  const bars = [...softmax(mixOf(state)?.weights ?? [])].map((share, at) => ({ layer: at + 1, share: 100 * share }));
  return {
    ...layerAxis(study, width),
    height: 110,
    marginTop: 8,
    y: { label: null, ticks: 3, grid: true, tickFormat: (/** @type {number} */ value) => `${value} %` },
    marks: [
      Plot.rectY(bars, {
        x1: ({ layer }) => layer - 0.38,
        x2: ({ layer }) => layer + 0.38,
        y: 'share',
        fill: 'var(--own)',
      }),
      Plot.ruleY([0]),
    ],
  };
}

/**
 * Places labels at their lines, pushed apart to `gap`.
 * @param {{ name: string, value: number }[]} lines
 * @param {number} gap
 */
function spread(lines, gap) {
  const placed = lines.map((line) => ({ ...line, at: line.value })).sort((a, b) => a.value - b.value);
  for (let round = 0; round < 50; round++) {
    for (let index = 1; index < placed.length; index++) {
      const [below, above] = [placed[index - 1], placed[index]];
      const lack = gap - (above.at - below.at);
      if (lack > 1e-6)
        Object.assign(below, { at: below.at - lack / 2 }) && Object.assign(above, { at: above.at + lack / 2 });
    }
  }
  return placed;
}

/** Saves the figures without the products. @param {Study} study */
function save({ result: { products, ...figures }, model, file }) {
  saveJson({ model, file, ...figures }, reportName(model, new Date(), 'json', 'layer-study'));
}
