// A pager under a long list: "Back, Page 2 of 9, Next".
import { formatCount } from '../figures/format.js';
import { add, element, showText } from './dom.js';

/** @param {HTMLElement} area @param {(page: number) => void} turn called with the page to show, counted from 0 */
export function pager(area, turn) {
  let page = 0;
  const button = (/** @type {string} */ text, /** @type {number} */ by) => {
    const node = element('button', { type: 'button', className: 'quiet', textContent: text });
    node.addEventListener('click', () => turn(page + by));
    return node;
  };
  const [back, next] = [button('Back', -1), button('Next', 1)];
  const where = element('span', { role: 'status' });
  add(area, back, where, next);

  return (/** @type {number} */ at, /** @type {number} */ pages) => {
    page = at;
    area.hidden = pages < 2;
    back.disabled = at === 0;
    next.disabled = at >= pages - 1;
    showText(where, `Page ${formatCount(at + 1)} of ${formatCount(pages)}`);
  };
}
