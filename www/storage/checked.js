// Reads a stored file from front to back, as a load does. Each chunk is compared with what was downloaded before a
// byte of it is given. The browser's own SHA-256 does that during the work on the chunk before, at a tenth of the cost
// of hashing in wasm.
import { named } from '../worker/errors.js';
import { joined } from './bytes.js';
import { hash } from './hasher.js';
import { chunkCount, chunkRange } from './journal.js';

/** @import { Journal } from './journal.js' */

export class CheckedReader {
  #journal;
  #read;
  /** @type {Map<number, Promise<Uint8Array>>} the chunk that is read, and the next one */
  #chunks = new Map();
  /**
   * @type {Uint8Array[]} buffers of chunks that were read, for the next ones: new buffers would stay until the next
   *   garbage collection
   */
  #spare = [];

  /**
   * @param {Journal} journal the journal of a complete file
   * @param {(start: number, end: number, into: Uint8Array) => Promise<Uint8Array>} read
   */
  constructor(journal, read) {
    this.#journal = journal;
    this.#read = read;
  }

  /**
   * Reads bytes, which are good until the next read. Rejects with `DamagedChunk` and the index of the chunk.
   * @param {number} start
   * @param {number} end
   */
  async read(start, end) {
    const { header } = this.#journal;
    const [first, last] = [Math.floor(start / header.chunk), Math.floor((end - 1) / header.chunk)];
    for (const [index, chunk] of this.#chunks) {
      if (index >= first) continue;
      this.#chunks.delete(index);
      chunk.then(
        ({ buffer }) => this.#spare.push(new Uint8Array(buffer)),
        () => {},
      );
    }
    /** @type {Uint8Array[]} */
    const pieces = [];
    for (let index = first; index <= last; index++) {
      const chunk = this.#take(index);
      if (index + 1 < chunkCount(header)) this.#take(index + 1);
      const [from] = chunkRange(header, index);
      pieces.push((await chunk).subarray(Math.max(start - from, 0), end - from));
    }
    return pieces.length === 1 ? pieces[0] : joined(pieces, end - start);
  }

  /** @param {number} index */
  #take(index) {
    let chunk = this.#chunks.get(index);
    if (!chunk) {
      chunk = this.#check(index);
      chunk.catch(() => {}); // whoever reads the chunk is told
      this.#chunks.set(index, chunk);
    }
    return chunk;
  }

  /** @param {number} index */
  async #check(index) {
    const { header } = this.#journal;
    const [start, end] = chunkRange(header, index);
    const into = this.#spare.pop() ?? new Uint8Array(Math.min(header.chunk, header.size));
    const { bytes, digest } = await hash(await this.#read(start, end, into));
    if (bytes.length !== end - start || digest !== this.#journal.chunks.get(index)) {
      throw Object.assign(named('DamagedChunk', `bytes ${start} to ${end - 1} are damaged`), { index });
    }
    return bytes;
  }
}
