// The static server: what the page needs of its host.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { serve } from '../../serve.mjs';

/** @type {string} */
let root;
/** @type {Awaited<ReturnType<typeof serve>>} */
let site;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'gran-ted-'));
  await writeFile(join(root, 'index.html'), '<p>hello');
  await writeFile(join(root, 'model.gguf'), '0123456789');
  await writeFile(join(root, 'x.wasm'), 'plain');
  await writeFile(join(root, 'x.wasm.br'), 'squeezed');
  site = await serve({ root, prefix: '/demo/' });
});

after(async () => {
  site.close();
  await rm(root, { recursive: true });
});

test('ranges of a model, with type and size', async () => {
  const response = await fetch(`${site.url}model.gguf`, { headers: { range: 'bytes=2-4' } });
  assert.equal(response.status, 206);
  assert.equal(response.headers.get('content-range'), 'bytes 2-4/10');
  assert.equal(response.headers.get('content-type'), 'application/octet-stream');
  assert.equal(await response.text(), '234');
  const beyond = await fetch(`${site.url}model.gguf`, { headers: { range: 'bytes=10-' } });
  assert.equal(beyond.status, 416);
});

test('the index at the prefix, an ETag that answers 304, nothing outside', async () => {
  const index = await fetch(site.url);
  assert.match(index.headers.get('content-type') ?? '', /^text\/html/);
  assert.equal(await index.text(), '<p>hello');
  const again = await fetch(site.url, { headers: { 'if-none-match': index.headers.get('etag') ?? '' } });
  assert.equal(again.status, 304);
  for (const path of ['/', '/absent', '/demo/absent', '/demo/..%2f..%2fetc/passwd'])
    assert.equal((await fetch(new URL(path, site.url))).status, 404, path);
});

test('wasm goes out compressed where the browser takes it, with its own type', async () => {
  const { headers } = await fetch(`${site.url}x.wasm`, { method: 'HEAD', headers: { 'accept-encoding': 'br' } });
  assert.equal(headers.get('content-encoding'), 'br');
  assert.equal(headers.get('content-type'), 'application/wasm');
  const plain = await fetch(`${site.url}x.wasm`, { headers: { 'accept-encoding': 'identity' } });
  assert.equal(await plain.text(), 'plain');
});

test('a port in use gives way to the next', async () => {
  const port = Number(new URL(site.url).port);
  const other = await serve({ root, port });
  assert.ok(Number(new URL(other.url).port) > port);
  other.close();
});
