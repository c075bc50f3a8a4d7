// The download and the storage of models in real Chromium: the page of dist/, its wasm, the default model from a host
// with faults on another origin, and what happens when the connection, the browser or its storage gives up.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { freshPage, launch, launchProfile } from '../support/chromium.mjs';
import { startDist } from '../support/dist.mjs';
import { faultServer } from '../support/fault-server.mjs';
import { random } from '../support/random.mjs';
import { siteWith } from '../support/site.mjs';

/** @import { TestContext } from 'node:test' */
/** @import { Page } from 'playwright-core' */

const CHUNK = 8 << 20;
const PACE = 40e6; // bytes per second: a download of the model is slow enough to be looked at

const dist = startDist({ webgpu: false });
/** @type {Buffer} */
let model;

before(async () => {
  model = await readFile('dist/models/SmolLM2-135M-Instruct.Q4_1.gguf');
});

/** @param {TestContext} t @param {Parameters<typeof faultServer>[1]} [options] */
async function host(t, options) {
  const server = await faultServer(model, { pace: PACE, ...options });
  t.after(server.close);
  return Object.assign(server, { model: `${server.url}model.gguf` });
}

/** @param {TestContext} t @param {string} [url] the page's address */
async function open(t, url = dist.url) {
  const { page, errors, close } = await freshPage(dist.browser, { acceptDownloads: true });
  t.after(close);
  await page.goto(`${url}?device=cpu`);
  return { page, errors };
}

/** Submits an address and does not wait. @param {Page} page @param {string} url */
async function ask(page, url) {
  await page.locator('#device-kind', { hasText: 'CPU' }).waitFor();
  if (!(await page.locator('#model-url').isVisible()))
    await page.locator('#model summary', { hasText: 'your own model' }).click();
  await page.locator('#model-url').fill(url);
  await page.locator('#model-url-form button').click();
}

/** @param {Page} page @param {string} url */
async function load(page, url) {
  await ask(page, url);
  await loaded(page);
}

/** @param {Page} page */
async function loaded(page) {
  await idle(page);
  assert.equal(await page.locator('#model-error').textContent(), '');
  assert.match((await page.locator('#model-facts').textContent()) ?? '', /SHA-256b179c9523d0e/);
}

/** @param {Page} page */
async function idle(page) {
  await page
    .locator('#embed[disabled]')
    .waitFor({ timeout: 1000 })
    .catch(() => {}); // it may already be over
  await page.locator('#embed:not([disabled])').waitFor();
}

/** Waits until the host has sent so many bytes of the model. @param {{ sent: number }} server @param {number} bytes */
async function sent(server, bytes) {
  while (server.sent < bytes) await new Promise((resolve) => setTimeout(resolve, 20));
}

/** The row of the model in the panel of stored models. @param {Page} page */
async function row(page) {
  if (!(await page.locator('#stored-total').isVisible())) await page.locator('#stored summary').click();
  return page.locator('#stored-table tbody tr', { hasText: 'model.gguf' });
}

/**
 * Flips a byte of the stored file, in a page whose worker does not hold it open.
 * @param {Page} page
 * @param {number} at
 */
function flip(page, at) {
  return page.evaluate(async (at) => {
    const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle('models');
    for await (const name of folder.keys()) {
      if (!name.endsWith('.data')) continue;
      const handle = await folder.getFileHandle(name);
      const [byte] = new Uint8Array(await (await handle.getFile()).slice(at, at + 1).arrayBuffer());
      const writable = await handle.createWritable({ keepExistingData: true });
      await writable.write({ type: 'write', position: at, data: Uint8Array.of(byte ^ 16) });
      await writable.close();
    }
  }, at);
}

/**
 * The chunks that were requested from a given request on.
 * @param {{ requests: { start: number, end: number }[] }} server
 * @param {number} from
 */
function asked({ requests }, from) {
  return [
    ...new Set(
      requests
        .slice(from)
        .filter(({ start, end }) => end - start > 16)
        .map(({ start }) => Math.floor(start / CHUNK)),
    ),
  ].sort((a, b) => a - b);
}

test('cuts in a load, cancelled within a second, gone on with after a reload, and nothing twice', async (t) => {
  const next = random(11);
  const server = await host(t, {
    plan: ({ start, end }) => (end - start > 16 && next() < 0.4 ? { cut: Math.floor(next() * (end - start)) } : {}),
  });
  const { page, errors } = await open(t);
  await ask(page, server.model);
  await sent(server, 45e6);
  await page.locator('#model-download', { hasText: /Downloading: .* of 98\.4 MB, .*B\/s, .* left/ }).waitFor();
  const started = performance.now();
  await page.locator('#model-cancel').click();
  await page.locator('#model-progress').waitFor({ state: 'hidden' });
  const took = performance.now() - started;
  assert.ok(took < 1000, `cancelled in ${took} ms`);
  assert.equal(await page.locator('#model-error').textContent(), '');
  assert.match((await (await row(page)).textContent()) ?? '', /\d+ % of 98\.4 MB.*Go on/);
  const part = Number(/(\d+) %/.exec((await (await row(page)).textContent()) ?? '')?.[1]);
  assert.ok(part >= 10, `${part} % are stored`);

  await page.reload();
  await page.locator('#device-kind', { hasText: 'CPU' }).waitFor();
  const before = server.requests.length;
  await (await row(page)).locator('button', { hasText: 'Go on' }).click();
  await page.locator('#model-download', { hasText: /% was here before/ }).waitFor();
  await loaded(page);
  assert.equal(
    asked(server, before).length,
    Math.ceil(model.length / CHUNK) - Math.floor(((part / 100) * model.length) / CHUNK + 0.5),
  );
  assert.ok(server.requests.filter(({ fault }) => fault.cut !== undefined).length >= 5);
  assert.match((await (await row(page)).textContent()) ?? '', /98\.4 MB.*Load/);

  const downloading = page.waitForEvent('download');
  await (await row(page)).locator('button', { hasText: 'Export' }).click();
  const file = await (await downloading).path();
  assert.equal(
    createHash('sha256')
      .update(await readFile(file))
      .digest('hex'),
    createHash('sha256').update(model).digest('hex'),
  );
  await (await row(page)).locator('button', { hasText: 'Delete' }).click();
  await page.locator('#stored-total', { hasText: 'Nothing is stored' }).waitFor();
  await page.locator('#embed').click(); // the loaded model still works
  await page.locator('#matrix').waitFor();
  assert.deepEqual(
    errors.filter((error) => !/Failed to load resource/.test(error)),
    [],
  );
  t.diagnostic(`cancelled in ${Math.round(took)} ms with ${part} % stored`);
});

test('a browser that is killed in a download goes on with it when it is started again', async (t) => {
  const profile = await mkdtemp(join(tmpdir(), 'gran-ted-profile-'));
  const server = await host(t);
  const first = await launchProfile(profile);
  await first.page.goto(`${dist.url}?device=cpu`);
  await ask(first.page, server.model);
  await sent(server, 60e6);
  await first.kill();

  server.options.pace = Infinity;
  const before = server.requests.length;
  const second = await launchProfile(profile);
  t.after(async () => {
    await second.kill();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  await second.page.goto(`${dist.url}?device=cpu`);
  const text = (await (await row(second.page)).textContent()) ?? '';
  const part = Number(/(\d+) % of 98\.4 MB/.exec(text)?.[1]);
  assert.ok(part > 20, text);
  await ask(second.page, server.model);
  await loaded(second.page);
  const stored = Math.round(((part / 100) * model.length) / CHUNK);
  assert.equal(asked(server, before).length, Math.ceil(model.length / CHUNK) - stored);

  const third = server.requests.length;
  await second.page.reload();
  await load(second.page, server.model);
  assert.deepEqual(asked(server, third), []);
  t.diagnostic(`killed at ${part} %`);
});

test('a flipped byte is found by Verify and by the hash at the load; that piece alone is fetched again', async (t) => {
  const server = await host(t, { pace: Infinity });
  const { page } = await open(t);
  await load(page, server.model);
  await (await row(page)).locator('button', { hasText: 'Verify' }).click();
  await page.locator('#stored-table small', { hasText: 'Every piece is as it was downloaded.' }).waitFor();

  await page.reload();
  await flip(page, 50_000_000);
  await (await row(page)).locator('button', { hasText: 'Verify' }).click();
  await page.locator('#stored-table small', { hasText: /is damaged.*bytes 41943040 to 50331647/ }).waitFor();
  const before = server.requests.length;
  await (await row(page)).locator('button', { hasText: 'Go on' }).click();
  await loaded(page);
  assert.deepEqual(asked(server, before), [5]);

  await page.reload();
  await flip(page, 98_000_000);
  await ask(page, server.model);
  await page
    .locator('#model-error', {
      hasText: /`model\.gguf` is damaged in the browser's storage: bytes 92274688 to 98362431/,
    })
    .waitFor();
  await idle(page);
  await load(page, server.model);
});

test('without storage, from a server that hides its headers, and from one without CORS, the page says what happens', async (t) => {
  const server = await host(t, { pace: Infinity, expose: false });
  const { page } = await open(
    t,
    await siteWith(
      t,
      `navigator.storage.getDirectory = () => Promise.reject(new DOMException('Security error.', 'SecurityError'));`,
    ),
  );
  await load(page, server.model);
  assert.match(
    (await page.locator('#model-storage').textContent()) ?? '',
    /keeps no files for this page \(Security error\): the model is streamed and not stored/,
  );
  assert.equal(server.repeated(CHUNK), 0);
  assert.ok(server.sent < model.length + 1000);

  server.options.plan = () => ({ bare: true });
  await ask(page, server.model);
  await page
    .locator('#model-error', {
      hasText: /its server is there, but does not let pages of other sites read the file \(CORS\)/,
    })
    .waitFor();
  await idle(page);

  const drop = (/** @type {string} */ name) =>
    page.evaluate((name) => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(['GGUF'], name));
      const event = new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true });
      document.querySelector('#prompts')?.dispatchEvent(event);
      return event.defaultPrevented; // otherwise the browser would show the file in place of the page
    }, name);
  assert.ok(await drop('notes.txt'));
  await page.locator('#model-error', { hasText: 'No model was dropped' }).waitFor();
  assert.ok(await drop('dropped.gguf'));
  await page.locator('#model-error', { hasText: '`dropped.gguf`' }).waitFor();
});

test('on an insecure page a model is streamed, and why it is not stored is said', async (t) => {
  const server = await host(t, { pace: Infinity });
  const insecure = await launch({ webgpu: false, args: ['--host-resolver-rules=MAP insecure.example 127.0.0.1'] });
  t.after(() => insecure.close());
  const { page } = await freshPage(insecure);
  await page.goto(`${dist.url.replace('127.0.0.1', 'insecure.example')}?device=cpu`);
  assert.equal(await page.evaluate(() => isSecureContext || crypto.subtle), undefined);
  await load(page, server.model.replace('127.0.0.1', 'insecure.example'));
  assert.match(
    (await page.locator('#model-storage').textContent()) ?? '',
    /the page did not come by https\): the model is streamed and not stored/,
  );
  await row(page);
  await page.locator('#stored-total', { hasText: 'the page did not come by https' }).waitFor();
});

test('a storage that gets full is foretold and said, the load goes on, and the next one stores the rest', async (t) => {
  const server = await host(t);
  // Chromium does not tell its true quota
  const url = await siteWith(t, 'navigator.storage.estimate = async () => ({ quota: 60e6, usage: 0 });');
  const { page } = await open(t, url);
  const { origin } = new URL(url);
  const session = await page.context().newCDPSession(page);
  await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 60e6 });
  await load(page, server.model);
  const note = (await page.locator('#model-storage').textContent()) ?? '';
  assert.match(
    note,
    /has room for 60\.0 MB more here, and 98\.4 MB are missing: what does not fit is streamed and not stored/,
  );
  assert.match(note, /storage for this page is full: \d+ % of the model are stored, the rest is streamed/);
  assert.match((await (await row(page)).textContent()) ?? '', /[3-6]\d % of 98\.4 MB/);
  assert.equal(server.repeated(CHUNK), 0);
  await (await row(page)).locator('button', { hasText: 'Delete' }).click(); // this is the tab that loaded it
  await page.locator('#stored-total', { hasText: 'Nothing is stored' }).waitFor();
  await load(page, server.model);

  await session.send('Storage.overrideQuotaForOrigin', { origin });
  const before = server.requests.length;
  await load(page, server.model);
  assert.ok(asked(server, before).length <= 8);
  assert.match((await (await row(page)).textContent()) ?? '', /model\.gguf98\.4 MB/);
});

test('two tabs load the same model: the second streams while the first downloads, and both read what is stored', async (t) => {
  const server = await host(t);
  const { page } = await open(t);
  const other = await page.context().newPage();
  other.setDefaultTimeout(120_000);
  await other.goto(`${dist.url}?device=cpu`);
  await ask(page, server.model);
  await sent(server, 10e6);
  await load(other, server.model);
  assert.match((await other.locator('#model-storage').textContent()) ?? '', /Another tab is downloading this model/);
  await loaded(page);
  const before = server.requests.length;
  await load(other, server.model);
  assert.equal(await other.locator('#model-storage').textContent(), '');
  assert.deepEqual(asked(server, before), []);
  await (await row(page)).locator('button', { hasText: 'Delete' }).click();
  await page.locator('#stored-error', { hasText: 'in use by another tab' }).waitFor();
  assert.match((await (await row(page)).textContent()) ?? '', /98\.4 MB.*Load/); // nothing is lost
});
