// Downloads a file while it is read: in chunks, a few at a time, each hashed and stored when it is complete. A read
// takes bytes from the storage or from a chunk in transit, and waits for those that have not come yet. Without storage
// only the chunks around the reader are held.
import { cancelled, isNamed } from '../worker/errors.js';
import { hash } from './hasher.js';
import { changed, fetchRange } from './http.js';

/** @import { Options, Remote, Timing } from './http.js' */
/** @import { Reader, StoredFile } from './vault.js' */
/**
 * @typedef {object} Piece a chunk in transit, or one that is held in memory
 * @property {Uint8Array} bytes
 * @property {number} start
 * @property {number} received
 * @property {boolean} away whether its bytes are away, in the hashing worker
 *
 * @typedef {{ file: Download, index: number }} Job
 */

export const CHUNK = 8 << 20;
const PARALLEL = 4;
const HELD = 4; // chunks that are held from the reader's place on, without storage
const SMALL = 1 << 20; // bytes: without storage, a read elsewhere of at most this is a request of its own

/** The files that share the connections. The chunk that a read waits for comes first, then those behind it. */
export class Pool {
  /** @type {Download[]} */
  #files = [];
  /** @type {Download | null} the file that is read now */
  #current = null;
  #running = 0;
  #ahead = false;
  /** Bytes that came over the network, for whatever purpose. */
  received = 0;
  /** What the download waits for, in a sentence; '' while bytes come. */
  trouble = '';
  /**
   * @type {Uint8Array[]} buffers of stored chunks, for the next ones: new buffers would stay until the next garbage
   *   collection
   */
  #spare = [];

  /** Takes a buffer. @param {number} length */
  buffer(length) {
    const at = this.#spare.findIndex(({ buffer }) => buffer.byteLength >= length);
    return at < 0 ? new Uint8Array(length) : new Uint8Array(this.#spare.splice(at, 1)[0].buffer, 0, length);
  }

  /** Gives a buffer back that nobody reads any more. @param {Uint8Array} bytes */
  giveBack(bytes) {
    if (this.#spare.length < PARALLEL) this.#spare.push(bytes);
  }

  /** @param {Download} file */
  add(file) {
    this.#files.push(file);
  }

  /** Fetches from now on also what no read has asked for, in the order of the files. */
  readAhead() {
    this.#ahead = true;
    this.wake();
  }

  /** @param {Download} [current] */
  wake(current) {
    this.#current = current ?? this.#current;
    for (let job; this.#running < PARALLEL && (job = this.#next());) {
      this.#running++;
      job.file.fetch(job.index).finally(() => {
        this.#running--;
        this.wake();
        if (!this.#running) this.#free();
      });
    }
  }

  /** Frees the buffers, since nothing is fetched now; at once, if the browser can do that. */
  #free() {
    for (const { buffer } of this.#spare.splice(0)) /** @type {any} */ (buffer).transfer?.(0);
  }

  /** @returns {Job | null} */
  #next() {
    const current = this.#current;
    const files = current ? [current, ...this.#files.filter((file) => file !== current)] : this.#files;
    for (const file of files) {
      const index = file.wanted();
      if (index !== null) return { file, index };
    }
    if (!this.#ahead) return null;
    for (const file of files) {
      const index = file.storing || file === current ? file.following() : null;
      if (index !== null) return { file, index };
    }
    return null;
  }
}

export class Download {
  #remote;
  /** @type {StoredFile | null} the stored file that chunks are put into */
  #store;
  /** @type {(Reader & { has: (index: number) => boolean }) | null} the stored file that chunks are read from */
  #stored;
  #pool;
  #chunk;
  #options;
  #told;
  #vouched;
  #ended = new AbortController();
  /** @type {Map<number, Piece>} */
  #pieces = new Map();
  /** @type {Set<number>} chunks that a read waits for */
  #wanted = new Set();
  #position = 0;
  /** The bytes of the last read; the next read overwrites them. */
  #read = new Uint8Array(0);
  /** @type {Error | null} */
  #failed = null;
  #wake = () => {};
  /** @type {Promise<void>} resolved when bytes have come */
  #news = Promise.resolve();
  /** Whether new chunks are put into the storage. */
  storing;

  /**
   * @param {Remote} remote
   * @param {StoredFile | null} store the stored file, begun for this very remote file
   * @param {Pool} pool
   * @param {object} options
   * @param {number} options.chunk
   * @param {boolean} options.storing whether new chunks are stored; false: only stored ones are read
   * @param {Timing} options.timing
   * @param {AbortSignal} options.signal
   * @param {(error: unknown) => void} options.full called once, with the error of a storage that takes no more
   * @param {() => boolean} options.vouched whether the SHA-256 of the whole file will be checked
   */
  constructor(remote, store, pool, { chunk, storing, timing, signal, full, vouched }) {
    this.#remote = remote;
    this.#store = this.#stored = store;
    this.#pool = pool;
    this.#chunk = store?.journal?.header.chunk ?? chunk;
    this.#told = full;
    this.#vouched = vouched;
    this.storing = storing && store !== null;
    /** @type {Options} */
    this.#options = {
      signal: AbortSignal.any([signal, this.#ended.signal]),
      timing,
      trouble: (sentence) => (pool.trouble = sentence),
    };
    this.#renew();
    pool.add(this);
  }

  get name() {
    return this.#remote.url;
  }

  get size() {
    return this.#remote.size;
  }

  /** The bytes that are here: stored, held or in transit. */
  get here() {
    let bytes = 0;
    for (let index = 0; index < this.#count; index++) {
      const [start, end] = this.#range(index);
      bytes += this.#stored?.has(index) ? end - start : (this.#pieces.get(index)?.received ?? 0);
    }
    return bytes;
  }

  /** Reads bytes, which are good until the next read. @param {number} start @param {number} end */
  async read(start, end) {
    const bytes = this.#room(end - start);
    if (!this.storing && end - start <= SMALL && !this.#isNear(start, end)) {
      await this.#fetch(start, end, (part, at) => bytes.set(part, at - start));
      return bytes;
    }
    this.#moveTo(start);
    for (let at = start; at < end;) {
      const index = Math.floor(at / this.#chunk);
      const stop = Math.min(end, this.#range(index)[1]);
      await this.#part(index, at, bytes.subarray(at - start, stop - start));
      at = stop;
      this.#moveTo(at);
    }
    return bytes;
  }

  /** @param {number} length */
  #room(length) {
    if (this.#read.length < length) this.#read = new Uint8Array(length);
    return this.#read.subarray(0, length);
  }

  /** The first chunk that a read waits for and that is not in transit. */
  wanted() {
    if (this.#failed) return null;
    return [...this.#wanted].sort((a, b) => a - b).find((index) => this.#isOpen(index)) ?? null;
  }

  /** The next chunk to fetch: from the reader's place on, then from the front. */
  following() {
    if (this.#failed) return null;
    const first = this.#position === this.size ? this.#count : Math.floor(this.#position / this.#chunk);
    const most = this.storing ? this.#count : Math.min(HELD, this.#count - first);
    for (let step = 0; step < most; step++) {
      const index = (first + step) % this.#count;
      if (this.#isOpen(index)) return index;
    }
    return null;
  }

  /** Fetches a chunk. Never rejects: an error is given to the readers. @param {number} index */
  async fetch(index) {
    const [start, end] = this.#range(index);
    const piece = { bytes: this.#pool.buffer(end - start), start, received: 0, away: false };
    this.#pieces.set(index, piece);
    try {
      await this.#fetch(start, end, (part, at) => {
        piece.bytes.set(part, at - start);
        piece.received = at - start + part.length;
        this.#pool.received += part.length;
        this.#renew();
      });
      await this.#keep(index, piece);
    } catch (error) {
      this.#pieces.delete(index);
      this.#fail(/** @type {Error} */ (error));
    }
    this.#renew();
  }

  /** Waits for what has been asked for, and with storage for the rest too. */
  async finish() {
    while (this.storing && !this.#failed && this.#missing()) {
      this.#pool.wake(this);
      await this.#news;
    }
    if (this.#failed) throw this.#failed;
  }

  /**
   * Ends the storing: the stored file is complete or takes no more. From now on it is only read, and the rest is
   * fetched.
   * @param {Reader | null} reader a reader of the stored file, which is closed as `store`
   */
  readOn(reader) {
    const journal = this.#store?.journal;
    this.#stored = !reader || !journal ? null : { has: (index) => journal.chunks.has(index), ...reader };
    this.#store = null;
    this.storing = false;
  }

  /** Stops reading the stored file. */
  letGo() {
    if (this.#store) return; // it is being filled
    this.#stored?.close();
    this.#stored = null;
  }

  /** Stops. Stored chunks stay. */
  close() {
    this.letGo();
    this.#failed ??= cancelled();
    this.#ended.abort();
    this.#pieces.clear();
    this.#renew();
  }

  // ---

  /**
   * Fetches bytes. Mirrors and the nodes of a network give one file several versions: after a change of version it is
   * tried once more, and if the SHA-256 will be checked, any version is accepted.
   * @param {number} start
   * @param {number} end
   * @param {(bytes: Uint8Array, at: number) => void} take
   */
  async #fetch(start, end, take) {
    try {
      await fetchRange(this.#remote, start, end, take, this.#options);
    } catch (error) {
      if (!isNamed(error, 'Changed')) throw error;
      const any = this.#vouched() ? { etag: '', modified: '' } : {};
      await fetchRange({ ...this.#remote, ...any }, start, end, take, this.#options);
    }
  }

  get #count() {
    return Math.ceil(this.#remote.size / this.#chunk);
  }

  /** @param {number} index @returns {[number, number]} */
  #range(index) {
    return [index * this.#chunk, Math.min((index + 1) * this.#chunk, this.#remote.size)];
  }

  /** @param {number} index */
  #isOpen(index) {
    return !this.#pieces.has(index) && !this.#stored?.has(index);
  }

  #missing() {
    for (let index = 0; index < this.#count; index++) if (!this.#stored?.has(index)) return true;
    return false;
  }

  /** @param {number} start @param {number} end */
  #isNear(start, end) {
    const first = Math.floor(this.#position / this.#chunk);
    const [from, to] = [Math.floor(start / this.#chunk), Math.floor((end - 1) / this.#chunk)];
    const held = (/** @type {number} */ index) => this.#pieces.has(index) || this.#stored?.has(index);
    return (from >= first && to < first + HELD) || (held(from) && held(to));
  }

  /**
   * Puts a part of a chunk into `into`, once it has come.
   * @param {number} index
   * @param {number} start
   * @param {Uint8Array} into
   */
  async #part(index, start, into) {
    const end = start + into.length;
    this.#wanted.add(index);
    try {
      for (;;) {
        if (this.#stored?.has(index)) {
          const bytes = await this.#stored.read(start, end, into);
          if (bytes.buffer !== into.buffer) into.set(bytes);
          return;
        }
        const piece = this.#pieces.get(index);
        if (piece && !piece.away && piece.start + piece.received >= end)
          return into.set(piece.bytes.subarray(start - piece.start, end - piece.start));
        if (this.#failed) throw this.#failed;
        this.#pool.wake(this);
        await this.#news;
      }
    } finally {
      this.#wanted.delete(index);
    }
  }

  /** Moves the reader, and drops what it has passed. @param {number} position */
  #moveTo(position) {
    this.#position = position;
    if (!this.storing) {
      for (const [index, { start, received, bytes }] of this.#pieces) {
        if (start + bytes.length <= position && received === bytes.length && !this.#wanted.has(index))
          this.#drop(index, bytes);
      }
    }
    this.#pool.wake(this);
  }

  /** @param {number} index @param {Piece} piece */
  async #keep(index, piece) {
    if (!this.#store || !this.storing) return;
    piece.away = true;
    const { bytes, digest } = await hash(piece.bytes);
    Object.assign(piece, { bytes, away: false });
    if (this.#ended.signal.aborted || !this.storing) return;
    try {
      this.#store.put(index, bytes, digest);
      this.#drop(index, bytes);
    } catch (error) {
      this.storing = false;
      this.#told(error);
    }
  }

  /** Drops a piece. @param {number} index @param {Uint8Array} bytes */
  #drop(index, bytes) {
    this.#pieces.delete(index);
    this.#pool.giveBack(bytes);
  }

  /** @param {Error & { passing?: boolean }} error */
  #fail(error) {
    if (this.#failed) return;
    if (error.name === 'Changed') {
      this.letGo();
      this.#store?.discard();
      this.#store = this.#stored = null;
      this.storing = false;
    }
    if (error.passing && this.storing) error.message += ' What has come is stored: load it again to go on from there.';
    this.#failed = error.name === 'Changed' ? changed(this.#remote.url) : error;
    this.#ended.abort(); // ends the other chunks of this file
  }

  #renew() {
    this.#wake();
    this.#news = new Promise((resolve) => (this.#wake = resolve));
  }
}
