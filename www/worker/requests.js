// The worker's side of the wire: {id, method, params} -> {id, result} | {id, error} | {id, progress}.
// One call at a time, in the order of arrival; `cancel` is taken at once. worker.js gives the table of methods.
import { cancelled, named } from './errors.js';
import { turn } from './turn.js';

/**
 * @typedef {(value: object) => Promise<boolean>} OnProgress tells the page how far a call is; false: it is cancelled
 * @typedef {(params: any, progress: OnProgress, signal: AbortSignal) => unknown} Method its signal is aborted by
 *   `cancel`
 *
 * @typedef {{ postMessage(message: unknown, options?: StructuredSerializeOptions): void }} Sender
 * @typedef {{ addEventListener(type: 'message', listener: (event: MessageEvent) => void): void }} Listener
 * @typedef {Sender & Listener} Port
 */

/**
 * Answers the requests that come in on `port` with the methods of `table`.
 * @param {Port} port
 * @param {Record<string, Method>} table
 * @param {(error: unknown) => boolean} fatal called with each error; true: the worker is ending, no answer is sent
 */
export function answer(port, table, fatal) {
  /** @type {Map<number, AbortController>} */
  const open = new Map();
  let queue = Promise.resolve();

  port.addEventListener('message', ({ data: { id, method, params } }) => {
    if (method === 'cancel') {
      open.get(params.id)?.abort();
      return;
    }
    open.set(id, new AbortController());
    queue = queue.then(() => run(id, method, params));
  });

  /** @param {number} id @param {string} method @param {unknown} params */
  async function run(id, method, params) {
    const { signal } = /** @type {AbortController} */ (open.get(id));
    try {
      if (signal.aborted) throw cancelled('cancelled before it began');
      if (!Object.hasOwn(table, method)) throw named('NoMethod', `the worker has no method \`${method}\``);
      const result = await table[method](
        params,
        async (progress) => {
          port.postMessage({ id, progress });
          await turn();
          return !signal.aborted;
        },
        signal,
      );
      port.postMessage({ id, result }, { transfer: buffers(result) });
    } catch (error) {
      if (fatal(error)) return;
      const { name, message } = error instanceof Error ? error : named('Error', String(error));
      port.postMessage({ id, error: { code: name, message } });
    } finally {
      open.delete(id);
    }
  }
}

/** The buffers of a result's typed arrays, which are moved to the page and not copied. @param {unknown} result */
function buffers(result) {
  if (typeof result !== 'object' || result === null) return []; // a long string would be walked letter by letter
  return Object.values(result)
    .filter((value) => value instanceof Float32Array)
    .map((value) => value.buffer);
}
