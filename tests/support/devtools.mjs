// A page of Chromium without the driver of the browser tests, for measuring memory: that one makes the browser keep the
// bodies of a page's requests for it, up to 100 MB in the renderer. This one speaks the DevTools protocol itself, with
// no domain on.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { COMMON, executable, SWIFTSHADER } from './chromium.mjs';

/**
 * @typedef {object} BarePage
 * @property {(url: string) => Promise<void>} goto resolves when the page is loaded
 * @property {<A, R>(work: (argument: A) => R, argument?: A) => Promise<Awaited<R>>} evaluate runs work in the page; its
 *   argument and result travel as JSON
 * @property {(work: () => unknown, seconds?: number) => Promise<void>} until waits until `work` returns something true
 *   in the page
 * @property {() => Promise<void>} close
 */

/** Starts a browser on a fresh profile with one page, with WebGPU on SwiftShader. @returns {Promise<BarePage>} */
export async function barePage() {
  const profile = mkdtempSync(join(tmpdir(), 'gran-ted-bare-'));
  const child = spawn(
    executable(),
    [...COMMON, ...SWIFTSHADER, `--user-data-dir=${profile}`, '--remote-debugging-pipe', 'about:blank'],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] },
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const send = connect(
    /** @type {import('node:stream').Writable} */ (child.stdio[3]),
    /** @type {import('node:stream').Readable} */ (child.stdio[4]),
    ended,
  );
  const { targetInfos } = await send('Target.getTargets');
  const { targetId } = targetInfos.find((/** @type {{ type: string }} */ { type }) => type === 'page');
  const { sessionId } = await send('Target.attachToTarget', { targetId, flatten: true });
  const ask = (/** @type {string} */ method, params = {}) => send(method, params, sessionId);

  /** @type {BarePage['evaluate']} */
  const evaluate = async (work, argument) => {
    const expression = `(${work})(${JSON.stringify(argument) ?? ''})`;
    const { result, exceptionDetails } = await ask('Runtime.evaluate', {
      expression,
      awaitPromise: true,
      returnByValue: true,
    });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  /** @type {BarePage['until']} */
  const until = async (work, seconds = 300) => {
    for (
      const start = performance.now();
      !(await evaluate(work));
      await new Promise((resolve) => setTimeout(resolve, 50))
    ) {
      if (performance.now() - start > 1000 * seconds) throw new Error(`not so in ${seconds} s: ${work}`);
    }
  };
  return {
    evaluate,
    until,
    async goto(url) {
      await ask('Page.navigate', { url });
      await until(() => document.readyState === 'complete' && location.href !== 'about:blank');
    },
    async close() {
      await send('Browser.close').catch(() => {});
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/**
 * @param {import('node:stream').Writable} to
 * @param {import('node:stream').Readable} from
 * @param {Promise<unknown>} ended
 * @returns {(method: string, params?: object, sessionId?: string) => Promise<any>}
 */
function connect(to, from, ended) {
  /** @type {Map<number, { method: string, resolve: (result: any) => void, reject: (error: Error) => void }>} */
  const open = new Map();
  let count = 0;
  let text = '';
  from.setEncoding('utf8').on('data', (part) => {
    const messages = (text + part).split('\0');
    text = messages.pop() ?? '';
    for (const message of messages) {
      const { id, result, error } = JSON.parse(message);
      const call = open.get(id);
      open.delete(id);
      if (error) call?.reject(new Error(`${call.method}: ${error.message}`));
      else call?.resolve(result);
    }
  });
  ended.then(() => open.forEach(({ method, reject }) => reject(new Error(`${method}: the browser has ended`))));
  return (method, params = {}, sessionId) =>
    new Promise((resolve, reject) => {
      open.set(++count, { method, resolve, reject });
      to.write(`${JSON.stringify({ id: count, method, params, sessionId })}\0`);
    });
}
