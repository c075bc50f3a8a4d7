// The costs of a visit: the bytes of the page as they travel, and the tasks that block its own thread.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * The bytes of all files of the page, in brotli where there is such a file; without models, data sets and pictures.
 * @param {string} root
 */
export async function pageBytes(root) {
  let total = 0;
  for (const name of await readdir(root, { recursive: true })) {
    if (/^models/.test(name) || !/\.(html|css|js|wasm|svg)$/.test(name)) continue;
    const path = join(root, name);
    total += (await stat(`${path}.br`).catch(() => stat(path))).size;
  }
  return total;
}

/**
 * Records tasks of 50 ms and more from the page's start on. It is called before the page is opened.
 * @param {import('playwright-core').Page} page
 */
export async function watchLongTasks(page) {
  await page.addInitScript(() => {
    /** @type {{ at: number, milliseconds: number }[]} */
    const tasks = [];
    Object.assign(globalThis, { longTasks: tasks });
    new PerformanceObserver((list) => {
      for (const { startTime, duration } of list.getEntries())
        tasks.push({ at: Math.round(startTime), milliseconds: Math.round(duration) });
    }).observe({ type: 'longtask', buffered: true });
  });
  return () =>
    page.evaluate(
      () =>
        /** @type {{ longTasks: { at: number, milliseconds: number }[] }} */ (/** @type {unknown} */ (globalThis))
          .longTasks,
    );
}
