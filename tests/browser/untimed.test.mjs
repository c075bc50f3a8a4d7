// WebGPU on an adapter without `timestamp-query`, as some browsers and drivers have it, in real Chromium: it is used,
// its vectors are those of the adapter with it, and its times are the wall clock's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshPage, see } from '../support/chromium.mjs';
import { startDist } from '../support/dist.mjs';
import { siteWith } from '../support/site.mjs';

/** @import { Page } from 'playwright-core' */

const PROMPTS = ['a red cube to the left of a blue ball', 'a blue ball to the left of a red cube'];
/** Hides the feature, and refuses a device with it as such a browser does; a coarse clock, as Firefox has it. */
const UNTIMED = `
  const features = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, 'features').get;
  Object.defineProperty(GPUAdapter.prototype, 'features', {
    get() { return new Set([...features.call(this)].filter((feature) => feature !== 'timestamp-query')); },
  });
  const requestDevice = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = function (descriptor) {
    const asked = [...(descriptor?.requiredFeatures ?? [])];
    if (asked.includes('timestamp-query')) return Promise.reject(new TypeError('timestamp-query is not supported'));
    return requestDevice.call(this, descriptor);
  };
  const now = Performance.prototype.now;
  Performance.prototype.now = function () { return Math.floor(now.call(this)); };
`;

const dist = startDist({ webgpu: true });

/** Loads the default model, compares the prompts and gives their vectors. @param {Page} page @param {string} url */
async function vectorsOf(page, url) {
  await page.goto(url);
  await see(page, '#device-kind', /WebGPU/);
  const fields = page.locator('#prompt-list textarea');
  while ((await fields.count()) > PROMPTS.length) await page.locator('#prompt-list button').last().click();
  for (const [at, prompt] of PROMPTS.entries()) await fields.nth(at).fill(prompt);
  await page.locator('#embed').click();
  await page.locator('#matrix:not([hidden])').waitFor();
  await see(page, '#device-reason', /compute what the CPU does/);
  return page.evaluate(() => [.../** @type {any} */ (globalThis).granTed.last.embeddings.vectors]);
}

test('an adapter without timestamp-query is used, and gives the same vectors', async (t) => {
  const timed = await freshPage(dist.browser);
  const expected = await vectorsOf(timed.page, `${dist.url}?device=webgpu`);
  await timed.close();

  const untimed = await freshPage(dist.browser);
  const url = await siteWith(t, UNTIMED);
  assert.deepEqual(await vectorsOf(untimed.page, `${url}?device=webgpu`), expected);
  assert.deepEqual(untimed.errors, []);
  await untimed.close();
});

test('without timestamp-query the kernels are measured and the benchmark runs, by the wall clock', async (t) => {
  const { page, errors, close } = await freshPage(dist.browser);
  const url = await siteWith(t, UNTIMED);
  await page.goto(`${url}?device=webgpu&kernels=gpu&bench=20&tokens=16`);
  await page.locator('#bench-stage', { hasText: /which kernels this adapter runs fastest/ }).waitFor();
  await page.locator('#bench-download:not([hidden])').waitFor();
  const { clock, clock_reason, rows } = await page.evaluate(() => /** @type {any} */ (globalThis).granTed.last.bench);
  assert.deepEqual([clock, clock_reason], ['wall', 'the device has no clock of its own']);
  assert.ok(rows.length > 1);
  for (const { name, milliseconds } of rows) {
    assert.equal(milliseconds.clock, 'wall', name);
    // What is left of a pass beside its parts may be nothing.
    assert.ok(milliseconds.median > 0 || name === 'other', `${name}: ${milliseconds.median} ms`);
  }
  t.diagnostic(rows.map((/** @type {any} */ row) => `${row.name} ${row.milliseconds.median.toFixed(3)}`).join(', '));
  assert.deepEqual(errors, []);
  await close();
});
