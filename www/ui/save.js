// Files that are given to the person.
import { element } from './dom.js';

const SOON = 60_000; // ms after which the browser has read what it was given

/**
 * @param {Blob} blob
 * @param {string} name the name of the file
 * @param {number} [kept] ms after which the browser must have read it
 */
export function saveBlob(blob, name, kept = SOON) {
  const url = URL.createObjectURL(blob);
  element('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), kept);
}

/** @param {unknown} value @param {string} name the name of the file */
export function saveJson(value, name) {
  saveBlob(new Blob([JSON.stringify(value, null, 1)], { type: 'application/json' }), name);
}

/**
 * The name of a file of results: its kind, the model and the day.
 * @param {string} model
 * @param {Date} date
 * @param {string} extension
 * @param {string} [kind]
 */
export function reportName(model, date, extension, kind = 'ted-report') {
  const name = model.replace(/[^\w.-]+/g, '-').slice(0, 80) || 'model';
  return `${kind}-${name}-${date.toISOString().slice(0, 10)}.${extension}`;
}
