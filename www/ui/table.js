// Tables: a head of columns, bodies of rows, and a frame that scrolls where the page is narrow.
import { element } from './dom.js';

/** @typedef {string | HTMLTableCellElement | { text: string | Node, className?: string, ariaLabel?: string }} Column */

/** @param {string} className @param {Column[]} columns @param {HTMLElement[]} bodies @param {string} [caption] */
export function table(className, columns, bodies, caption = '') {
  const title = caption ? [element('caption', {}, caption)] : [];
  const head = element('thead', {}, element('tr', {}, ...columns.map(header)));
  return element('table', className ? { className } : {}, ...title, head, ...bodies);
}

/** @param {HTMLElement[]} rows @param {string} [className] */
export function tbody(rows, className = '') {
  return element('tbody', className ? { className } : {}, ...rows);
}

/**
 * Columns with a mark on those from index `from` on: they hold numbers.
 * @param {string[]} texts
 * @param {number} from
 * @returns {Column[]}
 */
export function numbersFrom(texts, from) {
  return texts.map((text, at) => (at >= from ? { text, className: 'number' } : text));
}

/** Makes a frame that scrolls, also by keyboard. @param {...HTMLElement} children */
export function scrolling(...children) {
  return element('div', { className: 'scroll', tabIndex: 0 }, ...children);
}

/** @param {Column} column */
function header(column) {
  if (column instanceof HTMLElement) return column;
  const { text, ...properties } = typeof column === 'string' ? { text: column } : column;
  return element('th', { scope: 'col', ...properties }, text);
}
