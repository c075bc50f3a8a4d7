// A report as a file: JSON as it is, CSV by type, JSONL by item.
import { element } from '../ui/dom.js';
import { reportName } from '../figures/ted.js';

/** @import { App } from '../app/app.js' */
/** @import { Section } from '../state/state.js' */
/** @import { Report } from '../types/wasm' */

const TYPES = { json: 'application/json', csv: 'text/csv', jsonl: 'application/jsonl' };

/** @param {App} app @param {Section} section where an error is said @param {Report} report @param {string} model @param {keyof typeof TYPES} format */
export function saveReport(app, section, report, model, format) {
  return app.review.exportReport(section, report, format, (text) => {
    const url = URL.createObjectURL(new Blob([text], { type: TYPES[format] }));
    element('a', { href: url, download: reportName(model, new Date(), format) }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
  });
}
