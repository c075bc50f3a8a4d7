// The browser's storage: one IndexedDB database, `gran-ted`, with two object stores. Worker and page open it each for
// itself.
//   vectors   [scope, key] -> Float32Array    finished texts, see store.js
//   kept      name -> { version, value }      what outlives a reload of the page, see keep.js

/**
 * @typedef {'vectors' | 'kept'} Table
 * @typedef {object} Database
 * @property {(table: Table, keys: IDBValidKey[]) => Promise<unknown[]>} get undefined where there is nothing
 * @property {(table: Table, entries: [IDBValidKey, unknown][]) => Promise<void>} put all of them or none
 * @property {(table: Table, keys: IDBValidKey[]) => Promise<void>} remove
 * @property {(table: Table) => Promise<number>} count
 * @property {(table: Table) => Promise<void>} clear
 */

const NAME = 'gran-ted';
const VERSION = 1;

/**
 * Rejects where there is no storage, or the browser refuses it (a private window, a blocked site).
 * @returns {Promise<Database>}
 */
export async function openDatabase() {
  const opening = indexedDB.open(NAME, VERSION); // reading `indexedDB` throws where the site may store nothing
  opening.addEventListener('upgradeneeded', () => {
    for (const table of ['vectors', 'kept']) opening.result.createObjectStore(table);
  });
  const database = await answerOf(opening);
  database.addEventListener('versionchange', () => database.close()); // a later version of the page, in another tab

  /**
   * One transaction over `table`; done when it is written.
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
