// The result of a TED-6K run: accuracy by type with its interval, compared with chance and, muted, with published
// figures.
import { formatCount, formatInterval, formatPercent, plural } from '../figures/format.js';
import { origin } from '../figures/provenance.js';
import { differences, PUBLISHED_ITEMS } from '../figures/published.js';
import { wilson } from '../figures/statistics.js';
import { element } from '../ui/dom.js';
import { scrolling, table, tbody } from '../ui/table.js';
import { leftOut, leftOutCount } from './left-out.js';

/** @import { Leaderboard } from '../figures/published.js' */
/** @import { Outcome } from '../state/state' */
/** @import { Accuracy } from '../types/wasm' */

const BY_TYPE = 'Qwen3-VL-8B-Instruct'; // the only untrained encoder with published figures by type

/** @param {Outcome} outcome @param {Leaderboard | null} figures null until they are read @returns {HTMLElement[]} */
export function scores({ report, settings, file, model, sample }, figures) {
  const { accuracy_statistics: statistics, ties, complete, left_out } = report.summary;
  const { overall } = statistics;
  if (overall.total === 0) return [element('p', {}, 'Stopped before the first item was done.'), ...leftOut(left_out)];
  const published = publishedByType(figures);
  const rows = (/** @type {Record<string, Accuracy>} */ types) =>
    Object.entries(types).map(([type, accuracy]) => row(type, accuracy, published[type]));

  const headline = element(
    'p',
    {},
    element('strong', {}, `${overall.correct} of ${overall.total} right`),
    `, ${formatPercent(overall.accuracy)} ${formatInterval(overall.interval)}, by ${model}, ${settings.feature} + ${settings.pooling}, on ${file}`,
    ...[leftOutCount(left_out)].filter(Boolean).map((count) => `; ${count}`),
    complete ? '.' : '. Stopped before the end: these are the items done.',
  );
  const columns = ['Type', 'Right', 'Accuracy, 95 % interval', '', 'Chance', 'Published, adapter'];
  const bodies = [
    tbody([row('All', overall, published.All)]),
    tbody(meanPooled(figures), 'published'),
    tbody(rows(statistics.caption_type_accuracy)),
    tbody(rows(statistics.question_type_accuracy)),
  ];
  const [id, definition] = [origin(report, 'subset', 'id'), origin(report, 'subset', 'definition')];
  const reasons = differences({ report, sample }, 'mean_pool');
  const notes = [
    id ? `Subset ${id}: ${definition}.` : '',
    ties
      ? `In ${plural(ties, 'item')} two or more statements share the top score: the first of them counts.`
      : 'No ties.',
    'In the bars the line is chance, the whisker the interval.',
    "Intervals are Wilson's. The total is over items, not the mean of the types.",
  ];
  const source = figures
    ? [
        `Published, in gray: mean pooling without an adapter on all ${formatCount(PUBLISHED_ITEMS)} items ` +
          `(arXiv 2512.15560v2, Table 7); by type only with a trained adapter, ${BY_TYPE}, norm_avg (Table 2).`,
        reasons.length
          ? `Not comparable with this run: ${reasons.join(', ')}.`
          : 'The mean-pooled totals are comparable with this run.',
      ]
    : [];
  return [
    headline,
    ...leftOut(left_out),
    scrolling(table('scores', columns, bodies)),
    ...[notes, source].map((words) => element('p', { className: 'note' }, words.filter(Boolean).join(' '))),
  ];
}

/**
 * The published accuracies by question type, and of `All`, from 0 to 1.
 * @param {Leaderboard | null} figures
 * @returns {Record<string, number>}
 */
function publishedByType(figures) {
  const types = figures?.per_question_type[BY_TYPE];
  if (!figures || typeof types !== 'object') return {};
  const all = figures.rows.find(({ model }) => model === BY_TYPE)?.norm_avg;
  return Object.fromEntries(
    Object.entries({ ...types, ...(all ? { All: all } : {}) }).map(([type, percent]) => [type, percent / 100]),
  );
}

/** @param {Leaderboard | null} figures */
function meanPooled(figures) {
  return (figures?.rows ?? []).flatMap(({ model, mean_pool }) => {
    if (mean_pool === undefined) return [];
    const accuracy = mean_pool / 100;
    return [row(model, { accuracy, correct: 0, total: 0, interval: wilson(accuracy, PUBLISHED_ITEMS), chance: 0.25 })];
  });
}

/**
 * @param {string} name
 * @param {Accuracy} accuracy its total is 0 if only the accuracy is known
 * @param {number} [published]
 */
function row(name, { accuracy, correct, total, interval, chance }, published) {
  const [low, high] = interval;
  const bar = element('div', { className: 'bar whisker', ariaHidden: 'true' }, element('span', {}));
  for (const [property, value] of Object.entries({ accuracy, chance, low, high }))
    bar.style.setProperty(`--${property}`, `${100 * value}%`);
  const number = (/** @type {(string | HTMLElement)[]} */ ...parts) => element('td', { className: 'number' }, ...parts);
  return element(
    'tr',
    {},
    element('th', { scope: 'row' }, name, ...(total ? [] : [' ', element('small', {}, 'published')])),
    number(total ? `${correct} / ${total}` : ''),
    number(formatPercent(accuracy), element('small', {}, ` ${formatInterval(interval)}`)),
    element('td', {}, bar),
    number(formatPercent(chance)),
    number(published === undefined ? '' : formatPercent(published)),
  );
}
