// A fact of a description list.
import { element } from './dom.js';

/** A name with its value: a group of a `dl`. @param {string} name @param {string} value @param {string} [title] */
export function fact(name, value, title = '') {
  return element('div', {}, element('dt', {}, name), element('dd', { title }, value));
}
