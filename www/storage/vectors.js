// Keeps the vectors of finished texts for the worker, so that a run goes on after a pause, a reload or a crash
// (VectorStore in types/storage.d.ts), and the chosen kernels of adapters. A storage that is missing, refused or full
// never ends a run: it goes on without one, and says so once.
import { reason } from './database.js';

/** @import { VectorStore } from '../types/storage' */
/** @import { Database } from './database.js' */

const BATCH = 1000; // vectors in a transaction: a few MB

/**
 * @param {() => Promise<Database>} open
 * @param {(message: string) => void} told called with the reason why vectors are no longer kept, at most once
 * @returns {VectorStore}
 */
export function vectorStore(open, told) {
  /** @type {Promise<Database | null> | null} */
  let opening = null;
  const refused = (/** @type {unknown} */ error) => {
    opening = Promise.resolve(null);
    told(`Finished texts cannot be kept: ${reason(error)}. A reload of the page starts this run anew.`);
    return null;
  };
  const database = () => (opening ??= open().catch(refused));

  return {
    async get(scope, keys) {
      /** @type {(Float32Array | null)[]} */
      const vectors = [];
      for (const batch of batches(keys)) {
        const found = await (
          await database()
        )
          ?.get(
            'vectors',
            batch.map((key) => [scope, key]),
          )
          .catch(refused);
        vectors.push(...batch.map((_, at) => usable(found?.[at])));
      }
      return vectors;
    },
    async put(scope, keys, vectors) {
      for (const batch of batches(keys.map((key, at) => /** @type {const} */ ([key, vectors[at]])))) {
        // A copy: a view into the wasm heap would be stored with the whole heap behind it.
        await (
          await database()
        )
          ?.put(
            'vectors',
            batch.map(([key, vector]) => [[scope, key], vector.slice()]),
          )
          .catch(refused);
      }
    },
  };
}

/**
 * Keeps which kernels an adapter runs fastest, as the wasm module tells it, so that they are measured once.
 * @param {() => Promise<Database>} open
 */
export function tileStore(open) {
  /** @type {Promise<Database> | null} */
  let opening = null;
  const database = () => (opening ??= open());
  const key = (/** @type {string} */ adapter) => `tiles ${adapter}`;
  return {
    /** @param {string} adapter @returns {Promise<string | null>} */
    async get(adapter) {
      const found = await database()
        .then(({ get }) => get('kept', [key(adapter)]))
        .catch(() => []); // then they are measured again
      return typeof found[0] === 'string' ? found[0] : null;
    },
    /** @param {string} adapter @param {string | null} tiles null: there was nothing to choose */
    async put(adapter, tiles) {
      if (tiles)
        await database()
          .then(({ put }) => put('kept', [[key(adapter), tiles]]))
          .catch(() => {});
    },
  };
}

/** The value of the database, if it is a vector. @param {unknown} value @returns {Float32Array | null} */
function usable(value) {
  return value instanceof Float32Array && value.length > 0 && value.every(Number.isFinite) ? value : null;
}

/** @template T @param {T[]} list */
function batches(list) {
  return Array.from({ length: Math.ceil(list.length / BATCH) }, (_, at) => list.slice(at * BATCH, (at + 1) * BATCH));
}
