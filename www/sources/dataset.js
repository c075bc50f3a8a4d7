// Sources of a TED-6K file: the sample that comes with the page, or a picked file. The worker parses it.
import { formatBytes } from '../figures/format.js';

/**
 * @typedef {object} DatasetSource
 * @property {string} name of the file
 * @property {boolean} sample whether it is the page's own sample
 * @property {() => Promise<Uint8Array>} read
 */

export const SAMPLE = 'ted-sample.json';
const MAX_BYTES = 256e6; // the whole benchmark has about 10 MB

/** @param {string} base the page's address @returns {DatasetSource} */
export function sampleDataset(base) {
  return {
    name: SAMPLE,
    sample: true,
    async read() {
      const response = await fetch(new URL(`data/${SAMPLE}`, base));
      if (!response.ok) throw new Error(`The server answered ${response.status} for \`${SAMPLE}\`.`);
      return new Uint8Array(await response.arrayBuffer());
    },
  };
}

/** @param {File} file @returns {DatasetSource} */
export function fileDataset(file) {
  return {
    name: file.name,
    sample: false,
    async read() {
      if (file.size > MAX_BYTES) {
        throw new Error(
          `\`${file.name}\` has ${formatBytes(file.size)}; a TED-6K file has about 10 MB, and at most ${formatBytes(MAX_BYTES)} are read.`,
        );
      }
      return new Uint8Array(await file.arrayBuffer());
    },
  };
}
