// The result of a TED-6K run: accuracy by type with its interval, beside chance. The published figures are under Leaderboard.
import { element } from '../dom.js';
import { formatInterval, formatPercent, plural } from '../format.js';
import { origin } from '../reports.js';

/** @import { Outcome } from '../state.js' */
/** @import { Accuracy } from '../types' */

/** @param {Outcome} outcome @returns {HTMLElement[]} */
export function scores({ report, settings, file, model }) {
  const { accuracy_statistics: statistics, ties, complete } = report.summary;
  const { overall } = statistics;
  if (overall.total === 0) return [element('p', {}, 'Stopped before the first item was done.')];
  const rows = (/** @type {Record<string, Accuracy>} */ types) => Object.entries(types).map(([type, accuracy]) => row(type, accuracy));

  const headline = element('p', {}, element('strong', {}, `${overall.correct} of ${overall.total} right`),
    `, ${formatPercent(overall.accuracy)} ${formatInterval(overall.interval)}, by ${model}, ${settings.feature} + ${settings.pooling}, on ${file}`,
    complete ? '.' : '. Stopped before the end: these are the items done.');
  const table = element('table', { className: 'scores' },
    element('thead', {}, element('tr', {}, ...['Type', 'Right', 'Accuracy, 95 % interval', '', 'Chance'].map((text) => element('th', { scope: 'col' }, text)))),
    element('tbody', {}, row('All', overall)),
    element('tbody', {}, ...rows(statistics.caption_type_accuracy)),
    element('tbody', {}, ...rows(statistics.question_type_accuracy)));
  const [id, definition] = [origin(report, 'subset', 'id'), origin(report, 'subset', 'definition')];
  const notes = [
    id ? `Subset ${id}: ${definition}.` : '',
    ties ? `In ${plural(ties, 'item')} two or more statements share the top score: the first of them counts.` : 'No ties.',
    'In the bars the line is chance, the whisker the interval.',
    'Intervals are Wilson\'s. The total is over items, not the mean of the types.',
  ];
  return [headline, element('div', { className: 'scroll', tabIndex: 0 }, table), element('p', { className: 'note' }, notes.filter(Boolean).join(' '))];
}

/** @param {string} name @param {Accuracy} accuracy */
function row(name, { accuracy, correct, total, interval, chance }) {
  const [low, high] = interval;
  const bar = element('div', { className: 'bar whisker', ariaHidden: 'true' }, element('span', {}));
  for (const [property, value] of Object.entries({ accuracy, chance, low, high })) bar.style.setProperty(`--${property}`, `${100 * value}%`);
  const number = (/** @type {(string | HTMLElement)[]} */ ...parts) => element('td', { className: 'number' }, ...parts);
  return element('tr', {}, element('th', { scope: 'row' }, name),
    number(`${correct} / ${total}`), number(formatPercent(accuracy), element('small', {}, ` ${formatInterval(interval)}`)), element('td', {}, bar), number(formatPercent(chance)));
}
