// What the views do with the document. Text is inserted as text, never as HTML, and only from here: it may be a
// stranger's, of a file or a link, so all of it is fit to be shown first (`shown` in worker/errors.js).
import { shown } from '../worker/errors.js';

const MOST = 32_000; // bytes of a text: more than any prompt, and than a caption that a person reads
const TEXTS = new Set(['textContent', 'title', 'ariaLabel', 'download']);

/**
 * Makes an element: `element('td', { className: 'number' }, '0.912')`. Its texts are fit to be shown; a `value` is what
 * it is.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Partial<HTMLElementTagNameMap[T]>} [properties]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties))
    Object.assign(node, { [name]: TEXTS.has(name) ? fit(value) : value });
  add(node, ...children);
  return node;
}

/** Puts children into a node, in place of those it had. @param {Element} node @param {...(Node | string)} children */
export function fill(node, ...children) {
  node.replaceChildren(...children.map(fit));
}

/** Puts children at the end of a node. @param {Element} node @param {...(Node | string)} children */
export function add(node, ...children) {
  node.append(...children.map(fit));
}

/** Makes a choice of a list. @param {string} text @param {string} value */
export function option(text, value) {
  return element('option', { value }, text);
}

/** @template T @param {T} child @returns {T} */
function fit(child) {
  return typeof child === 'string' ? /** @type {T & string} */ (shown(child, MOST)) : child;
}

/** Makes the texts of a drawing fit to be shown. @param {Element} drawing */
export function fitTexts(drawing) {
  const texts = document.createTreeWalker(drawing, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) text.nodeValue = fit(text.nodeValue);
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
