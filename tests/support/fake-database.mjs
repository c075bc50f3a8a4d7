// The browser's IndexedDB (www/storage/database.js) in memory: values are copied in and out, and it can be told to
// fail.

/** @import { Database } from '../../www/storage/database.js' */

/** Makes a database. Two of them with the same `tables` are two tabs. @param {Map<string, unknown>} [tables] */
export function fakeDatabase(tables = new Map()) {
  const at = (/** @type {string} */ table, /** @type {unknown} */ key) => `${table} ${JSON.stringify(key)}`;
  const own = (/** @type {string} */ table) => [...tables.keys()].filter((key) => key.startsWith(`${table} `));
  const log = /** @type {string[]} */ ([]);
  const fake = {
    tables,
    log,
    /** @type {string | null} the name of the error that every write ends in */
    full: null,
    /** @type {Database} */
    database: {
      async get(table, keys) {
        log.push(`get ${keys.length}`);
        return keys.map((key) => structuredClone(tables.get(at(table, key))));
      },
      async put(table, entries) {
        if (fake.full) throw Object.assign(new Error('no'), { name: fake.full });
        log.push(`put ${table === 'kept' ? entries.map(([key]) => key).join() : entries.length}`);
        for (const [key, value] of entries) tables.set(at(table, key), structuredClone(value));
      },
      async remove(table, keys) {
        for (const key of keys) tables.delete(at(table, key));
      },
      count: async (table) => own(table).length,
      async clear(table) {
        for (const key of own(table)) tables.delete(key);
      },
    },
    open: async () => fake.database,
  };
  return fake;
}
