// A fact: a name and its value, in a description list.
import { element } from './dom.js';

/** Makes a group of a `dl`. @param {string} name @param {string} value @param {string} [title] */
export function fact(name, value, title = '') {
  return element('div', {}, element('dt', {}, name), element('dd', { title }, value));
}
