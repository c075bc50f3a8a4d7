// The catalogue (catalogue.json): public encoders worth comparing, and where their files lie.
import { defaultSource, hubFile, urlSource } from './model.js';

/** @import { ModelSource } from './model.js' */

/**
 * @typedef {object} Encoder
 * @property {string} name
 * @property {string} family of this page's networks
 * @property {string} quantization
 * @property {string | null} repository on the Hugging Face Hub; null: the default model, beside the page
 * @property {string[]} files the parts of one model
 * @property {string} revision
 * @property {string} sha256 '' where it has several files
 * @property {number} bytes
 * @property {number} device_bytes
 * @property {string} ran where it was run with this page; '' where nobody did
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
