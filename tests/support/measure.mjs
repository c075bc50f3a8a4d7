// Measures start and speed of the page in dist/ on each device, in one browser: `./build.sh bench`. Two captions of the
// sample, embedded once to compile the pipelines and three times more; the median counts. Long tasks are those over 50
// ms on the page's own thread, from its start to the first comparison.
import { readFile, stat } from 'node:fs/promises';
import { serve } from '../../serve.mjs';
import { freshPage, launch } from './chromium.mjs';
import { startTimes } from './start.mjs';
import { pageBytes, watchLongTasks } from './visit.mjs';

const captions = Object.values(JSON.parse(await readFile('dist/data/ted-sample.json', 'utf8')))
  .slice(0, 2)
  .map(({ caption }) => caption);
const site = await serve({ root: 'dist' });
const browser = await launch({ webgpu: true });

for (const device of ['webgpu', 'cpu']) {
  const { page, close } = await freshPage(browser);
  page.setDefaultTimeout(300_000);
  const longTasks = await watchLongTasks(page);
  await page.goto(`${site.url}?device=${device}`);
  await page.locator('#model-load').click();
  await page.locator('#model-facts').waitFor();
  const fields = page.locator('#prompt-list textarea');
  while ((await fields.count()) > captions.length) await page.locator('#prompt-list button').last().click();
  for (const [at, caption] of captions.entries()) await fields.nth(at).fill(caption);

  const times = [];
  let tokens = 0;
  for (let run = 0; run < 4; run++) {
    await page.locator('#embed:not([disabled])').click();
    await page.locator('#embed[disabled]').waitFor();
    await page.locator('#embed:not([disabled])').waitFor();
    const { milliseconds, tokens: counts } = await page.evaluate(
      () => /** @type {any} */ (globalThis).granTed.last.embeddings,
    );
    times.push(milliseconds);
    tokens = counts.reduce((/** @type {number} */ sum, /** @type {number} */ count) => sum + count, 0);
  }
  const tasks = await longTasks();
  console.log(
    `${device}: ${tasks.length} long tasks${tasks.map(({ at, milliseconds }) => `, ${milliseconds} ms at ${at} ms`).join('')}`,
  );
  const [first, ...rest] = times;
  const median = rest.sort((a, b) => a - b)[1];
  const facts = await page.locator('#model-facts').textContent();
  const [, heap, load] = /Page memory(.*?B)Loaded in(.*?s)SHA/.exec(facts ?? '') ?? [];
  console.log(
    `${device}: ${tokens} tokens in ${Math.round(median)} ms, ${((1000 * tokens) / median).toFixed(1)} tokens/s; ` +
      `first ${Math.round(first)} ms; load ${load}; wasm memory after the load ${heap}`,
  );
  await close();
}
for (const name of ['gran_ted_bg.wasm', 'gran_ted_bg.wasm.br']) {
  console.log(`${name}: ${(await stat(`dist/pkg/${name}`)).size} bytes`);
}
console.log(`whole page without the model, in brotli: ${((await pageBytes('dist')) / 1e6).toFixed(2)} MB`);
for (const device of /** @type {const} */ (['webgpu', 'cpu'])) {
  for (const { plain, start, load, embed } of await startTimes(site.url, 3, device)) {
    const parts = [plain, start, load, embed].map(Math.round);
    console.log(
      `${device}, stored model: read and uploaded plainly in ${parts[0]} ms, loaded with one prompt embedded in ` +
        `${parts[1]} ms (${parts[2]} and ${parts[3]} of it), ${(start / plain).toFixed(1)} times`,
    );
  }
}
await browser.close();
site.close();
