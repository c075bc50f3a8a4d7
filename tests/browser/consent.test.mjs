// What a link may do before a click, in real Chromium: nothing is asked of the host in it, whatever the query says, and
// what would ask names the host and what is known of the size.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { freshPage, see } from '../support/chromium.mjs';
import { startDist } from '../support/dist.mjs';

const dist = startDist({ webgpu: false });
/** @type {string[]} */
const asked = [];
const server = createServer((request, response) => {
  asked.push(`${request.method} ${request.url}`);
  const headers = { 'access-control-allow-origin': '*', 'access-control-expose-headers': 'content-range' };
  response.writeHead(206, { ...headers, 'content-range': 'bytes 0-7/1000' }).end('GGUF0000');
});
server.on('connection', () => asked.push('a connection'));
let host = '';

before(async () => {
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  host = `127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
});
after(() => (server.close(), server.closeAllConnections()));

const QUERIES = ['', '?bench', '?bench=1&tokens=1', '?bench&device=cpu', '?kernels=gpu&bench=1', '?model=x&load=1'];
const model = (/** @type {string} */ path) => `model=${encodeURIComponent(`http://${host}/${path}`)}`;
const LINKS = () => [
  `v=1&p=a&p=b&${model('router/admin.gguf')}`,
  `v=1&${model('router/admin.gguf')}`,
  `v=1&${model('m/model.safetensors.index.json')}&data=sample&item=image_0%7COCR`,
  `v=1&p=a&${model('m-00001-of-00003.gguf')}&sha256=${'0'.repeat(64)}&result=1/2,last,mean&device=webgpu`,
];

test('nothing is asked of the host in a link before a click, whatever the query says, and after a reload neither', async () => {
  for (const link of LINKS()) {
    const visits = QUERIES.map(async (query) => {
      const { page, requests, close } = await freshPage(dist.browser);
      await page.goto(`${dist.url}${query}#${link}`);
      await see(page, '#device-kind', /Running/);
      await page.waitForTimeout(700);
      await page.reload();
      await see(page, '#device-kind', /Running/);
      await page.waitForTimeout(700);
      assert.ok(
        requests.every((url) => url.startsWith(dist.url)),
        requests.join('\n'),
      );
      await close();
    });
    await Promise.all(visits);
    assert.equal(asked.length, 0, `${link}: ${asked}`);
  }
});

test('a link that is pasted into the open page, and its model on the next visit, ask nothing either', async () => {
  const { page, close } = await freshPage(dist.browser);
  await page.goto(`${dist.url}?bench=1#v=1&p=a`);
  await page.locator('#bench-stop').click();
  await page.locator('#embed:not([disabled])').waitFor();
  const [link] = LINKS();
  await page.evaluate((fragment) => void (location.hash = fragment), link);
  await see(page, '#bench-waiting', new RegExp(`another model: http://${host}`));
  await page.locator('#feature').selectOption('last'); // so that the link's state is kept
  await page.waitForTimeout(1000);
  await page.goto('about:blank');
  await page.goto(`${dist.url}?bench`);
  await see(page, '#bench-waiting', new RegExp(`another model: http://${host}.*from ${host}.*nothing was asked`));
  assert.equal(asked.length, 0, asked.join());
  await close();
});

test('what would ask the host names it and what is known of the size; a click asks', async () => {
  const { page, close } = await freshPage(dist.browser);
  const [link] = LINKS();
  await page.goto(`${dist.url}?bench#${link}&data=sample`);
  const named = new RegExp(`from ${host}.* size`, 'i');
  for (const text of [
    '#link-summary',
    '#model-load',
    '#embed-note',
    '#adapter-before',
    '#ted-count',
    '#layers-note',
    '#bench-waiting',
  ])
    await see(page, text, text === '#link-summary' ? new RegExp(`${host}/router/admin.gguf, of a size`) : named);
  await see(page, '#link-load', new RegExp(`^Load from ${host} and compare$`));
  await page.locator('#ted-open').click();
  await see(page, '#ted-count', named);
  assert.equal(asked.length, 0, asked.join());

  await page.locator('#link-load').click();
  await see(page, '#model-error', /admin\.gguf/);
  assert.ok(asked.includes('GET /router/admin.gguf'), asked.join());
  await close();
});
