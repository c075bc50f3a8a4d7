// The storage in IndexedDB: one database, `gran-ted`, with two object stores. Worker and page open it separately.
//   vectors   [scope, key] -> Float32Array    finished texts, see vectors.js
//   kept      name -> { version, value }      what outlives a reload of the page, see state/keep.js
// The other storage is vault.js, with the model files; files.js reads a model from there, from the disk or from the
// web.

/**
 * @typedef {'vectors' | 'kept'} Table
 * @typedef {object} Database
 * @property {(table: Table, keys: IDBValidKey[]) => Promise<unknown[]>} get the values; undefined for a key that has
 *   none
 * @property {(table: Table, entries: [IDBValidKey, unknown][]) => Promise<void>} put writes all entries or none
 * @property {(table: Table, keys: IDBValidKey[]) => Promise<void>} remove
 * @property {(table: Table) => Promise<number>} count
 * @property {(table: Table) => Promise<void>} clear
 */

const NAME = 'gran-ted';
const VERSION = 1;

/**
 * Opens the database. Rejects if there is no storage, or the browser refuses it (a private window, a blocked site).
 * @see https://developer.mozilla.org/docs/Web/API/IndexedDB_API
 * @returns {Promise<Database>}
 */
export async function openDatabase() {
  const opening = indexedDB.open(NAME, VERSION); // reading `indexedDB` throws if the site may store nothing
  opening.addEventListener('upgradeneeded', () => {
    for (const table of ['vectors', 'kept']) opening.result.createObjectStore(table);
  });
  const database = await answerOf(opening);
  database.addEventListener('versionchange', () => database.close()); // another tab has a later version of the page

  /**
   * Runs one transaction over `table`, and waits until it is written.
   * @template T
   * @param {Table} table
   * @param {IDBTransactionMode} mode
   * @param {(store: IDBObjectStore) => T} work
   * @returns {Promise<T>}
   */
  const transact = async (table, mode, work) => {
    const transaction = database.transaction(table, mode, { durability: 'relaxed' });
    const result = work(transaction.objectStore(table));
    await new Promise((resolve, reject) => {
      transaction.addEventListener('complete', resolve);
      transaction.addEventListener('abort', () =>
        reject(transaction.error ?? new Error('the browser ended the transaction')),
      );
    });
    return result;
  };
  return {
    async get(table, keys) {
      const requests = await transact(table, 'readonly', (store) => keys.map((key) => store.get(key)));
      return requests.map(({ result }) => result);
    },
    put: (table, entries) =>
      transact(table, 'readwrite', (store) => entries.forEach(([key, value]) => store.put(value, key))),
    remove: (table, keys) => transact(table, 'readwrite', (store) => keys.forEach((key) => store.delete(key))),
    async count(table) {
      return (await transact(table, 'readonly', (store) => store.count())).result;
    },
    clear: (table) => transact(table, 'readwrite', (store) => void store.clear()),
  };
}

/** @template T @param {IDBRequest<T>} request @returns {Promise<T>} */
function answerOf(request) {
  return new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error));
    request.addEventListener('blocked', () => reject(new Error('another tab holds it open')));
  });
}

/** Why the database refused, as the end of a sentence. @param {unknown} error */
export function reason(error) {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (name === 'QuotaExceededError') return "the browser's storage for this site is full";
  if (name === 'ReferenceError' || name === 'TypeError') return 'this browser has no IndexedDB';
  return `the browser refuses its storage${message ? ` (${message.replace(/\.$/, '')})` : ''}`;
}
