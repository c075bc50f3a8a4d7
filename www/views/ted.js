// TED-6K: the file, the subset, the run with its progress, the result and its files.
import { formatCount, formatDuration, formatInterval, formatPercent, formatSpeed, plural } from '../figures/format.js';
import { readFigures } from '../figures/published.js';
import { wilson } from '../figures/statistics.js';
import { firstText } from '../sources/model.js';
import { byId, element, fill, showText } from '../ui/dom.js';
import { loadStage, showProgress, timeLeft } from '../ui/progress.js';
import { watch } from '../ui/watch.js';
import { saveReport } from './save.js';
import { scores } from './scores.js';

/** @import { App } from '../app/app.js' */
/** @import { Run, State, Unfinished } from '../state/state' */
/** @import { Count, Dataset, DeviceKind, Subset } from '../types/wasm' */

const DEVICES = { webgpu: 'WebGPU', cpu: 'the CPU' };

/** @param {App} app */
export function tedView(app) {
  const sample = byId('ted-sample', HTMLButtonElement);
  const file = byId('ted-file', HTMLInputElement);
  const error = byId('ted-error', HTMLParagraphElement);
  const area = byId('ted-run-area', HTMLElement);
  const summary = byId('ted-summary', HTMLSpanElement);
  const run = byId('ted-run', HTMLButtonElement);
  const count = byId('ted-count', HTMLSpanElement);
  const progressArea = byId('ted-progress', HTMLElement);
  const bar = byId('ted-bar', HTMLProgressElement);
  const stage = byId('ted-stage', HTMLSpanElement);
  const pause = byId('ted-pause', HTMLButtonElement);
  const stop = byId('ted-stop', HTMLButtonElement);
  const open = byId('ted-open', HTMLButtonElement);
  const unstored = byId('ted-unstored', HTMLParagraphElement);
  const showUnfinished = unfinishedView(app);
  const result = byId('ted-result', HTMLElement);
  const downloads = byId('ted-downloads', HTMLElement);
  const showSubset = subsetView(app);

  sample.addEventListener('click', () => app.evaluation.openSample());
  file.addEventListener('change', async () => {
    if (file.files?.[0]) await app.evaluation.openFile(file.files[0]);
    file.value = '';
  });
  run.addEventListener('click', () => app.evaluation.run());
  pause.addEventListener('click', () => app.evaluation.pause());
  stop.addEventListener('click', () => app.stop());
  open.addEventListener('click', () => app.evaluation.openDataset());
  for (const [id, format] of /** @type {const} */ ([
    ['ted-download', 'json'],
    ['ted-download-csv', 'csv'],
    ['ted-download-jsonl', 'jsonl'],
  ])) {
    byId(id, HTMLButtonElement).addEventListener('click', () => {
      const { outcome } = app.state;
      if (outcome) saveReport(app, 'ted', outcome.report, outcome.model, format);
    });
  }

  const [isNew, isOtherOutcome] = [watch(), watch()];
  return (/** @type {State} */ state) => {
    const { dataset, datasetSource, model, task, run: running, outcome } = state;
    sample.disabled = file.disabled = task !== null;
    showText(error, state.errors.ted);
    area.hidden = datasetSource === null;
    const waits = datasetSource ? `\`${datasetSource.name}\` is opened when you run it.` : '';
    showText(summary, dataset ? summaryText(dataset) : waits);
    open.hidden = dataset !== null;
    open.disabled = task !== null;
    showUnfinished(state);
    showSubset(state);
    run.disabled = task !== null || state.count?.items === 0;
    run.ariaBusy = String(task === 'ted');
    showText(count, state.count ? countText(state.count, model) : firstText(model));

    progressArea.hidden = task !== 'ted' || dataset === null;
    pause.disabled = !running;
    showText(unstored, state.unstored);
    showProgress(bar, running?.progress);
    showText(stage, running ? stageText(running) : loadStage(model) || 'Preparing…');

    result.hidden = downloads.hidden = outcome === null;
    for (const button of downloads.querySelectorAll('button')) button.disabled = task !== null;
    if (!outcome || !isNew(outcome, state.board.figures)) return;
    if (isOtherOutcome(outcome)) app.reports.openLeaderboard(readFigures);
    fill(result, ...scores(outcome, state.board.figures));
  };
}

/** @param {Dataset} dataset */
function summaryText({ file, captions, items, skipped, sha256 }) {
  const left = skipped
    ? `, ${plural(skipped, 'entry').replace('entrys', 'entries')} without a usable answer left out`
    : '';
  return `${file}: ${plural(captions, 'caption')}, ${plural(items, 'item')}${left}. SHA-256 ${sha256.slice(0, 12)}…`;
}

/** @param {Count} count @param {State['model']} model */
function countText({ items, texts }, model) {
  return `${plural(items, 'item')}, ${plural(texts, 'text')} to encode. ${firstText(model)}`.trim();
}

/** @param {Run} run */
function stageText({ progress, elapsed, from }) {
  const { done, total, texts, total_texts, items, correct, restored, damaged } = progress;
  const [encoded, time] = [done - from.done, elapsed - from.elapsed];
  const left = timeLeft({ done: encoded, total: total - from.done }, time);
  return [
    `${formatCount(done)} of ${plural(total, 'token')}`,
    restored
      ? `${formatCount(texts)} of ${plural(total_texts, 'text')}, ${formatCount(restored)} of them restored`
      : '',
    damaged ? `${plural(damaged, 'kept vector')} damaged and computed anew` : '',
    left === null ? '' : `${formatSpeed(encoded, time)}, ${formatDuration(left)} left`,
    items
      ? `${correct} of ${items} right so far, ${formatPercent(correct / items)} ${formatInterval(wilson(correct / items, items))}`
      : '',
  ]
    .filter(Boolean)
    .join(' · ');
}

/** The interrupted run that can be resumed, shown while no run goes on. @param {App} app */
function unfinishedView(app) {
  const area = byId('ted-unfinished', HTMLElement);
  const text = byId('ted-unfinished-text', HTMLParagraphElement);
  const resume = byId('ted-resume', HTMLButtonElement);
  const abandon = byId('ted-abandon', HTMLButtonElement);
  resume.addEventListener('click', () => app.evaluation.resume());
  abandon.addEventListener('click', () => app.evaluation.abandon());

  return (/** @type {State} */ { unfinished, partial, run, task, choice }) => {
    area.hidden = unfinished === null || run !== null;
    if (!unfinished) return;
    showText(text, unfinishedText(unfinished, partial !== null, choice?.kind ?? unfinished.device));
    showText(abandon, partial ? 'Stop here' : 'Discard');
    resume.disabled = abandon.disabled = task !== null;
  };
}

/**
 * @param {Unfinished} unfinished
 * @param {boolean} paused whether it was paused on this page; otherwise it is from the last visit
 * @param {DeviceKind} now
 */
function unfinishedText({ texts, total_texts, items, correct, settings, data, model, adapter, device }, paused, now) {
  const what = `${settings.feature} + ${settings.pooling}${adapter ? ` (${adapter.name})` : ''} of ${model.card || model.name} on ${data.name}`;
  const score = items ? `; ${correct} of ${plural(items, 'item')} right so far` : '';
  const done = `${formatCount(texts)} of ${plural(total_texts, 'text')} are done`;
  const again =
    device === now
      ? 'Finished texts are not encoded again.'
      : `They were encoded on ${DEVICES[device]}; on ${DEVICES[now]} each is encoded again.`;
  return `${paused ? 'Paused' : 'An unfinished run'}: ${done}, ${what}${score}. ${again}`;
}

/** The subset: types to tick, items per type, captions, seed. @param {App} app */
function subsetView(app) {
  const fieldset = byId('ted-subset', HTMLFieldSetElement);
  const groups = {
    caption_types: byId('ted-caption-types', HTMLElement),
    question_types: byId('ted-question-types', HTMLElement),
  };
  const perType = byId('ted-per-type', HTMLInputElement);
  const captions = byId('ted-captions', HTMLInputElement);
  const seed = byId('ted-seed', HTMLInputElement);
  const amount = (/** @type {HTMLInputElement} */ { value }) => (value === '' ? null : Number(value));

  const read = () => {
    if (![perType, captions, seed].every((field) => field.reportValidity())) return;
    app.evaluation.setSubset({
      ...app.state.subset,
      caption_types: ticked(groups.caption_types),
      question_types: ticked(groups.question_types),
      per_type: amount(perType),
      captions: amount(captions),
      seed: Number(seed.value),
    });
  };
  fieldset.addEventListener('change', read);

  const isNew = watch();
  return (/** @type {State} */ { dataset, subset, task }) => {
    fieldset.hidden = dataset === null;
    fieldset.disabled = task !== null;
    if (isNew(dataset) && dataset) {
      fill(groups.caption_types, ...boxes(dataset.caption_types));
      fill(groups.question_types, ...boxes(dataset.question_types));
    }
    tick(groups.caption_types, subset.caption_types);
    tick(groups.question_types, subset.question_types);
    if (document.activeElement !== perType) perType.value = String(subset.per_type ?? '');
    if (document.activeElement !== captions) captions.value = String(subset.captions ?? '');
    if (document.activeElement !== seed) seed.value = String(subset.seed);
  };
}

/** @param {Record<string, number>} types */
function boxes(types) {
  return Object.entries(types).map(([type, count]) =>
    element(
      'label',
      {},
      element('input', { type: 'checkbox', value: type }),
      ` ${type} `,
      element('span', { className: 'note' }, formatCount(count)),
    ),
  );
}

/** @param {HTMLElement} group */
function ticked(group) {
  return [...group.querySelectorAll('input')].filter((box) => box.checked).map((box) => box.value);
}

/** @param {HTMLElement} group @param {Subset['question_types']} types */
function tick(group, types) {
  for (const box of group.querySelectorAll('input')) box.checked = types.includes(box.value);
}
