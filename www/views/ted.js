// TED-6K: the file, the subset, the run with its progress, the result and its download.
import { byId, element, showText } from '../dom.js';
import { formatCount, formatDuration, formatPercent, formatSpeed, plural } from '../format.js';
import { reportName, timeLeft } from '../ted.js';
import { loadStage } from './model.js';
import { scores } from './scores.js';

/** @import { App } from '../app.js' */
/** @import { Count, Dataset, Subset } from '../types' */
/** @import { Outcome, Run, State } from '../state.js' */

/** @param {App} app */
export function tedView(app) {
  const sample = byId('ted-sample', HTMLButtonElement);
  const file = byId('ted-file', HTMLInputElement);
  const error = byId('ted-error', HTMLParagraphElement);
  const area = byId('ted-run-area', HTMLElement);
  const summary = byId('ted-summary', HTMLParagraphElement);
  const run = byId('ted-run', HTMLButtonElement);
  const count = byId('ted-count', HTMLSpanElement);
  const progressArea = byId('ted-progress', HTMLElement);
  const bar = byId('ted-bar', HTMLProgressElement);
  const stage = byId('ted-stage', HTMLSpanElement);
  const stop = byId('ted-stop', HTMLButtonElement);
  const result = byId('ted-result', HTMLElement);
  const download = byId('ted-download', HTMLButtonElement);
  const showSubset = subsetView(app);

  sample.addEventListener('click', () => app.openSample());
  file.addEventListener('change', async () => {
    if (file.files?.[0]) await app.openFile(file.files[0]);
    file.value = '';
  });
  run.addEventListener('click', () => app.evaluate());
  stop.addEventListener('click', () => app.stop());
  download.addEventListener('click', () => app.state.outcome && save(app.state.outcome));

  /** @type {Outcome | null} */
  let shown = null;
  return (/** @type {State} */ state) => {
    const { dataset, datasetSource, model, task, run: running, outcome } = state;
    sample.disabled = file.disabled = task !== null;
    showText(error, state.errors.ted);
    area.hidden = datasetSource === null;
    showText(summary, dataset ? summaryText(dataset) : `\`${datasetSource?.name}\` is opened when you run it.`);
    showSubset(state);
    run.disabled = task !== null || state.count?.items === 0;
    run.ariaBusy = String(task === 'ted');
    showText(count, state.count ? countText(state.count, model.card !== null) : '');

    progressArea.hidden = task !== 'ted' || dataset === null;
    if (running) Object.assign(bar, { max: running.progress.total, value: running.progress.done });
    else bar.removeAttribute('value');
    showText(stage, running ? stageText(running) : loadStage(model) || 'Preparing…');

    result.hidden = download.hidden = outcome === null;
    if (outcome && outcome !== shown) result.replaceChildren(...scores(outcome));
    shown = outcome;
  };
}

/** @param {Dataset} dataset */
function summaryText({ file, captions, items, skipped, sha256 }) {
  const left = skipped ? `, ${plural(skipped, 'entry').replace('entrys', 'entries')} without a usable answer left out` : '';
  return `${file}: ${plural(captions, 'caption')}, ${plural(items, 'item')}${left}. SHA-256 ${sha256.slice(0, 12)}…`;
}

/** @param {Count} count @param {boolean} loaded */
function countText({ items, texts }, loaded) {
  return `${plural(items, 'item')}, ${plural(texts, 'text')} to encode${loaded ? '' : '; the model is loaded first'}`;
}

/** @param {Run} run */
function stageText({ progress, elapsed }) {
  const { done, total, items, correct } = progress;
  const left = timeLeft(progress, elapsed);
  return [
    `${formatCount(done)} of ${plural(total, 'token')}`,
    left === null ? '' : `${formatSpeed(done, elapsed)}, ${formatDuration(left)} left`,
    items ? `${correct} of ${items} right so far (${formatPercent(correct / items)})` : '',
  ].filter(Boolean).join(' · ');
}

/** @param {Outcome} outcome */
function save({ report, model }) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(report, null, 1)], { type: 'application/json' }));
  element('a', { href: url, download: reportName(model, new Date()) }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Types to tick, items per type, seed. @param {App} app */
function subsetView(app) {
  const fieldset = byId('ted-subset', HTMLFieldSetElement);
  const groups = {
    caption_types: byId('ted-caption-types', HTMLElement),
    question_types: byId('ted-question-types', HTMLElement),
  };
  const perType = byId('ted-per-type', HTMLInputElement);
  const seed = byId('ted-seed', HTMLInputElement);

  const read = () => {
    if (!perType.reportValidity() || !seed.reportValidity()) return;
    app.setSubset({
      ...app.state.subset,
      caption_types: ticked(groups.caption_types),
      question_types: ticked(groups.question_types),
      per_type: perType.value === '' ? null : Number(perType.value),
      seed: Number(seed.value),
    });
  };
  fieldset.addEventListener('change', read);

  /** @type {Dataset | null} */
  let shown = null;
  return (/** @type {State} */ { dataset, subset, task }) => {
    fieldset.hidden = dataset === null;
    fieldset.disabled = task !== null;
    if (dataset && dataset !== shown) {
      groups.caption_types.replaceChildren(...boxes(dataset.caption_types));
      groups.question_types.replaceChildren(...boxes(dataset.question_types));
    }
    shown = dataset;
    tick(groups.caption_types, subset.caption_types);
    tick(groups.question_types, subset.question_types);
    if (document.activeElement !== perType) perType.value = String(subset.per_type ?? '');
    if (document.activeElement !== seed) seed.value = String(subset.seed);
  };
}

/** @param {Record<string, number>} types */
function boxes(types) {
  return Object.entries(types).map(([type, count]) =>
    element('label', {}, element('input', { type: 'checkbox', value: type }), ` ${type} `, element('span', { className: 'note' }, formatCount(count))));
}

/** @param {HTMLElement} group */
function ticked(group) {
  return [...group.querySelectorAll('input')].filter((box) => box.checked).map((box) => box.value);
}

/** @param {HTMLElement} group @param {Subset['question_types']} types */
function tick(group, types) {
  for (const box of group.querySelectorAll('input')) box.checked = types.includes(box.value);
}
