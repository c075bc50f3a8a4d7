// The page of dist/ with a worker that runs a script first, which makes faults of the device and of the storage.
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { serve } from '../../serve.mjs';

/** @import { TestContext } from 'node:test' */

/**
 * Serves dist/ with the changed worker. A route of the driver would do, but Chromium does not let a page that came by
 * one request local addresses.
 * @param {TestContext} t
 * @param {string} script
 * @returns {Promise<string>} its address
 */
export async function siteWith(t, script) {
  const root = await mkdtemp(join(tmpdir(), 'gran-ted-site-'));
  for (const name of await readdir('dist'))
    if (!name.startsWith('worker.js')) await symlink(resolve('dist', name), join(root, name));
  await writeFile(join(root, 'worker.js'), `${script}\n${await readFile('dist/worker.js', 'utf8')}`);
  const { url, close } = await serve({ root });
  t.after(() => (close(), rm(root, { recursive: true })));
  return url;
}
