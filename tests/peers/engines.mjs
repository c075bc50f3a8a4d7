// The engines under test: how each is opened, and how it embeds a workload. All run in the same Chromium on the same
// token ids.
import { readFileSync } from 'node:fs';
import { serve } from '../../serve.mjs';
import { barePage } from '../support/devtools.mjs';
import { peakMemory } from './memory.mjs';

/**
 * @typedef {{ text: string, ids: number[] }} Text
 * @typedef {Record<string, Text[]>} Workloads name -> texts
 * @typedef {object} Embedded
 * @property {number} milliseconds
 * @property {number[]} [tokens] the tokens of each text, if the engine tokenizes
 * @property {number[][]} vectors
 *
 * @typedef {object} Open
 * @property {() => Promise<void>} load
 * @property {(texts: Text[]) => Promise<Embedded>} embed
 * @property {() => Record<string, number>} memory peak bytes by kind of process
 * @property {() => Promise<void>} close
 * @typedef {{ title: string, kind: 'gpu' | 'cpu', ours: boolean, open: () => Promise<Open> }} Engine
 */

export const WORK = '.cache/peers';
const MODEL = 'models/SmolLM2-135M-Instruct.Q4_1.gguf';
const CALL = 300_000; // ms that one call may take

/** @type {Workloads} */
export const workloads = JSON.parse(readFileSync(new URL('./workload.json', import.meta.url), 'utf8'));

/** @type {Record<string, Engine>} */
export const engines = {
  'ours-webgpu': { title: 'gran-ted, WebGPU', kind: 'gpu', ours: true, open: () => openOurs('webgpu') },
  'ours-cpu': { title: 'gran-ted, CPU (wasm)', kind: 'cpu', ours: true, open: () => openOurs('cpu') },
  'ort-webgpu': {
    title: 'ONNX Runtime Web, WebGPU',
    kind: 'gpu',
    ours: false,
    open: () => openPeer('ort.html', 'smol.q4.onnx', 'webgpu'),
  },
  'ort-wasm': {
    title: 'ONNX Runtime Web, wasm',
    kind: 'cpu',
    ours: false,
    open: () => openPeer('ort.html', 'smol.q4.onnx', 'wasm'),
  },
  wllama: { title: 'wllama, wasm', kind: 'cpu', ours: false, open: () => openPeer('wllama.html', MODEL) },
};

/** Opens a browser for one engine alone, so that its memory is that engine's. @param {string} root */
async function openBrowser(root) {
  const site = await serve({ root });
  const page = await barePage();
  return {
    site,
    page,
    memory: peakMemory,
    async close() {
      await page.close();
      site.close();
    },
  };
}

/** Opens our page and works it as a person does. @param {'webgpu' | 'cpu'} device @returns {Promise<Open>} */
async function openOurs(device) {
  const { site, page, memory, close } = await openBrowser('dist');
  await page.goto(`${site.url}?device=${device}`);
  await page.until(
    () => /** @type {any} */ (globalThis).granTed && document.querySelector('#model-load:not([disabled])'),
  );
  return {
    memory,
    close,
    async load() {
      await page.evaluate(() => /** @type {HTMLElement} */ (document.getElementById('model-load')).click());
      await page.until(() => /** @type {any} */ (globalThis).granTed.last.model);
      await page.evaluate(() => {
        const feature = /** @type {HTMLSelectElement} */ (document.getElementById('feature'));
        feature.value = 'last'; // as the peers do
        feature.dispatchEvent(new Event('change', { bubbles: true }));
      });
    },
    async embed(texts) {
      await page.evaluate(
        (texts) => {
          const all = (/** @type {string} */ selector) =>
            /** @type {NodeListOf<any>} */ (document.querySelectorAll(`#prompt-list ${selector}`));
          while (all('textarea').length > texts.length) [...all('button')].at(-1).click();
          while (all('textarea').length < texts.length)
            /** @type {HTMLElement} */ (document.getElementById('prompt-add')).click();
          texts.forEach((text, at) => {
            const field = all('textarea')[at];
            field.value = text;
            field.dispatchEvent(new Event('input', { bubbles: true }));
          });
        },
        texts.map(({ text }) => text),
      );
      await page.evaluate(() => {
        Object.assign(globalThis, { before: /** @type {any} */ (globalThis).granTed.last.embeddings });
        /** @type {HTMLElement} */ (document.getElementById('embed')).click();
      });
      await page.until(() => {
        const { before, granTed } = /** @type {any} */ (globalThis);
        return (
          (granTed.last.embeddings && granTed.last.embeddings !== before) ||
          document.getElementById('prompts-error')?.textContent
        );
      });
      const error = await page.evaluate(() => document.getElementById('prompts-error')?.textContent);
      if (error) throw new Error(error);
      return page.evaluate(() => {
        const { milliseconds, tokens, vectors, dimension } = /** @type {any} */ (globalThis).granTed.last.embeddings;
        const vector = (/** @type {number} */ at) => [...vectors.slice(at * dimension, (at + 1) * dimension)];
        return {
          milliseconds,
          tokens,
          vectors: tokens.map((/** @type {number} */ _, /** @type {number} */ at) => vector(at)),
        };
      });
    },
  };
}

/**
 * @param {string} html
 * @param {string[]} parameters the parameters of its `load`, the model first
 * @returns {Promise<Open>}
 */
async function openPeer(html, ...parameters) {
  const { site, page, memory, close } = await openBrowser(WORK);
  /** @param {string} method @param {unknown[]} args @returns {Promise<any>} */
  const call = (method, ...args) =>
    within(
      CALL,
      page.evaluate(
        ([name, values]) =>
          /** @type {any} */ (globalThis).engine[/** @type {string} */ (name)](.../** @type {unknown[]} */ (values)),
        [method, args],
      ),
    );
  await page.goto(`${site.url}${html}`);
  await page.until(() => 'engine' in globalThis);
  return {
    memory,
    close,
    load: () => call('load', new URL(parameters[0], site.url).href, ...parameters.slice(1)),
    embed: (texts) =>
      call(
        'embed',
        texts.map(({ ids }) => ids),
      ),
  };
}

/** @template T @param {number} ms @param {Promise<T>} promise @returns {Promise<T>} */
function within(ms, promise) {
  /** @type {NodeJS.Timeout} */
  let timer;
  const late = new Promise(
    (_, reject) => (timer = setTimeout(() => reject(new Error(`no answer in ${ms / 1000} s`)), ms)),
  );
  return /** @type {Promise<T>} */ (Promise.race([promise, late]).finally(() => clearTimeout(timer)));
}
