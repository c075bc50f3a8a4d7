// The page of dist/ with a worker that runs a script first: faults of the device and of the storage are made there.
import { mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { serve } from '../../serve.mjs';

/** @import { TestContext } from 'node:test' */

/**
 * A route would do, but Chromium lets no page that came by one ask for local addresses.
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
