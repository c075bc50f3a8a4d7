// Hashes large pieces with the browser's own SHA-256, in a worker of its own that is replaced now and then. Chromium
// frees the buffers that it copies for `digest` only when that worker's heap is collected, and an idle heap never is.
// Without workers (Node.js) pieces are hashed in place.
import { hex } from './sha256.js';

const MOST = 32 << 20; // bytes that one worker hashes
const IDLE = 1000; // ms after which an idle worker ends

/**
 * @typedef {object} Hashed
 * @property {string} digest
 * @property {Uint8Array} bytes the hashed bytes, which replace the ones that were given
 *
 * @typedef {{ resolve: (hashed: Hashed) => void, reject: (error: Error) => void }} Call
 */

class HashingWorker {
  /** The bytes that it was given. */
  taken = 0;
  /** The pieces that it has not answered yet. */
  open = 0;
  #worker = new Worker(new URL('./sha256-worker.js', import.meta.url));
  /** @type {Map<number, Call>} */
  #calls = new Map();
  #count = 0;
  /** @type {Promise<boolean>} whether it started: a browser may refuse workers of workers */
  #started;

  constructor() {
    this.#started = new Promise((resolve) => {
      this.#worker.onerror = ({ message }) => {
        resolve(false);
        this.#calls.forEach(({ reject }) => reject(new Error(message)));
      };
      this.#worker.onmessage = ({ data }) => {
        if (data === 'started') return resolve(true);
        const call = this.#calls.get(data.id);
        this.#calls.delete(data.id);
        if (data.error) call?.reject(new Error(data.error));
        else call?.resolve({ digest: hex(data.digest), bytes: data.bytes });
      };
    });
  }

  /**
   * Hashes bytes. null if the worker did not start; the bytes are then unchanged.
   * @param {Uint8Array} bytes
   * @returns {Promise<Hashed | null>}
   */
  async hash(bytes) {
    this.taken += bytes.length;
    this.open++;
    try {
      if (!(await this.#started)) return null;
      return await new Promise((resolve, reject) => {
        this.#calls.set(++this.#count, { resolve, reject });
        this.#worker.postMessage({ id: this.#count, bytes }, [bytes.buffer]);
      });
    } finally {
      this.open--;
    }
  }

  end() {
    this.#worker.terminate();
  }
}

/** @type {HashingWorker | null} the worker that takes more pieces */
let current = null;
let refused = !('Worker' in globalThis);
/** @type {ReturnType<typeof setTimeout> | undefined} */
let idle;

/** Hashes a piece that has its buffer for itself. @param {Uint8Array} bytes @returns {Promise<Hashed>} */
export async function hash(bytes) {
  const hashed = refused ? null : await hashElsewhere(bytes);
  return (
    hashed ?? {
      digest: hex(await crypto.subtle.digest('SHA-256', /** @type {Uint8Array<ArrayBuffer>} */ (bytes))),
      bytes,
    }
  );
}

/** @param {Uint8Array} bytes */
async function hashElsewhere(bytes) {
  clearTimeout(idle);
  if (current && current.taken + bytes.length > MOST) {
    if (!current.open) current.end(); // otherwise it ends when it has answered
    current = null;
  }
  const worker = (current ??= new HashingWorker());
  try {
    const hashed = await worker.hash(bytes);
    refused ||= hashed === null;
    return hashed;
  } finally {
    if (worker !== current && !worker.open) worker.end();
    idle = setTimeout(() => {
      if (current?.open) return;
      current?.end();
      current = null;
    }, IDLE);
  }
}
