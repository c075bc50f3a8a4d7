// The result of a TED-6K run: accuracy by type beside chance, and the published figures under it.
import { element } from '../dom.js';
import { formatPercent, plural } from '../format.js';
import { PUBLISHED } from '../published.js';
import { chance } from '../ted.js';

/** @import { Outcome } from '../state.js' */
/** @import { Accuracy, Report } from '../types' */

/** @param {Outcome} outcome @returns {HTMLElement[]} */
export function scores({ report, settings, file, model }) {
  const { accuracy_statistics: statistics, ties, complete } = report.summary;
  const { overall_accuracy, total_correct, total_samples } = statistics;
  const { results } = report;
  if (total_samples === 0) return [element('p', {}, 'Stopped before the first item was done.')];
  const types = (/** @type {'caption_type' | 'question_type'} */ key) => Object.entries(statistics[`${key}_accuracy`])
    .map(([type, accuracy]) => typeRow(type, accuracy, results.filter((result) => result[key] === type)));
  const overall = { accuracy: overall_accuracy, correct: total_correct, total: total_samples };

  const headline = element('p', {}, element('strong', {}, `${total_correct} of ${total_samples} right`), ` by ${model}, ${settings.feature} + ${settings.pooling}, on ${file}`,
    ties ? ` (${plural(ties, 'tie')})` : '', complete ? '.' : '. Stopped before the end: these are the items done.');
  const table = element('table', { className: 'scores' },
    element('thead', {}, element('tr', {}, ...['Type', 'Right', 'Accuracy', '', 'Chance'].map((text) => element('th', { scope: 'col' }, text)))),
    element('tbody', {}, typeRow('All', overall, results)),
    element('tbody', {}, ...types('caption_type')),
    element('tbody', {}, ...types('question_type')),
    element('tbody', {}, groupRow('Published, training-free mean pooling, all 6,641 items'), ...PUBLISHED.map(({ model: name, accuracy }) =>
      row(name, '', accuracy, 0.25))));
  const source = element('p', { className: 'note' }, 'Published figures: GRAN-TED, arXiv 2512.15560v2, Table 7. They are of the full benchmark: a subset or another file is not directly comparable.');
  return [headline, element('div', { className: 'scroll', tabIndex: 0 }, table), source];
}

/** @param {string} type @param {Accuracy} accuracy @param {Report['results']} results */
function typeRow(type, { accuracy, correct, total }, results) {
  return row(type, `${correct} / ${total}`, accuracy, chance(results));
}

/** @param {string} name @param {string} right @param {number} accuracy @param {number} guess */
function row(name, right, accuracy, guess) {
  const bar = element('div', { className: 'bar', ariaHidden: 'true' });
  bar.style.setProperty('--accuracy', `${100 * accuracy}%`);
  bar.style.setProperty('--chance', `${100 * guess}%`);
  return element('tr', {}, element('th', { scope: 'row' }, name),
    ...[right, formatPercent(accuracy)].map((text) => element('td', { className: 'number' }, text)),
    element('td', {}, bar), element('td', { className: 'number' }, formatPercent(guess)));
}

/** @param {string} text */
function groupRow(text) {
  return element('tr', {}, element('th', { scope: 'rowgroup', colSpan: 5 }, text));
}
