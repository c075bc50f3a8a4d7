// Errors on the wire between worker and page. The worker throws an `Error` whose `name` is a code; the page gets a
// `WorkerError` whose `code` is that name. Codes come from the wasm module, from the storage and from the worker
// itself.

/** An error that came from the worker; `code` names what a person can act on. */
export class WorkerError extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = 'WorkerError';
    this.code = code;
  }
}

/** An error with a code. @param {string} name the code @param {string} message a sentence */
export function named(name, message) {
  return Object.assign(new Error(message), { name });
}

/** The error that ends work which the person cancelled. @param {string} [message] */
export function cancelled(message = 'cancelled') {
  return named('Cancelled', message);
}

/**
 * Whether it is an error with this name: a code of ours, or one of the browser's.
 * @param {unknown} error
 * @param {string} name
 */
export function isNamed(error, name) {
  return error instanceof Error && error.name === name;
}

/** The code of an error that came from the worker; '' for any other. @param {unknown} error */
export function codeOf(error) {
  return error instanceof WorkerError ? error.code : '';
}

/** The text of whatever was thrown, fit to be shown. @param {unknown} error */
export function messageOf(error) {
  return shown(error instanceof Error ? error.message : String(error));
}

const MOST = 2000; // bytes of a message
const HIDDEN = /(?![\n\t])[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029]/gu;

/**
 * A message as the page shows it: cut to about 2 kB, with control characters and marks of direction written out, since
 * a stranger's file may be quoted in it.
 * @param {string} text
 * @param {number} [most] bytes
 */
export function shown(text, most = MOST) {
  const whole = text
    .slice(0, most + 1)
    .replace(HIDDEN, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
  if (3 * whole.length < most) return whole; // a unit of a text is at most three bytes
  const { read, written } = new TextEncoder().encodeInto(whole, new Uint8Array(most));
  return written < most && read === whole.length ? whole : `${whole.slice(0, read)}… (cut)`;
}

/** Whether the person did it, so that no message is needed. @param {unknown} error */
export function isQuiet(error) {
  return isRestart(error) || codeOf(error) === 'Cancelled';
}

/** Whether a large download waits for the person to agree to its size. @param {unknown} error */
export function isAsking(error) {
  return codeOf(error) === 'Agree';
}

/** Whether the worker was replaced while it worked. @param {unknown} error */
export function isRestart(error) {
  return codeOf(error) === 'Restarted';
}

/** Whether the worker ended, by a panic or by being replaced. @param {unknown} error */
export function isEnded(error) {
  return isRestart(error) || codeOf(error) === 'Panic';
}

/** Whether the worker's device is of no more use. @param {unknown} error */
export function isFatal(error) {
  return codeOf(error) === 'DeviceLost' || codeOf(error) === 'OutOfMemory';
}
