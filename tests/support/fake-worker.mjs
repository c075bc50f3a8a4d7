// A worker without a thread: the page's client at one end, the worker's request loop at the other, and messages copied
// between them.
import { answer } from '../../www/worker/requests.js';

/** @import { Method } from '../../www/worker/requests.js' */

/**
 * @param {Record<string, Method>} table
 * @param {(error: unknown, panic: (message: string, code?: string) => void) => boolean} [fatal]
 */
export function fakeWorker(table, fatal = () => false) {
  const page = new EventTarget();
  const inside = new EventTarget();
  let ended = false;
  const send = (
    /** @type {EventTarget} */ to,
    /** @type {unknown} */ message,
    /** @type {StructuredSerializeOptions} */ options = {},
  ) => {
    const data = structuredClone(message, options);
    setImmediate(() => ended || to.dispatchEvent(new MessageEvent('message', { data })));
  };
  const worker = {
    postMessage: (/** @type {unknown} */ message) => send(inside, message),
    addEventListener: page.addEventListener.bind(page),
    dispatchEvent: page.dispatchEvent.bind(page),
    terminate: () => void (ended = true),
    panic: (/** @type {string} */ message, code = 'Panic') => send(page, { panic: message, code }),
    get ended() {
      return ended;
    },
  };
  const port = {
    postMessage: (/** @type {unknown} */ message, /** @type {StructuredSerializeOptions} */ options) =>
      send(page, message, options),
    addEventListener: (/** @type {string} */ type, /** @type {any} */ listener) =>
      inside.addEventListener(type, listener),
  };
  answer(port, table, (error) => fatal(error, worker.panic));
  return worker;
}
