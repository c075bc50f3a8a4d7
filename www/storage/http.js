// Reads bytes of a URL, whatever the network does. A broken range request is continued where it broke, soon at first,
// then more and more patiently, as long as that helps; a transfer that stalls counts as broken. Errors that retrying
// cannot fix fail at once, each with its own message.
import { cancelled, isNamed, named } from '../worker/errors.js';
import { joined } from './bytes.js';

/**
 * @typedef {object} Remote a file as its server describes it
 * @property {string} url
 * @property {number} size
 * @property {string} etag '' if the server tells none
 * @property {string} modified '' if the server tells none
 *
 * @typedef {object} Timing
 * @property {number} tries the failures in a row that end a request
 * @property {number} pause ms: the first pause
 * @property {number} longest ms: the longest pause
 * @property {number} stall ms without a byte that count as a stall
 * @property {number} patience ms: the longest Retry-After that is waited for
 *
 * @typedef {object} Options
 * @property {AbortSignal} signal
 * @property {Timing} timing
 * @property {(sentence: string) => void} [trouble] called with what is waited for; '' when bytes come
 *
 * @typedef {{ bytes: Uint8Array, etag: string, modified: string }} Small a small file
 * @typedef {Error & { passing?: boolean, after?: number }} Fault passing: whether another try may help; after: the ms
 *   that the server asks to wait
 */

/** @type {Timing} */
export const TIMING = { tries: 6, pause: 500, longest: 60_000, stall: 20_000, patience: 120_000 };

/** @type {Record<string, string>} sentences about what is waited for, by the code of the fault */
const TROUBLES = {
  Read: 'The connection broke.',
  Stalled: 'The transfer stalled.',
  Busy: 'The server is busy.',
  Truncated: 'The server sent too little.',
};
const OPENING_TRIES = 3; // a wrong address should not take a minute to be called wrong
const STEP = 16 * 1024; // bytes after which failures are counted from 0 again
const BUFFER = 512 * 1024; // bytes of a body that are taken at once

/**
 * Asks for the size and version of a file, by its first bytes: some servers answer differently to HEAD or for one byte.
 * @param {string} url
 * @param {Options} options
 * @returns {Promise<Remote>}
 */
export async function openRemote(url, options) {
  const timing = { ...options.timing, tries: Math.min(options.timing.tries, OPENING_TRIES) };
  try {
    return await persist(url, { ...options, timing }, (attempt) =>
      attempt(
        async (response) => {
          checkStatus(url, response);
          const { size } = contentRange(response) ?? {};
          return { url, size: size ?? (await sizeByHead(url, options.signal)), ...versionOf(response) };
        },
        0,
        8,
      ),
    );
  } catch (error) {
    throw await explained(url, error, options.signal);
  }
}

/**
 * Fetches bytes `start` to `end` of a file. They are given to `take` in order, each once.
 * @param {Remote} remote
 * @param {number} start
 * @param {number} end
 * @param {(bytes: Uint8Array, at: number) => void} take
 * @param {Options} options
 */
export async function fetchRange(remote, start, end, take, options) {
  const { url } = remote;
  let at = start;
  await persist(url, options, async (attempt, moved) => {
    if (at === end) return; // it broke after its last byte
    const from = at;
    await attempt(
      async (response, read) => {
        checkStatus(url, response);
        checkVersion(remote, response);
        checkRange(url, response, at, end);
        await read((bytes) => {
          if (at + bytes.length > end) throw wrongRange(url, at, end, 'more bytes than that');
          take(bytes, at);
          at += bytes.length;
          if (at - from >= STEP || at === end) moved();
        });
      },
      at,
      end,
    );
    if (at < end)
      throw passing(
        'Truncated',
        `\`${url}\` is truncated: the server's answer from byte ${from} ends at byte ${at}, expected byte ${end}.`,
      );
  });
}

/**
 * Fetches a small file. null if there is none and it is `optional`.
 * @param {string} url
 * @param {{ most: number, optional?: boolean }} limits
 * @param {Options} options
 * @returns {Promise<Small | null>}
 */
export async function fetchSmall(url, { most, optional = false }, options) {
  const timing = { ...options.timing, tries: Math.min(options.timing.tries, OPENING_TRIES) };
  try {
    return await persist(url, { ...options, timing }, (attempt) =>
      attempt(async (response, read) => {
        if (response.status !== 200) checkStatus(url, response);
        /** @type {Uint8Array[]} */
        const parts = [];
        let size = 0;
        await read((bytes) => {
          size += bytes.length;
          if (size > most) throw named('TooLarge', `\`${url}\` has more than ${most} bytes, which no such file has.`);
          parts.push(bytes.slice());
        });
        return { bytes: joined(parts, size), ...versionOf(response) };
      }),
    );
  } catch (error) {
    if (optional && isNamed(error, 'NotFound')) return null;
    throw await explained(url, error, options.signal);
  }
}

/**
 * Asks for the version of a small file. Its size is not compared: it is hidden if the file is sent compressed.
 * @param {string} url
 * @param {AbortSignal} signal
 */
export async function versionOfSmall(url, signal) {
  const head = await fetch(url, { method: 'HEAD', cache: 'no-store', signal });
  return head.ok ? versionOf(head) : { etag: '', modified: '' };
}

/**
 * Whether both describe the same file, as far as the servers tell.
 * @param {Pick<Remote, 'size' | 'etag' | 'modified'>} a
 * @param {Pick<Remote, 'size' | 'etag' | 'modified'>} b
 */
export function sameVersion(a, b) {
  if (a.size !== b.size) return false;
  if (a.etag && b.etag) return a.etag === b.etag;
  return !a.modified || !b.modified || a.modified === b.modified;
}

/** @param {string} url */
export function changed(url) {
  return named(
    'Changed',
    `The file at \`${url}\` has changed on its server while it was being downloaded. What was stored of it is dropped: load it again to get the new one.`,
  );
}

// --- tries ---

/**
 * Gives the body of a response to `take`, in pieces that are good until `take` returns.
 * @typedef {(take: (bytes: Uint8Array) => void) => Promise<void>} ReadBody
 */

/**
 * One request, of a range or of the whole file.
 * @template T
 * @typedef {(work: Work<T>, start?: number, end?: number) => Promise<T>} Attempt
 */

/**
 * The work on the response to a request.
 * @template T
 * @typedef {(response: Response, read: ReadBody) => Promise<T>} Work
 */

/**
 * Tries until it works.
 * @template T
 * @param {string} url
 * @param {Options} options
 * @param {(attempt: Attempt<any>, moved: () => void) => Promise<T>} work calls `moved` when bytes have come, so that
 *   failures are counted from 0 again
 * @returns {Promise<T>}
 */
async function persist(url, { signal, timing, trouble = () => {} }, work) {
  for (let failures = 0; ;) {
    try {
      return await work(
        (...request) => once(url, signal, timing, ...request),
        () => {
          failures = 0;
          trouble('');
        },
      );
    } catch (error) {
      if (signal.aborted) throw cancelled();
      const fault = /** @type {Fault} */ (error);
      const asked = fault.after ?? 0;
      if (!fault.passing || ++failures >= timing.tries || asked > timing.patience) throw fault;
      const pause = Math.min(timing.longest, timing.pause * 4 ** (failures - 1)) * (0.5 + Math.random() / 2);
      trouble(`${TROUBLES[fault.name] ?? fault.message} Trying again…`);
      await sleep(Math.max(pause, asked), signal);
      while (globalThis.navigator?.onLine === false) {
        trouble('There is no network. The download goes on when it is back.');
        await sleep(timing.pause, signal);
      }
    }
  }
}

/**
 * Makes one request. It is given up if no byte comes for too long.
 * @template T
 * @param {string} url
 * @param {AbortSignal} signal
 * @param {Timing} timing
 * @param {Parameters<Attempt<T>>[0]} work
 * @param {number} [start]
 * @param {number} [end]
 * @returns {Promise<T>}
 */
async function once(url, signal, timing, work, start, end) {
  const stalled = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const moving = () => {
    clearTimeout(timer);
    timer = setTimeout(() => stalled.abort(), timing.stall);
  };
  const over = new AbortController(); // ends the rest of a body that nobody reads to its end
  moving();
  try {
    const response = await fetch(url, {
      headers: end === undefined ? {} : { range: `bytes=${start}-${end - 1}` },
      // the browser's cache need not hold what is stored here
      cache: end === undefined ? 'default' : 'no-store',
      signal: AbortSignal.any([signal, stalled.signal, over.signal]),
    });
    return await work(response, async (take) => {
      const next = pieces(/** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (response.body));
      for (;;) {
        moving();
        const bytes = await next();
        if (!bytes) return;
        take(bytes);
      }
    });
  } catch (error) {
    if (stalled.signal.aborted && !signal.aborted) {
      throw passing(
        'Stalled',
        `The transfer of \`${url}\` stalled: no byte came for ${Math.round(timing.stall / 1000)} s.`,
      );
    }
    if (error instanceof TypeError)
      throw passing('Read', `cannot read \`${url}\`: the connection broke (${error.message}).`);
    throw error;
  } finally {
    clearTimeout(timer);
    over.abort();
  }
}

/**
 * Gives the pieces of a body one after the other, null at its end. If the browser can do that, they come into one
 * buffer, each in the place of the last: a new buffer for each would stay until the next garbage collection.
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @returns {() => Promise<Uint8Array | null>}
 */
function pieces(body) {
  try {
    const reader = body.getReader({ mode: 'byob' });
    let buffer = new ArrayBuffer(BUFFER);
    return async () => {
      const { done, value } = await reader.read(new Uint8Array(buffer));
      if (value) buffer = value.buffer;
      return done ? null : (value ?? null);
    };
  } catch {
    const reader = body.getReader();
    return async () => (await reader.read()).value ?? null;
  }
}

/** @param {number} milliseconds @param {AbortSignal} signal */
function sleep(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(cancelled());
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve(undefined);
    }, milliseconds);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
}

// --- answers ---

/** Throws for any status but 206. @param {string} url @param {Response} response */
function checkStatus(url, response) {
  const { status } = response;
  const said = `the server answered ${`${status} ${response.statusText}`.trim()}`;
  if (status === 206) return;
  if (status === 200) {
    throw named(
      'NoRange',
      `the server of \`${url}\` does not support range requests: expected status 206, found 200; download the file and open it from disk instead`,
    );
  }
  if (status === 404 || status === 410) throw named('NotFound', `cannot read \`${url}\`: ${said}. Check the address.`);
  if (status === 401 || status === 403)
    throw named(
      'Denied',
      `cannot read \`${url}\`: ${said}. The file is not open to everyone: download it with your account and open it from disk.`,
    );
  if (status === 416)
    throw named('Changed', `cannot read \`${url}\`: ${said}. The file is shorter than it was, or empty.`);
  if ([408, 425, 429, 500, 502, 503, 504].includes(status)) {
    const after = retryAfter(response);
    const wait = after ? ` It asks to wait ${Math.ceil(after / 1000)} s.` : '';
    throw Object.assign(passing('Busy', `cannot read \`${url}\`: ${said}. The server is busy or broken.${wait}`), {
      after,
    });
  }
  throw named('Read', `cannot read \`${url}\`: ${said}.`);
}

/** @param {Remote} remote @param {Response} response */
function checkVersion(remote, response) {
  const { size } = contentRange(response) ?? remote;
  if (!sameVersion(remote, { size, ...versionOf(response) })) throw changed(remote.url);
}

/**
 * Throws if the range is another one than asked for; it may be shorter.
 * @param {string} url
 * @param {Response} response
 * @param {number} start
 * @param {number} end
 */
function checkRange(url, response, start, end) {
  const range = contentRange(response);
  if (range && (range.start !== start || range.end > end))
    throw wrongRange(url, start, end, `bytes ${range.start} to ${range.end - 1}`);
}

/** @param {string} url @param {number} start @param {number} end @param {string} found */
function wrongRange(url, start, end, found) {
  return named(
    'WrongRange',
    `the server of \`${url}\` answered a range request with other bytes: expected bytes ${start} to ${end - 1}, ` +
      `found ${found}; download the file and open it from disk instead`,
  );
}

/** `Content-Range: bytes 0-7/98362432`; null if the server does not show it. @param {Response} response */
function contentRange(response) {
  const [, start, last, size] =
    /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(response.headers.get('content-range') ?? '') ?? [];
  return size === undefined ? null : { start: Number(start), end: Number(last) + 1, size: Number(size) };
}

/** The version of a file. Weak and strong tags count alike, since the bytes are hashed. @param {Response} response */
function versionOf({ headers }) {
  return { etag: (headers.get('etag') ?? '').replace(/^W\//, ''), modified: headers.get('last-modified') ?? '' };
}

/**
 * Asks for the size by HEAD, for servers whose CORS hides Content-Range: the length of the whole file is still shown.
 * @param {string} url
 * @param {AbortSignal} signal
 */
async function sizeByHead(url, signal) {
  const head = await fetch(url, { method: 'HEAD', cache: 'no-store', signal });
  const size = Number(head.headers.get('content-length') ?? NaN);
  if (!head.ok || !Number.isSafeInteger(size) || head.headers.has('content-encoding')) {
    throw named(
      'NoSize',
      `cannot read \`${url}\`: the server does not tell the file's size; download the file and open it from disk instead`,
    );
  }
  return size;
}

/** The ms of Retry-After, which is in seconds or a date. @param {Response} response */
function retryAfter({ headers }) {
  const value = headers.get('retry-after') ?? '';
  const milliseconds = /^\d{1,9}$/.test(value) ? 1000 * Number(value) : Date.parse(value) - Date.now();
  return milliseconds > 0 ? milliseconds : 0;
}

/**
 * Explains an error of a request: it never arrived, or the browser refused the answer.
 * @param {string} url
 * @param {unknown} error
 * @param {AbortSignal} signal
 */
async function explained(url, error, signal) {
  const { name, passing } = /** @type {Fault} */ (error);
  if (name !== 'Read' || !passing) return error;
  if (globalThis.location?.protocol === 'https:' && url.startsWith('http:')) {
    return named('Read', `cannot read \`${url}\`: a page that came by https: may not read http: addresses.`);
  }
  if (globalThis.navigator?.onLine === false) return named('Read', `cannot read \`${url}\`: there is no network.`);
  if (globalThis.location?.origin === new URL(url).origin) return error;
  try {
    await fetch(url, { method: 'HEAD', mode: 'no-cors', cache: 'no-store', signal });
  } catch {
    return error;
  }
  return named(
    'NoCors',
    `cannot read \`${url}\`: its server is there, but does not let pages of other sites read the file (CORS); download the file and open it from disk instead`,
  );
}

/** @param {string} code @param {string} message @returns {Fault} */
function passing(code, message) {
  return Object.assign(named(code, message), { passing: true });
}
