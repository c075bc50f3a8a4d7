// Sources of models and the agreement to large downloads: addresses, the catalogue, and www/app on a worker in memory.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { afterEach, test } from 'node:test';
import { decodeState, emptyState, encodeState } from '../../www/link/codec.js';
import { encoderSource } from '../../www/sources/catalogue.js';
import { modelAddress, modelUrl, urlSource } from '../../www/sources/model.js';
import { announcedSha256 } from '../../www/storage/expand.js';
import { TIMING } from '../../www/storage/http.js';
import { setsOf } from '../../www/storage/sets.js';
import { takeDrops } from '../../www/views/drop.js';
import { downloadText } from '../../www/views/model.js';
import { shortageText } from '../../www/views/stored.js';
import { CARD, setUp } from '../support/app.mjs';

/** @import { Catalogue } from '../../www/sources/catalogue.js' */
/** @import { DownloadProgress } from '../../www/types/storage' */

const SHA256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53';
const URL_ = 'https://example.org/big.gguf';
/** @type {DownloadProgress} */
const PLAN = {
  stage: 'plan',
  done: 0,
  total: 5e9,
  resumed: 0,
  speed: 0,
  room: 6e9,
  storing: true,
  trouble: '',
  note: '',
};
const { fetch } = globalThis;
afterEach(() => void (globalThis.fetch = fetch));

/**
 * The `load` of a worker with a large model.
 * @param {{ agreed: boolean }} params
 * @param {(value: object) => Promise<boolean>} progress
 */
async function loadLarge({ agreed }, progress) {
  await progress(PLAN);
  if (!agreed)
    throw Object.assign(new Error('This model is a download of 5.0 GB: begin it under Model.'), { name: 'Agree' });
  return { card: CARD, heap_bytes: 1, note: 'streamed' };
}

test('what a person types becomes an address, or is refused', () => {
  for (const [text, url] of [
    ['https://example.org/a.gguf?x=1', 'https://example.org/a.gguf?x=1'],
    [
      'Qwen/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf',
      'https://huggingface.co/Qwen/Qwen3-8B-GGUF/resolve/main/Qwen3-8B-Q4_K_M.gguf',
    ],
    ['a-b/c.d/e/f/g_h.gguf@v1.0', 'https://huggingface.co/a-b/c.d/resolve/v1.0/e/f/g_h.gguf'],
    [
      'a/b/model.safetensors.index.json@0123abc',
      'https://huggingface.co/a/b/resolve/0123abc/model.safetensors.index.json',
    ],
    ['a/b/e/f.gguf@refs/pr/1', 'https://huggingface.co/a/b/resolve/refs%2Fpr%2F1/e/f.gguf'],
    ['https://huggingface.co/a/b/blob/refs%2Fpr%2F1/c.gguf', 'https://huggingface.co/a/b/resolve/refs%2Fpr%2F1/c.gguf'],
    ['https://huggingface.co/a/b/blob/main/c.gguf', 'https://huggingface.co/a/b/resolve/main/c.gguf'],
    ['https://example.org/a/b/blob/main/c.gguf', 'https://example.org/a/b/blob/main/c.gguf'],
  ])
    assert.equal(modelAddress(text), url);
  for (const text of [
    '',
    'model.gguf',
    'a/b.gguf',
    'a/b/c.bin',
    '../b/c.gguf',
    'a/../c.gguf',
    'a/b/../c.gguf',
    'a/b/c.gguf@../x',
    'a/b/c.gguf@x/../y',
    'a/b/c.gguf@x/',
    'a/b/c.gguf@x//y',
    'a//c.gguf',
    '/a/b/c.gguf',
    'a/b/c d.gguf',
    'javascript:alert(1)/a/b.gguf',
  ]) {
    assert.throws(() => modelAddress(text), /address/, text);
  }
});

test('every way in which the Hub writes the address of one file ends in the same address', () => {
  const hub = 'https://huggingface.co';
  for (const [path, texts] of /** @type {const} */ ([
    [
      'o/r/resolve/main/f.gguf',
      [
        `${hub}/o/r/resolve/main/f.gguf?download=true`,
        `${hub}/o/r/blob/main/f.gguf#L1`,
        `${hub}/o/r/raw/main/f.gguf`,
        `${hub}/o/r/blame/main/f.gguf`,
        `${hub}/o/r?show_file_info=f.gguf`,
        `${hub}/o/r/tree/main?show_file_info=f.gguf`,
        'http://www.huggingface.co/o/r/blob/main/f.gguf',
        'https://hf.co/o/r/resolve/main/f.gguf',
        'hf.co/o/r/blob/main/f.gguf',
        'HuggingFace.co/o/r/f.gguf',
        '//huggingface.co/o/r/blob/main/f.gguf',
        'hf://o/r/f.gguf',
        ' o/r/f.gguf\n',
        'o/r@main/f.gguf',
        'o/r/resolve/main/f.gguf?download=true',
      ],
    ],
    [
      'o/r/resolve/refs%2Fpr%2F1/sub/f.gguf',
      [
        `${hub}/o/r/blob/refs%2Fpr%2F1/sub/f.gguf`,
        `${hub}/o/r/resolve/refs/pr/1/sub/f.gguf?download=true`,
        `${hub}/o/r/tree/refs%2Fpr%2F1?show_file_info=sub%2Ff.gguf`,
        'hf://o/r@refs%2Fpr%2F1/sub/f.gguf',
        'o/r@refs/pr/1/sub/f.gguf',
        'o/r/sub/f.gguf@refs/pr/1',
      ],
    ],
    ['o/r/resolve/v1/a%20b%2Bc.gguf', [`${hub}/o/r/blob/v1/a b+c.gguf`, `${hub}/o/r/resolve/v1/a%20b%2bc.gguf`]],
    ['gpt2/resolve/main/model.safetensors', [`${hub}/gpt2/blob/main/model.safetensors`]],
    ['datasets/o/r/resolve/main/f.gguf', ['hf://datasets/o/r/f.gguf', `${hub}/datasets/o/r/blob/main/f.gguf`]],
    ['o/r/resolve/0123abc/f.gguf', [`${hub}/api/resolve-cache/models/o/r/0123abc/f.gguf?etag=x`]],
  ]))
    for (const text of texts) {
      assert.equal(modelAddress(text), `${hub}/${path}`, text);
      assert.equal(modelAddress(modelAddress(text)), `${hub}/${path}`);
    }
  for (const other of [
    'https://files.example/f.gguf?download=true',
    'https://huggingface.co.example/o/r/blob/main/f.gguf',
  ])
    assert.equal(modelAddress(other), other);
});

test('an address on the Hub that names no file is refused with the kind of link that is wanted', () => {
  for (const [text, what] of /** @type {const} */ ([
    ['https://huggingface.co/o/r', 'a repository'],
    ['o/r', 'a repository'],
    ['hf://o/r', 'a repository'],
    ['https://huggingface.co/o/r/tree/main', 'a folder'],
    ['https://huggingface.co/o/r/tree/main/sub', 'a folder'],
    ['o/r:Q4_K_M', 'a repository and a quantization'],
    ['hf.co/o/r:Q4_K_M', 'a repository and a quantization'],
    ['https://huggingface.co/o/r/discussions/1', 'a page'],
    ['https://huggingface.co/o/r/resolve/main/', 'a page'],
    ['https://huggingface.co/o/r/blob/main/a%2F..%2F..%2Ff.gguf', 'a page'],
  ]))
    assert.throws(() => modelAddress(text), { message: new RegExp(`is ${what} on .*/blob/main/FILE`) }, text);
  assert.throws(() => modelAddress('files.example/a/b.gguf'), /begins with a host.*https:/);
});

test('the first part of a split file stands for all of them', () => {
  const { files, name } = urlSource('https://example.org/m/a-00001-of-00003.gguf?key=1', SHA256);
  assert.deepEqual(
    files,
    [1, 2, 3].map((part) => ({ url: `https://example.org/m/a-0000${part}-of-00003.gguf?key=1` })),
  );
  assert.equal(name, 'https://example.org/m/a-00001-of-00003.gguf?key=1');
  for (const url of [
    'https://example.org/a-00002-of-00003.gguf',
    'https://example.org/a-00001-of-00000.gguf',
    'https://example.org/a-00001-of-99999.gguf',
    'https://example.org/?a-00001-of-00003.gguf',
  ]) {
    assert.deepEqual(urlSource(url).files, [{ url }]);
  }
  assert.deepEqual(urlSource(URL_, SHA256).files, [{ url: URL_, sha256: SHA256 }]);
});

test('the catalogue is whole: addresses, sizes, hashes, and links that lead to it', async () => {
  /** @type {Catalogue} */
  const { encoders, source } = JSON.parse(await readFile('www/data/catalogue.json', 'utf8'));
  assert.ok(source.length > 0);
  assert.deepEqual(
    encoders.filter(({ ran }) => ran).map(({ name }) => name),
    ['SmolLM2-135M-Instruct'],
  );
  for (const encoder of encoders) {
    const made = encoderSource(encoder, 'https://example.org/demo/');
    assert.equal(made.bytes, encoder.bytes);
    assert.ok(encoder.device_bytes > 0.5 * encoder.bytes && encoder.device_bytes < 1.2 * encoder.bytes, encoder.name);
    assert.match(encoder.sha256, encoder.files.length > 1 ? /^$/ : /^[0-9a-f]{64}$/);
    assert.ok(['llama', 'qwen2', 'qwen3', 'qwen3vl'].includes(encoder.family));
    assert.deepEqual(
      made.files.map((file) => ('url' in file ? file.url : '').split('/').at(-1)),
      encoder.files.map((file) => file.split('/').at(-1)),
    );
    if (!encoder.repository) continue;
    assert.match(encoder.revision, /^[0-9a-f]{40}$/);
    assert.equal(modelUrl(made.name), made.name);
    const { state, problems } = decodeState(
      encodeState({ ...emptyState(), model: made.name, sha256: made.sha256 ?? null }),
    );
    assert.deepEqual([state.model, state.sha256, problems], [made.name, encoder.sha256 || null, []]);
  }
});

test('a large download waits until its size was seen; then Load begins it', async () => {
  const { app, state, calls } = setUp({ load: loadLarge });
  await app.start('', null);
  await app.model.loadUrl(URL_);
  assert.deepEqual(
    [state.errors.model, state.model.card, state.model.download, state.model.source.bytes],
    ['', null, PLAN, 5e9],
  );
  await app.model.load();
  assert.deepEqual([state.model.card, state.model.download, state.model.note], [CARD, null, 'streamed']);
  assert.deepEqual(
    calls.filter(([name]) => name === 'load').map(([, params]) => params.agreed),
    [false, true],
  );
});

test('an address that is typed again begins the download whose size was seen', async () => {
  const { app, state, calls } = setUp({ load: loadLarge });
  await app.start('', null);
  await app.model.loadUrl(URL_);
  assert.equal(state.model.card, null);
  await app.model.loadUrl(URL_);
  assert.deepEqual(state.model.card, CARD);
  await app.model.loadUrl('https://example.org/other.gguf');
  assert.equal(state.model.card, null);
  assert.deepEqual(
    calls.filter(([name]) => name === 'load').map(([, params]) => params.agreed),
    [false, true, false],
  );
});

test('a link to a large model is not followed before its size was seen', async () => {
  const { app, state, names } = setUp({ load: loadLarge });
  await app.start(`#v=1&p=a&model=${URL_}&sha256=${SHA256}`, null);
  assert.deepEqual(state.model.source.files, [{ url: URL_, sha256: SHA256 }]);
  await app.sharing.follow();
  assert.match(state.errors.prompts, /download of 5\.0 GB: begin it under Model/);
  assert.ok(!names().includes('embed'));
  await app.prompts.compare();
  assert.ok(state.comparison);
  let copied = '';
  await app.sharing.share('https://example.org/', async (url) => void (copied = url));
  assert.equal(decodeState(new URL(copied).hash).state.sha256, SHA256);
});

test('another model forgets what was said of the one before', async () => {
  const { app, state } = setUp({ load: loadLarge });
  await app.start('', null);
  await app.model.loadUrl(URL_);
  await app.model.loadDefault();
  assert.equal(state.model.note, 'streamed');
  await app.model.loadUrl('https://example.org/other.gguf');
  assert.equal(state.model.note, '');
});

test('verifying and deleting need no model, take all files of a set, and say what they found', async () => {
  /** @type {unknown[]} */
  const seen = [];
  const { app, state, names } = setUp({
    verify: async ({ id }, progress) => {
      await progress({ stage: 'check', done: 10, total: 40 });
      await new Promise((resolve) => setTimeout(resolve, 20)); // the page has received it
      seen.push(state.stored.checking?.progress);
      return id === 'y'
        ? [
            [0, 10],
            [20, 30],
          ]
        : [];
    },
    remove: () => {
      throw Object.assign(new Error('The file is in use by another tab.'), { name: 'InUse' });
    },
  });
  await app.start('', null);
  const [model] = setsOf([
    storedFile('x', 'https://example.org/a-00001-of-00002.gguf'),
    storedFile('y', 'https://example.org/a-00002-of-00002.gguf'),
  ]);
  const verifying = app.library.verify(model);
  await app.library.remove(model); // it is refused: one task at a time
  await verifying;
  assert.deepEqual(names(), ['probe', 'verify', 'verify']);
  assert.deepEqual(seen, [
    { stage: 'check', done: 10, total: 80 },
    { stage: 'check', done: 50, total: 80 },
  ]);
  assert.equal(state.stored.checking, null);
  await app.library.remove(model);
  assert.equal(state.errors.stored, 'The file is in use by another tab.');
});

/** @param {string} id @param {string} url @param {number} [stored] how many of 40 bytes are stored */
function storedFile(id, url, stored = 40) {
  return {
    id,
    name: url.split('/').at(-1) ?? '',
    url,
    size: 40,
    stored,
    complete: stored === 40,
    used: id.charCodeAt(0),
    sha256: '',
  };
}

test('shards with their small files, and parts of a split file, are one stored model, which goes on by its first address', () => {
  const at = (/** @type {string} */ name) => `https://example.org/m/${name}`;
  const told = (/** @type {Parameters<typeof setsOf>[0]} */ models) =>
    setsOf(models).map(({ name, url, size, stored, complete, missing, files }) => ({
      name,
      url,
      size,
      stored,
      complete,
      missing,
      ids: files.map(({ id }) => id).join(''),
    }));
  const broken = [
    storedFile('c', at('config.json')),
    storedFile('a', at('model-00001-of-00003.safetensors')),
    storedFile('b', at('model-00002-of-00003.safetensors'), 10),
  ];
  const index = { name: 'model.safetensors.index.json', url: at('model.safetensors.index.json') };
  assert.deepEqual(told(broken), [{ ...index, size: 120, stored: 90, complete: false, missing: 1, ids: 'abc' }]);
  const whole = [
    ...broken.slice(0, 2),
    storedFile('b', at('model-00002-of-00003.safetensors')),
    storedFile('d', at('model-00003-of-00003.safetensors')),
    storedFile('t', at('tokenizer.json')),
  ];
  assert.deepEqual(told([...whole, storedFile('i', index.url)]), [
    { ...index, size: 240, stored: 240, complete: true, missing: 0, ids: 'abdict' },
  ]);
  assert.equal(
    told([...whole, storedFile('i', at('fp16.safetensors.index.json'))])[0].url,
    at('fp16.safetensors.index.json'),
  );
  const split = [
    storedFile('q', `${at('q-00002-of-00002.gguf')}?key=1`, 0),
    storedFile('p', `${at('q-00001-of-00002.gguf')}?key=1`),
  ];
  assert.deepEqual(told(split), [
    {
      name: 'q-00001-of-00002.gguf',
      url: `${at('q-00001-of-00002.gguf')}?key=1`,
      size: 80,
      stored: 40,
      complete: false,
      missing: 0,
      ids: 'qp',
    },
  ]);
  assert.equal(urlSource(told(split)[0].url).files.length, 2);

  // A single file; small files that belong to no model, or to two, and stay when one is deleted; one unreadable file.
  const alone = storedFile('s', at('s.safetensors'));
  assert.deepEqual(told([alone, storedFile('c', at('config.json'))]), [
    { name: 's.safetensors', url: alone.url, size: 80, stored: 80, complete: true, missing: 0, ids: 'sc' },
  ]);
  assert.deepEqual(
    told([alone, storedFile('r', at('r.safetensors')), storedFile('c', at('config.json'))]).map(({ url }) => url),
    [alone.url, at('r.safetensors'), ''],
  );
  assert.deepEqual(
    told([storedFile('g', at('g.gguf')), storedFile('c', at('config.json')), storedFile('n', '')]).map(
      ({ url }) => url,
    ),
    [at('g.gguf'), '', ''],
  );
});

test('where the page has no storage, the panel says why', async () => {
  const { app, state } = setUp();
  const { navigator } = globalThis;
  for (const none of [
    {},
    { storage: {} },
    { storage: { getDirectory: () => Promise.reject(new Error('Security error.')) } },
  ]) {
    Object.defineProperty(globalThis, 'navigator', { value: none, configurable: true });
    await app.library.refresh();
    assert.match(
      state.stored.refused,
      /^(it has no private file system, or the page did not come by https|Security error)$/,
    );
  }
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
});

test('a download that does not fit is told before it begins', () => {
  const { state } = setUp();
  assert.equal(shortageText(state.stored, 5e9), ''); // the browser has not told
  Object.assign(state.stored, { quota: 4e9, usage: 1e9 });
  assert.equal(shortageText(state.stored, 3e9), '');
  assert.equal(shortageText(state.stored, 5e9), 'room here: 3.0 GB');
  state.stored.usage = 5e9;
  assert.match(shortageText(state.stored, 5e9), /^room here: 0 B/);
});

test('model files that are dropped on the page are loaded, others refused, and neither replaces the page', async () => {
  const { app, state, names } = setUp();
  await app.start('', null);
  const page = new EventTarget();
  takeDrops(app, page);
  /** @param {string} type @param {string[]} names @param {string} [kind] */
  const drag = (type, names, kind = 'Files') => {
    const dataTransfer = { types: [kind], files: names.map((name) => new File(['x'], name)), dropEffect: 'copy' };
    const event = Object.assign(new Event(type, { cancelable: true }), { dataTransfer });
    page.dispatchEvent(event);
    return { taken: event.defaultPrevented, effect: dataTransfer.dropEffect };
  };
  assert.deepEqual(drag('dragover', []), { taken: true, effect: 'copy' });
  assert.equal(drag('drop', ['a.pdf', 'a.json']).taken, true);
  assert.match(state.errors.model, /^No model was dropped/);
  assert.equal(drag('drop', ['config.json', 'a.safetensors', 'notes.txt']).taken, true);
  assert.deepEqual(drag('dragover', []), { taken: true, effect: 'none' }); // it is refused: one task at a time
  while (state.task) await new Promise(setImmediate);
  assert.equal(state.errors.model, '');
  assert.deepEqual(
    [state.model.source.name, names().filter((name) => name === 'load').length],
    ['config.json, a.safetensors', 1],
  );
  assert.equal(drag('drop', [], 'text/plain').taken, false);
  Object.assign(page, { type: 'file', disabled: false });
  assert.equal(drag('drop', ['a.gguf']).taken, false); // the field takes the file
  Object.assign(page, { disabled: true });
  assert.equal(drag('dragover', ['a.gguf']).taken, true);
});

test("the Hugging Face Hub's hash of a file is taken from its pointer, or not at all", async () => {
  const options = { signal: new AbortController().signal, timing: TIMING };
  /** @type {string[]} */
  const asked = [];
  const answer = (/** @type {string} */ text, status = 200) => {
    globalThis.fetch = async (url) => (asked.push(String(url)), new Response(text, { status }));
  };
  answer(`version https://git-lfs.github.com/spec/v1\noid sha256:${SHA256}\nsize 98362432\n`);
  assert.equal(await announcedSha256('https://huggingface.co/a/b/resolve/main/c/d.gguf', options), SHA256);
  assert.deepEqual(asked, ['https://huggingface.co/a/b/raw/main/c/d.gguf']);
  assert.equal(await announcedSha256('https://huggingface.co.evil.example/a/b/resolve/main/d.gguf', options), '');
  assert.equal(asked.length, 1);
  for (const [text, status] of /** @type {const} */ ([
    ['GGUF'.repeat(1000), 200],
    ['', 404],
    ['oid sha256:12', 200],
  ])) {
    answer(text, status);
    assert.equal(await announcedSha256('https://huggingface.co/a/b/resolve/main/d.gguf', options), '');
    answer('', 503);
    assert.equal(await announcedSha256('https://huggingface.co/a/b/resolve/main/d.gguf', options), null);
  }
});

test('a download tells its speed, what is left, what was here, and what it waits for', () => {
  const download = /** @type {DownloadProgress} */ ({
    ...PLAN,
    stage: 'download',
    done: 3.1e9,
    resumed: 2.5e9,
    speed: 1e6,
  });
  assert.equal(
    downloadText(download),
    'Downloading: 3.1 GB of 5.0 GB, 1.0 MB/s, 31 min 40 s left. 50.0 % was here before.',
  );
  assert.equal(
    downloadText({ ...download, speed: 0, resumed: 0, trouble: 'It stalled.', note: 'Not stored.' }),
    'Downloading: 3.1 GB of 5.0 GB. It stalled. Not stored.',
  );
  assert.match(downloadText({ ...download, done: 5e9, resumed: 5e9 }), /stored here: nothing has to be downloaded/);
});
