// Encoders without config.json, as users of image generators have them, on the page of dist/ in real Chromium: what is
// recognized is said, and WebGPU gives the vectors of the CPU.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshPage, see } from '../support/chromium.mjs';
import { startDist } from '../support/dist.mjs';

/** @import { Page } from 'playwright-core' */

const PROMPTS = ['a red cube', 'a blue ball'];
const MODELS = /** @type {const} */ ([
  {
    files: ['families/tiny-umt5/wan.pth', 'families/tiny-umt5/spiece.model'],
    card: /Familyumt5Recognized asUMT5, as each layer has relative biases: 3 layers of width 64/,
  },
  {
    files: [
      'families/tiny-clip-l/model.safetensors',
      ...['vocab.json', 'merges.txt'].map((name) => `families/tiny-clip-l/${name}`),
    ],
    card: /FamilyclipRecognized asCLIP by Hugging Face's names: 3 layers of width 64Decidedthe activation is quick_gelu/,
  },
  {
    files: ['families/tiny-gemma3/model.safetensors', 'families/tiny-gemma3/tokenizer.model'],
    card: /Familygemma3Recognized asGemma 3: 7 layers of width 60/,
  },
]);

const dist = startDist({ webgpu: true });

/** The vectors of the prompts by a model that is picked. @param {Page} page @param {typeof MODELS[number]} model */
async function vectorsOf(page, { files, card }) {
  await page.locator('#own').evaluate((details) => details.setAttribute('open', ''));
  await page.locator('#model-files').setInputFiles(files.map((name) => `tests/fixtures/${name}`));
  await see(page, '#model-facts', card);
  const fields = page.locator('#prompt-list textarea');
  while ((await fields.count()) > PROMPTS.length) await page.locator('#prompt-list button').last().click();
  for (const [at, prompt] of PROMPTS.entries()) await fields.nth(at).fill(prompt);
  await page.locator('#embed').click();
  await page.locator('#matrix:not([hidden])').waitFor();
  return page.evaluate(() => [.../** @type {any} */ (globalThis).granTed.last.embeddings.vectors]);
}

for (const model of MODELS) {
  test(`${model.files[0]} is recognized, and WebGPU computes what the CPU does`, async () => {
    const vectors = [];
    for (const device of ['webgpu', 'cpu']) {
      const { page, errors, close } = await freshPage(dist.browser);
      await page.goto(`${dist.url}?device=${device}`);
      await see(page, '#device-kind', device === 'cpu' ? /CPU/ : /WebGPU/);
      vectors.push((await vectorsOf(page, model)).flat(2));
      assert.deepEqual(errors, []);
      await close();
    }
    const [gpu, cpu] = vectors.map((all) => all.map(Number));
    assert.ok(cpu.length >= 2 * 60 && cpu.every(Number.isFinite));
    const apart = Math.max(...cpu.map((value, at) => Math.abs(value - gpu[at])));
    assert.ok(apart < 1e-4, `${apart}`);
  });
}
