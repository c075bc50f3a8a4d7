// The engines under test: how each is opened, and how it embeds a workload. All run in the same Chromium on the same token ids.
import { readFileSync } from 'node:fs';
import { serve } from '../../serve.mjs';
import { freshPage, launch } from '../support/chromium.mjs';
import { peakMemory } from './memory.mjs';

/**
 * @typedef {{ text: string, ids: number[] }} Text
 * @typedef {Record<string, Text[]>} Workloads name -> texts
 * @typedef {{ milliseconds: number, tokens?: number[], vectors: number[][] }} Embedded tokens: of each text, where the engine tokenizes
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
  'ort-webgpu': { title: 'ONNX Runtime Web, WebGPU', kind: 'gpu', ours: false, open: () => openPeer('ort.html', 'smol.q4.onnx', 'webgpu') },
  'ort-wasm': { title: 'ONNX Runtime Web, wasm', kind: 'cpu', ours: false, open: () => openPeer('ort.html', 'smol.q4.onnx', 'wasm') },
  wllama: { title: 'wllama, wasm', kind: 'cpu', ours: false, open: () => openPeer('wllama.html', MODEL) },
};

/** A browser of its own, so that its memory is this engine's. @param {string} root */
async function openBrowser(root) {
  const site = await serve({ root });
  const browser = await launch({ webgpu: true });
  const { page } = await freshPage(browser);
  page.setDefaultTimeout(CALL);
  return {
    site,
    page,
    memory: peakMemory,
    version: browser.version(),
    async close() {
      await browser.close();
      site.close();
    },
  };
}

/** The page itself, worked as a person does. @param {'webgpu' | 'cpu'} device @returns {Promise<Open>} */
async function openOurs(device) {
  const { site, page, memory, close } = await openBrowser('dist');
  await page.goto(`${site.url}?device=${device}`);
  return {
    memory,
    close,
    async load() {
      await page.locator('#model-load').click();
      await page.locator('#model-facts').waitFor();
      await page.locator('#feature').selectOption('last'); // what the peers give
    },
    async embed(texts) {
      const fields = page.locator('#prompt-list textarea');
      while ((await fields.count()) > texts.length) await page.locator('#prompt-list button').last().click();
      while ((await fields.count()) < texts.length) await page.locator('#prompt-add').click();
      for (const [at, { text }] of texts.entries()) await fields.nth(at).fill(text);
      await page.locator('#embed:not([disabled])').click();
      await page.locator('#embed[disabled]').waitFor({ timeout: 5_000 }).catch(() => {}); // may be over by now
      await page.locator('#embed:not([disabled])').waitFor();
      const error = await page.locator('#prompts-error').textContent();
      if (error) throw new Error(error);
      return page.evaluate(() => {
        const { milliseconds, tokens, vectors, dimension } = /** @type {any} */ (globalThis).granTed.last.embeddings;
        const vector = (/** @type {number} */ at) => [...vectors.slice(at * dimension, (at + 1) * dimension)];
        return { milliseconds, tokens, vectors: tokens.map((/** @type {number} */ _, /** @type {number} */ at) => vector(at)) };
      });
    },
  };
}

/** @param {string} html @param {string[]} parameters of its `load`, the model first @returns {Promise<Open>} */
async function openPeer(html, ...parameters) {
  const { site, page, memory, close } = await openBrowser(WORK);
  /** @param {string} method @param {unknown[]} args @returns {Promise<any>} */
  const call = (method, ...args) => within(CALL, page.evaluate(([name, values]) => /** @type {any} */ (globalThis).engine[/** @type {string} */ (name)](.../** @type {unknown[]} */ (values)), [method, args]));
  await page.goto(`${site.url}${html}`);
  await page.waitForFunction('globalThis.engine');
  return {
    memory,
    close,
    load: () => call('load', new URL(parameters[0], site.url).href, ...parameters.slice(1)),
    embed: (texts) => call('embed', texts.map(({ ids }) => ids)),
  };
}

/** @template T @param {number} ms @param {Promise<T>} promise @returns {Promise<T>} */
function within(ms, promise) {
  /** @type {NodeJS.Timeout} */
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(`no answer in ${ms / 1000} s`)), ms)));
  return /** @type {Promise<T>} */ (Promise.race([promise, late]).finally(() => clearTimeout(timer)));
}
