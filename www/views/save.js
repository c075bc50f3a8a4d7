// Saves a report as a file: JSON as it is, CSV by type, JSONL by item.
import { reportName, saveBlob } from '../ui/save.js';

/** @import { App } from '../app/app.js' */
/** @import { Section } from '../state/state' */
/** @import { Report } from '../types/wasm' */

const TYPES = { json: 'application/json', csv: 'text/csv', jsonl: 'application/jsonl' };

/**
 * @param {App} app
 * @param {Section} section the section that shows an error
 * @param {Report} report
 * @param {string} model
 * @param {keyof typeof TYPES} format
 */
export function saveReport(app, section, report, model, format) {
  return app.reports.exportReport(section, report, format, (text) => {
    saveBlob(new Blob([text], { type: TYPES[format] }), reportName(model, new Date(), format));
  });
}
