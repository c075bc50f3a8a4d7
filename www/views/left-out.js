// The items that a report or a study leaves out: their number, and on demand each with its reason.
import { formatCount, plural } from '../figures/format.js';
import { add, element } from '../ui/dom.js';

/** @import { LeftOut } from '../types/wasm' */

const LISTED = 200;

/** @param {LeftOut[]} [items] @returns {HTMLElement[]} nothing where none is left out */
export function leftOut(items = []) {
  if (items.length === 0) return [];
  const are = items.length === 1 ? 'item is' : 'items are';
  const details = element(
    'details',
    { className: 'left-out' },
    element('summary', {}, `${formatCount(items.length)} ${are} left out: the model can't score them`),
  );
  details.addEventListener('toggle', () => {
    if (details.open && details.children.length === 1) add(details, ...list(items));
  });
  return [details];
}

/** How many items are left out, to stand beside a score; '' where none is. @param {LeftOut[]} [items] */
export function leftOutCount(items = []) {
  return items.length ? `${plural(items.length, 'item')} left out` : '';
}

/** @param {LeftOut[]} items */
function list(items) {
  const rows = items
    .slice(0, LISTED)
    .map(({ question_type, caption_key, reason }) =>
      element('li', {}, element('strong', {}, `${question_type}, ${caption_key}`), `: ${reason}`),
    );
  const rest = items.length - rows.length;
  return [
    element('ul', {}, ...rows),
    ...(rest ? [element('p', { className: 'note' }, `And ${formatCount(rest)} more: the report's file has all.`)] : []),
  ];
}
