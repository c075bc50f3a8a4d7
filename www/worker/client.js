// The page's end of the wire: requests keyed by id, typed errors, progress, cancel, and the end of everything by a
// panic.
import { shown, WorkerError } from './errors.js';

/** @import { Methods } from '../types/worker' */

/**
 * @typedef {{ postMessage(message: unknown): void, terminate(): void,
 *   addEventListener(type: 'message' | 'error', listener: (event: any) => void): void }} WorkerLike
 * @typedef {{ resolve(value: any): void, reject(error: WorkerError): void, progress?: (value: any) => void }} Request
 */

export class Client {
  /** @type {Map<number, Request>} */
  #open = new Map();
  #nextId = 1;
  /** @type {WorkerError | null} */
  #ended = null;
  #worker;

  /**
   * @param {WorkerLike} worker
   * @param {(message: string, code: string) => void} onPanic called once, after every open request was rejected
   * @param {(message: string) => void} [onNotice] called with what the worker says between its answers
   */
  constructor(worker, onPanic, onNotice = () => {}) {
    this.#worker = worker;
    const panic = (/** @type {string} */ message, code = 'Panic') => {
      if (this.#ended) return;
      this.end(code, message);
      onPanic(message, code);
    };
    worker.addEventListener('message', ({ data }) => {
      if ('panic' in data) panic(shown(data.panic), data.code);
      else if ('notice' in data) onNotice(shown(data.notice));
      else this.#receive(data);
    });
    worker.addEventListener('error', (event) => panic(event.message || 'the worker could not be started'));
  }

  /**
   * @template {keyof Methods} M
   * @param {M} method
   * @param {Methods[M]['params']} params
   * @param {object} [options]
   * @param {(value: Methods[M]['progress']) => void} [options.progress]
   * @param {AbortSignal} [options.signal] aborting it asks the worker to stop
   * @returns {Promise<Methods[M]['result']>}
   */
  call(method, params, { progress, signal } = {}) {
    if (this.#ended) return Promise.reject(this.#ended);
    const id = this.#nextId++;
    const cancel = () => this.#worker.postMessage({ method: 'cancel', params: { id } });
    const answer = new Promise((resolve, reject) => this.#open.set(id, { resolve, reject, progress }));
    this.#worker.postMessage({ id, method, params });
    if (signal?.aborted) cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    return answer.finally(() => signal?.removeEventListener('abort', cancel));
  }

  /**
   * Ends the worker. Every open request and every later call is rejected.
   * @param {string} code
   * @param {string} message
   */
  end(code, message) {
    this.#ended = new WorkerError(code, message);
    this.#worker.terminate();
    for (const { reject } of this.#open.values()) reject(this.#ended);
    this.#open.clear();
  }

  /**
   * @param {{ id: number, result?: unknown, error?: { code: string, message: string }, progress?: unknown }} message
   */
  #receive({ id, result, error, progress }) {
    const request = this.#open.get(id);
    if (!request) return;
    if (progress) return request.progress?.(progress);
    this.#open.delete(id);
    if (error) request.reject(new WorkerError(error.code, shown(error.message)));
    else request.resolve(result);
  }
}
