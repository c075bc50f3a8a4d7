// The small files of a model (config.json, tokenizer.json, an index of shards), each read as a whole from the
// browser's storage or else from the web. After the load they are stored as one chunk each, so that a stored model
// needs no server.
import { fetchSmall } from './http.js';
import { isComplete } from './journal.js';
import { nameOf } from './names.js';
import { sha256 } from './sha256.js';

/** @import { Options, Small } from './http.js' */
/** @import { Header } from './journal.js' */
/** @import { Vault } from './vault.js' */

export class SmallFiles {
  #vault;
  #options;
  #found;
  /** @type {Map<string, Small>} the files from the web, by URL */
  #fetched = new Map();
  /** @type {string[]} ids of the files that were stored before */
  #stored = [];

  /**
   * @param {Vault | null} vault
   * @param {Options} options
   * @param {(url: string, stored: Header) => void} found called for each file that was stored before
   */
  constructor(vault, options, found) {
    this.#vault = vault;
    this.#options = options;
    this.#found = found;
  }

  /**
   * Reads a file. null if there is none and it is `optional`.
   * @param {string} url
   * @param {{ most: number, optional?: boolean }} limits
   * @returns {Promise<Uint8Array | null>}
   */
  async read(url, limits) {
    const stored = await this.#read(url).catch(() => null); // whatever is wrong with it, the server has the file
    if (stored) return stored;
    const small = await fetchSmall(url, limits, this.#options);
    if (small?.bytes.length) this.#fetched.set(url, small);
    return small && small.bytes;
  }

  /** Stores the files after a load, which shows that they are right. Rejects if they can't be stored. */
  async keep() {
    // another tab may do the same
    for (const id of this.#stored) await this.#vault?.note(id, [{ used: Date.now() }]).catch(() => {});
    for (const [url, small] of this.#fetched) await this.#write(url, small);
  }

  /** @param {string} url */
  async #read(url) {
    if (!this.#vault) return null;
    const id = await this.#vault.idOf(url);
    const journal = await this.#vault.look(id);
    if (!journal || !isComplete(journal)) return null;
    const bytes = new Uint8Array(await (await this.#vault.file(id)).arrayBuffer());
    if ((await sha256(bytes)) !== journal.chunks.get(0)) return null;
    this.#stored.push(id);
    this.#found(url, journal.header);
    return bytes;
  }

  /** @param {string} url @param {Small} small */
  async #write(url, { bytes, etag, modified }) {
    if (!this.#vault) return;
    const id = await this.#vault.idOf(url);
    const store = await this.#vault.write(id);
    try {
      store.begin({
        version: 1,
        url,
        name: nameOf(url),
        size: bytes.length,
        etag,
        modified,
        chunk: bytes.length,
        created: Date.now(),
      });
      store.put(0, bytes, await sha256(bytes));
    } finally {
      const whole = store.has(0);
      store.close();
      if (!whole) await this.#vault.remove(id).catch(() => {});
    }
  }
}
