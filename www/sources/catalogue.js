// The catalogue (data/catalogue.json): public encoders worth comparing, with the addresses of their files.
import { hubFile } from './hub.js';
import { defaultSource, urlSource } from './model.js';

/** @import { ModelSource } from './model.js' */

/**
 * @typedef {object} Encoder
 * @property {string} name
 * @property {string} family the network's family, as the wasm module names it
 * @property {string} quantization
 * @property {string | null} repository a repository on the Hugging Face Hub; null: the default model, which comes with
 *   the page
 * @property {string[]} files the parts of one model
 * @property {string} revision
 * @property {string} sha256 the hash of its file; '' if it has several
 * @property {number} bytes
 * @property {number} device_bytes
 * @property {string} ran the device on which it was run with this page; '' if it was not
 * @property {string} note
 *
 * @typedef {{ source: string, encoders: Encoder[] }} Catalogue
 */

const FILE = 'catalogue.json';

/** @returns {Promise<Catalogue>} */
export async function readCatalogue() {
  const response = await fetch(new URL('../data/catalogue.json', import.meta.url));
  if (!response.ok) throw new Error(`The server answered ${response.status} for \`${FILE}\`.`);
  return response.json();
}

/** @param {Encoder} encoder @param {string} base the page's address @returns {ModelSource} */
export function encoderSource({ repository, files, revision, sha256, bytes }, base) {
  return repository === null
    ? defaultSource(base)
    : { ...urlSource(hubFile(repository, files[0], revision), sha256), bytes };
}
