// How models are held, in real Chromium on WebGPU (SwiftShader): whole and layer by layer, from one file and from shards, and
// what happens when the device has too little memory, too small buffers, or goes away.
// GRAN_TED_MODEL names another model than the small random one: `./build.sh generate 8b`, see the README.
import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { serve } from '../serve.mjs';
import { freshPage, launch, see } from './support/chromium.mjs';
import { faultServer } from './support/fault-server.mjs';
import { siteWith } from './support/site.mjs';

/** @import { Browser, Page } from 'playwright-core' */
/** @import { TestContext } from 'node:test' */
/** @import { ModelCard } from '../www/types' */

const MODEL = process.env.GRAN_TED_MODEL ?? '.cache/models/generated-small.gguf';
const LARGE = 'GRAN_TED_MODEL' in process.env;
const BUDGET = LARGE ? '1000' : '45'; // MB
const LONG = LARGE ? 3_600_000 : 300_000;
const PROMPT = 'a red cube to the left of a blue ball on a table';

/** @type {Browser} */
let browser;
/** @type {Awaited<ReturnType<typeof serve>>} */
let site;

before(async () => {
  site = await serve({ root: 'dist' });
  browser = await launch({ webgpu: true });
});

after(async () => {
  await browser?.close();
  site?.close();
});

/** @param {TestContext} t @param {{ url?: string, device?: string }} [options] */
async function open(t, { url = site.url, device = 'webgpu' } = {}) {
  const { page, errors, close } = await freshPage(browser);
  t.after(close);
  page.setDefaultTimeout(LONG);
  await page.goto(`${url}?device=${device}`);
  await page.locator('#device-reason', { hasText: 'As asked for' }).waitFor();
  return { page, errors };
}

/** @param {Page} page @param {string} panel */
async function unfold(page, panel) {
  if (!(await page.locator(`${panel} > :not(summary)`).first().isVisible())) await page.locator(`${panel} > summary`).click();
}

/** @param {Page} page @param {string} budget MB @param {string} [quantize] */
async function hold(page, budget, quantize = '') {
  await unfold(page, '#options');
  await page.locator('#quantize').selectOption(quantize);
  await page.locator('#budget').fill(budget);
  await page.locator('#budget').press('Tab');
}

/** @param {Page} page @param {string} url */
async function loadUrl(page, url) {
  await unfold(page, '#own');
  await page.locator('#model-url').fill(url);
  await page.locator('#model-url-form button').click();
}

/** The model's facts are there, or why they are not. @param {Page} page */
async function loaded(page) {
  await page.locator('#model-facts, #model-error:not(:empty), #panic').locator('visible=true').first().waitFor();
  assert.equal(await page.locator('#model-error').textContent(), '');
  assert.equal(await page.locator('#panic-message').textContent(), '');
}

/** The vectors of the prompts. @param {Page} page @param {string[]} prompts @returns {Promise<number[]>} */
async function embed(page, prompts = [PROMPT]) {
  const fields = page.locator('#prompt-list textarea');
  while ((await fields.count()) > prompts.length) await page.locator('#prompt-list button').last().click();
  while ((await fields.count()) < prompts.length) await page.locator('#prompt-add').click();
  for (const [at, prompt] of prompts.entries()) await fields.nth(at).fill(prompt);
  await page.locator('#embed:not([disabled])').click();
  await page.locator('#embed:not([disabled])').waitFor({ timeout: LONG });
  assert.equal(await page.locator('#prompts-error').textContent(), '');
  return page.evaluate(() => [.../** @type {any} */ (globalThis).granTed.last.embeddings.vectors]);
}

/** Memory of the browser's processes now, by kind; bytes. */
async function memory() {
  /** @type {Record<string, number>} */
  const sums = {};
  for (const id of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const [command, status] = await Promise.all(['cmdline', 'status'].map((name) => readFile(`/proc/${id}/${name}`, 'utf8').catch(() => '')));
    const kind = /--type=(renderer|gpu-process)/.exec(command)?.[1];
    if (kind && command.includes('chrom')) sums[kind] = (sums[kind] ?? 0) + 1024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
  }
  return sums;
}

/** The highest that `memory` gets while `work` goes on. @template T @param {() => Promise<T>} work */
async function peak(work) {
  /** @type {Record<string, number>} */
  const most = {};
  let going = true;
  const watching = (async () => {
    while (going) {
      for (const [kind, bytes] of Object.entries(await memory())) most[kind] = Math.max(most[kind] ?? 0, bytes);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  })();
  try {
    return { result: await work(), most };
  } finally {
    going = false;
    await watching;
  }
}

/** @param {Page} page */
async function heap(page) {
  const text = (await page.locator('#model-facts').textContent()) ?? '';
  const [, amount, unit] = /Page memory([\d.]+)\s(MB|GB)/.exec(text) ?? [];
  return Number(amount) * (unit === 'GB' ? 1000 : 1);
}

/** @param {number} bytes */
const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`;

test('a model of Q4_K and Q6_K embeds a prompt whole and layer by layer, with equal results', { timeout: 2 * LONG }, async (t) => {
  const { page, errors } = await open(t);
  await unfold(page, '#own');
  const { size } = await stat(MODEL);
  /** @type {Record<string, number[]>} */
  const vectors = {};
  for (const [held, budget] of [['whole', ''], ['streamed', BUDGET]]) {
    const before = await memory();
    const started = performance.now();
    const { most } = await peak(async () => {
      await hold(page, budget);
      if (held === 'whole') await page.locator('#model-files').setInputFiles(MODEL);
      else await page.locator('#model-load').click();
      await loaded(page);
    });
    const done = performance.now();
    await see(page, '#model-facts', held === 'whole' ? /qwen3vl.*Device memory[\d.]+\s[MG]BPage/ : /Device memoryup to .* layer by layer/);
    const { result, most: working } = await peak(() => embed(page));
    vectors[held] = result;
    const used = await heap(page);
    t.diagnostic(`${held}: ${megabytes(size)} loaded in ${((done - started) / 1000).toFixed(1)} s, ${PROMPT.split(' ').length} words embedded in ${((performance.now() - done) / 1000).toFixed(1)} s; wasm heap ${used} MB; ` +
      Object.entries(most).map(([kind, bytes]) => `${kind} ${megabytes(before[kind] ?? 0)} before, at most ${megabytes(bytes)} loading, ${megabytes(working[kind])} embedding`).join('; '));
    assert.ok(used < 256, `the wasm heap has ${used} MB`);
  }
  assert.equal(vectors.whole.length, LARGE ? vectors.whole.length : 1024);
  assert.deepEqual(vectors.streamed, vectors.whole);
  assert.deepEqual(errors, []);
});
