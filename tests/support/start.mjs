// Measures how long the default model takes from the browser's storage to the first vector, compared with a plain loop
// that reads the same bytes and uploads as many as the model has on the device. Both run in one session on a profile
// on disk, with the encoder opened before.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launchStored } from './chromium.mjs';

/** @import { Page } from 'playwright-core' */

/**
 * @param {string} url the page's
 * @param {number} rounds
 * @param {'webgpu' | 'cpu'} device
 * @returns {Promise<{ plain: number, start: number, load: number, embed: number }[]>} ms; load and embed are parts of
 *   start, as the worker tells them
 */
export async function startTimes(url, rounds, device) {
  const profile = await mkdtemp(join(tmpdir(), 'gran-ted-start-'));
  const { page, close } = await launchStored(profile);
  try {
    await page.goto(`${url}?device=${device}`);
    await page.locator('#model-load').click();
    await page.locator('#model-facts').waitFor();
    const bytes = await page.evaluate(() => /** @type {any} */ (globalThis).granTed.last.model.device_bytes);
    const times = [];
    for (let round = 0; round < rounds; round++) {
      await page.reload();
      await page.locator('#ted-sample').click(); // it opens the encoder, without the model
      await page.locator('#ted-count', { hasText: /items/ }).waitFor();
      times.push({ plain: await plainLoop(page, bytes), ...(await firstVector(page)) });
    }
    return times;
  } finally {
    await close();
    await rm(profile, { recursive: true });
  }
}

/** Loads the stored model and embeds one prompt. @param {Page} page */
async function firstVector(page) {
  const remove = page.locator('#prompt-list button');
  while ((await page.locator('#prompt-list textarea').count()) > 1) await remove.last().click();
  return page.evaluate(async () => {
    const button = /** @type {HTMLButtonElement} */ (document.getElementById('embed'));
    const start = performance.now();
    button.click();
    do await new Promise(requestAnimationFrame);
    while (button.disabled);
    const took = performance.now() - start;
    const { model, embeddings } = /** @type {any} */ (globalThis).granTed.last;
    return { start: took, load: model.load_ms, embed: embeddings.milliseconds };
  });
}

/** @param {Page} page @param {number} deviceBytes */
function plainLoop(page, deviceBytes) {
  return page.evaluate(
    async ({ script, deviceBytes }) => {
      const worker = new Worker(URL.createObjectURL(new Blob([script])));
      /** @type {Promise<number>} */
      const answer = new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => (typeof data === 'number' ? resolve(data) : reject(new Error(data)));
        worker.onerror = ({ message }) => reject(new Error(message));
      });
      worker.postMessage(deviceBytes);
      return answer.finally(() => worker.terminate());
    },
    {
      script: `onmessage = ({ data }) => (${readAndUpload})(data).then(postMessage, (error) => postMessage(String(error)));`,
      deviceBytes,
    },
  );
}

/** Runs in a worker. @param {number} deviceBytes */
async function readAndUpload(deviceBytes) {
  const adapter = await navigator.gpu.requestAdapter();
  const device = /** @type {any} */ (await adapter?.requestDevice());
  const models = await (await navigator.storage.getDirectory()).getDirectoryHandle('models');
  let name = '';
  for await (const key of models.keys()) if (key.endsWith('.data')) name = key;
  const handle = await /** @type {any} */ (await models.getFileHandle(name)).createSyncAccessHandle();
  const bytes = new Uint8Array(4 << 20);
  const start = performance.now();
  for (let at = 0, left = deviceBytes; at < handle.getSize();) {
    const read = handle.read(bytes, { at });
    const part = Math.min(read, left) & ~3;
    // COPY_DST, STORAGE
    if (part) device.queue.writeBuffer(device.createBuffer({ size: part, usage: 8 | 128 }), 0, bytes, 0, part);
    left -= part;
    at += read;
  }
  await device.queue.onSubmittedWorkDone();
  const took = performance.now() - start;
  handle.close();
  device.destroy();
  return took;
}
