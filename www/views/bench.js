// The benchmark: the device's peak, the time and share of each part, the model's speed by length of the text, and the
// figures as a file.
import { formatBytes, formatCount, formatDuration, formatPercent, plural } from '../figures/format.js';
import { firstText } from '../sources/model.js';
import { byId, element, fill, showText } from '../ui/dom.js';
import { fact } from '../ui/facts.js';
import { loadStage, showProgress } from '../ui/progress.js';
import { reportName, saveJson } from '../ui/save.js';
import { numbersFrom, scrolling, table, tbody } from '../ui/table.js';
import { watch } from '../ui/watch.js';

/** @import { App } from '../app/app.js' */
/** @import { State } from '../state/state' */
/** @import { BenchReport, BenchRow } from '../types/wasm' */

const PARTS = ['Part', 'Calls', 'ms a call', 'Clock', 'GFLOP/s', 'GB/s', 'Of peak', 'Share'];
const MODELS = ['Tokens', 'Tokens/s', 'ms a token', 'Less attention', 'Moved a token'];

/** @param {App} app */
export function benchView(app) {
  const seconds = byId('bench-seconds', HTMLInputElement);
  const tokens = byId('bench-tokens', HTMLInputElement);
  const run = byId('bench-run', HTMLButtonElement);
  const error = byId('bench-error', HTMLParagraphElement);
  const waiting = byId('bench-waiting', HTMLParagraphElement);
  const progressArea = byId('bench-progress', HTMLElement);
  const bar = byId('bench-bar', HTMLProgressElement);
  const stage = byId('bench-stage', HTMLSpanElement);
  const stop = byId('bench-stop', HTMLButtonElement);
  const result = byId('bench-result', HTMLElement);
  const download = byId('bench-download', HTMLButtonElement);

  seconds.addEventListener('change', () => app.benchmark.setSeconds(seconds.value));
  tokens.addEventListener('change', () => app.benchmark.setTokens(tokens.value));
  run.addEventListener('click', () => app.benchmark.run());
  stop.addEventListener('click', () => app.stop());
  download.addEventListener('click', () => app.state.bench.report && save(app.state.bench.report));

  const isNew = watch();
  return (/** @type {State} */ { bench, task, errors, model }) => {
    const { progress, report } = bench;
    if (document.activeElement !== seconds) seconds.value = String(bench.seconds);
    if (document.activeElement !== tokens && !errors.bench) tokens.value = bench.tokens?.join(', ') ?? '';
    seconds.disabled = tokens.disabled = run.disabled = task !== null;
    run.ariaBusy = String(task === 'bench');
    showText(waiting, bench.waiting || firstText(model));
    showText(error, errors.bench);
    progressArea.hidden = task !== 'bench';
    showProgress(bar, progress);
    showText(stage, progress ? stageText(progress) : loadStage(model) || 'Preparing…');
    result.hidden = download.hidden = report === null;
    if (isNew(report) && report) fill(result, ...resultParts(report));
  };
}

/** @param {NonNullable<State['bench']['progress']>} progress */
function stageText({ done, total, name, tokens }) {
  return `${done} of ${total}: ${name}${tokens ? ` on ${plural(tokens, 'token')}` : ''}`;
}

/** @param {BenchReport} report */
function resultParts(report) {
  const { peak, rows, skipped, complete } = report;
  const { model, device } = report.provenance;
  const groups = [...new Set(rows.map(({ tokens }) => tokens))];
  const models = rows.filter(({ name }) => name === 'model');
  const facts = [
    fact('Device', device.adapter),
    fact('Model', model.name),
    fact(
      'Multiply-adds',
      peak.gflops === null ? '–' : `${figure(peak.gflops)} GFLOP/s`,
      'the peak that the parts are measured against',
    ),
    fact(
      'Copy',
      peak.copy_gb_per_second === null ? '–' : `${figure(peak.copy_gb_per_second)} GB/s`,
      'read and written',
    ),
    fact(
      'Clock',
      report.clock === 'device' ? 'the device’s' : 'the wall’s',
      report.clock === 'device' ? 'its timestamps, for all but the model' : report.clock_reason,
    ),
    fact('Read-back', `${report.read_back_ms.toFixed(2)} ms`, 'taken off the wall clock’s'),
    fact(
      'Warm-up',
      report.warm_up_ms === null ? '–' : formatDuration(report.warm_up_ms),
      'what the first pass takes more than a later one',
    ),
    fact('Kernels a layer', String(report.dispatches_per_layer ?? '–')),
    fact('Measured in', formatDuration(1000 * report.seconds)),
  ];
  const notes = [
    complete ? '' : 'Stopped before the end.',
    ...skipped.map(({ name, tokens, reason }) => `Left out: ${name} on ${plural(tokens, 'token')}, which ${reason}.`),
  ].filter(Boolean);
  return [
    element('dl', { className: 'facts' }, ...facts),
    ...(models.length ? [figures('The model by length of the text', MODELS, [tbody(models.map(modelLine))])] : []),
    ...(rows.length
      ? [
          figures(
            'Each part of a pass through the model',
            PARTS,
            groups.map((tokens) =>
              partLines(
                tokens,
                rows.filter((row) => row.tokens === tokens),
              ),
            ),
          ),
        ]
      : []),
    ...notes.map((text) => element('p', { className: 'note' }, text)),
  ];
}

/** @param {string} caption @param {string[]} columns @param {HTMLElement[]} bodies */
function figures(caption, columns, bodies) {
  return scrolling(table('bench', numbersFrom(columns, 1), bodies, caption));
}

/** @param {number} tokens @param {BenchRow[]} rows */
function partLines(tokens, rows) {
  const title = element('tr', {}, element('th', { scope: 'rowgroup', colSpan: PARTS.length }, plural(tokens, 'token')));
  return tbody([
    title,
    ...rows.map(
      ({ name, kernel, shape, calls, milliseconds, gflops, gb_per_second, percent_of_peak, bound, share }) => {
        const { median, min, max, samples, runs, clock } = milliseconds;
        const spread = samples > 1 ? ` (${figure(min)} to ${figure(max)})` : '';
        return line(element('span', { title: [kernel, shape].filter(Boolean).join(' ') }, name), [
          String(calls),
          element(
            'span',
            { title: samples ? `${plural(samples, 'sample')} of ${plural(runs, 'run')}` : 'what no part accounts for' },
            `${figure(median)}${spread}`,
          ),
          samples ? clock : '',
          samples ? figure(gflops) : '',
          samples ? figure(gb_per_second) : '',
          percent_of_peak === null
            ? ''
            : element(
                'span',
                { title: `of the ${bound === 'compute' ? 'multiply-add' : 'copy'} peak` },
                formatPercent(percent_of_peak / 100),
              ),
          share === null ? '' : formatPercent(share),
        ]);
      },
    ),
  ]);
}

/** @param {BenchRow} row */
function modelLine({ tokens, tokens_per_second, ms_per_token, ms_per_token_without_attention, bytes_per_token }) {
  const cells = [tokens_per_second, ms_per_token, ms_per_token_without_attention].map((value) => figure(value ?? 0));
  return line(formatCount(tokens), [...cells, formatBytes(bytes_per_token ?? 0)]);
}

/** @param {Node | string} name @param {(Node | string)[]} cells */
function line(name, cells) {
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, name),
    ...cells.map((cell) => element('td', { className: 'number' }, cell)),
  );
}

/** A number to three figures: 0.0123, 1.23, 12.3, 1,234. @param {number} value */
function figure(value) {
  if (value >= 100) return formatCount(value);
  return value === 0 ? '0' : value >= 0.01 ? value.toPrecision(3) : value.toFixed(4);
}

/** @param {BenchReport} report */
function save(report) {
  saveJson(report, reportName(report.provenance.model.name, new Date(), 'json', 'bench'));
}
