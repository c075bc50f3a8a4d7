// What the views do with the document. Text is inserted as text, never as HTML.
import { shown } from '../worker/errors.js';

/**
 * Makes an element: `element('td', { className: 'number' }, '0.912')`.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Partial<HTMLElementTagNameMap[T]>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

/**
 * Finds the element with an id, and checks its kind: `byId('embed', HTMLButtonElement)`.
 * @template {HTMLElement} E
 * @param {string} id
 * @param {new () => E} kind
 * @returns {E}
 */
export function byId(id, kind) {
  const node = document.getElementById(id);
  if (!(node instanceof kind)) throw new Error(`the page has no ${kind.name} #${id}`);
  return node;
}

/**
 * Shows a message, which may quote a stranger's text, or hides the element if there is none.
 * @param {HTMLElement} node
 * @param {string} message
 */
export function showText(node, message) {
  const text = shown(message);
  if (node.textContent !== text) node.textContent = text;
  node.hidden = text === '';
}
