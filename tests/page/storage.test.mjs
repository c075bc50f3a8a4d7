// The download and the storage of model files (www/storage), against a host with faults and a file system in memory.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test as testOnce } from 'node:test';
import { modelAddress } from '../../www/sources/model.js';
import { ModelFiles } from '../../www/storage/files.js';
import { readJournal, writeLine } from '../../www/storage/journal.js';
import { idOf } from '../../www/storage/names.js';
import { setsOf } from '../../www/storage/sets.js';
import { Vault } from '../../www/storage/vault.js';
import { fakeOpfs, lockAs } from '../support/fake-opfs.mjs';
import { faultServer } from '../support/fault-server.mjs';
import { random, randomBytes } from '../support/random.mjs';

/** @import { ByteSource, DownloadProgress, ModelFile } from '../../www/types/storage' */
/** @import { Fault, Request } from '../support/fault-server.mjs' */

/**
 * A test with each kind of locks that browsers have.
 * @param {string} name
 * @param {(t: import('node:test').TestContext) => Promise<void>} run
 */
function test(name, run) {
  for (const locks of /** @type {const} */ (['exclusive', 'shared']))
    testOnce(`${name} (${locks} locks)`, (t) => {
      lockAs(locks);
      return run(t);
    });
}

const TIMING = { tries: 6, pause: 2, longest: 20, stall: 3000, patience: 300 };
const STALLS = { ...TIMING, stall: 150 };
const CHUNK = 64 * 1024;
const FILE = randomBytes(1, 20 * CHUNK + 12_345);
const SHA256 = hash(FILE);

/** @param {Uint8Array} bytes */
function hash(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Loads a model as the worker and the wasm do: headers first, then everything from front to back.
 * @param {ModelFile[]} files
 * @param {object} [options]
 * @param {ReturnType<typeof fakeOpfs>} [options.opfs]
 * @param {AbortSignal} [options.signal]
 * @param {number} [options.chunk]
 * @param {boolean} [options.keep]
 * @param {boolean} [options.streamed]
 * @param {typeof TIMING} [options.timing]
 */
async function load(
  files,
  { opfs, signal = new AbortController().signal, chunk = CHUNK, keep = false, streamed = false, timing = TIMING } = {},
) {
  /** @type {DownloadProgress[]} */
  const told = [];
  const model = new ModelFiles({
    vault: opfs ? new Vault(opfs.directory) : null,
    refused: 'a test',
    signal,
    chunk,
    timing,
    progress: async (value) => (value.stage === 'download' && told.push(value), true),
  });
  try {
    await model.open(files);
    if (streamed) model.refuseUnlessStored();
    model.begin();
    const read = [];
    for (const source of /** @type {ByteSource[]} */ (model.sources)) {
      await source.read(0, Math.min(4, source.size));
      const parts = [];
      for (let at = 0; at < source.size; at += 40_000)
        parts.push((await source.read(at, Math.min(at + 40_000, source.size))).slice());
      read.push({ name: source.name, bytes: Buffer.concat(parts) });
    }
    const sha256s = read.map(({ name, bytes }) => ({ file: name.split('/').at(-1) ?? '', sha256: hash(bytes) }));
    await model.finish(/** @type {any} */ ({ sha256: sha256s[0].sha256, files: sha256s }));
    return { model, read, note: model.note, resumed: model.resumed, told };
  } finally {
    if (!keep) model.close();
  }
}

/**
 * @param {import('node:test').TestContext} t
 * @param {Parameters<typeof faultServer>[1]} [options]
 * @param {Uint8Array} [file]
 */
async function host(t, options, file = FILE) {
  const server = await faultServer(file, options);
  t.after(server.close);
  return { ...server, server, model: { url: `${server.url}model.gguf` } };
}

/** @param {ReturnType<typeof fakeOpfs>} opfs @param {string} url */
async function stored(opfs, url) {
  const vault = new Vault(opfs.directory);
  const id = await idOf(url);
  const [entry] = (await vault.list()).filter((model) => model.id === id);
  return { vault, id, entry, data: opfs.disks.get(`${id}.data`), journal: opfs.disks.get(`${id}.journal`) };
}

/**
 * @param {number} seed
 * @param {number} count
 * @returns {(request: Request) => Fault | void} a plan with so many cuts, anywhere in the answers
 */
function cuts(seed, count) {
  const next = random(seed);
  return ({ start, end }) => {
    if (end - start <= 16 || count === 0 || next() < 0.4) return;
    count--;
    return { cut: Math.floor(next() * (end - start)) };
  };
}

testOnce('twenty cuts in one download: the right bytes, and no finished chunk twice', async (t) => {
  for (const seed of [1, 2, 3]) {
    const { model, requests, repeated } = await host(t, { plan: cuts(seed, 20) });
    const opfs = fakeOpfs();
    // On a busy machine a cut may lose all that was sent before it, so that the cuts of a chunk count in a row.
    const { read } = await load([model], { opfs, timing: { ...TIMING, tries: 21 } });
    assert.equal(hash(read[0].bytes), SHA256);
    assert.equal(requests.filter(({ fault }) => fault.cut !== undefined).length, 20);
    assert.equal(repeated(CHUNK), 0);
    const { entry, data } = await stored(opfs, model.url);
    assert.deepEqual([entry.complete, entry.stored, entry.sha256], [true, FILE.length, SHA256]);
    assert.equal(hash(data?.durable ?? new Uint8Array()), SHA256);
  }
});

test('a load that is cancelled, and one that fails, are taken up where they were', async (t) => {
  const { model, requests, repeated, options } = await host(t, { pace: 4e6 });
  const opfs = fakeOpfs();
  const abort = new AbortController();
  options.plan = ({ start }) => void (start > 6 * CHUNK && setImmediate(() => abort.abort()));
  const started = performance.now();
  await assert.rejects(load([model], { opfs, signal: abort.signal }), { name: 'Cancelled' });
  assert.ok(performance.now() - started < 1000);
  const first = (await stored(opfs, model.url)).entry;
  assert.ok(first.stored >= 2 * CHUNK && !first.complete, `${first.stored} bytes`);

  options.plan = ({ start }) => (start > 12 * CHUNK ? { status: 404 } : {});
  await assert.rejects(load([model], { opfs }), { name: 'NotFound', message: /404/ });
  const second = (await stored(opfs, model.url)).entry;
  assert.ok(second.stored > first.stored);

  options.plan = () => {};
  const { read, resumed } = await load([model], { opfs });
  assert.equal(hash(read[0].bytes), SHA256);
  assert.equal(resumed, second.stored);
  assert.ok(requests.length > 20);
  assert.ok(repeated(CHUNK) <= 2 * 4, 'more than what was under way when it ended'); // it was sent, but not stored yet
});

test('a stored model is read without its server, by two tabs', async (t) => {
  const { model, close } = await host(t);
  const opfs = fakeOpfs();
  await load([model], { opfs });
  close();
  const tab = await load([model], { opfs, keep: true });
  const { read, note, told } = await load([model], { opfs });
  assert.equal(hash(read[0].bytes), SHA256);
  // checked chunk by chunk: need not be hashed again
  assert.equal(/** @type {ByteSource} */ (tab.model.sources[0]).sha256, SHA256);
  assert.deepEqual([note, told], ['', []]);
  await assert.rejects(load([{ ...model, sha256: '0'.repeat(64) }], { opfs }), { name: 'WrongHash' });
  tab.model.close();
});

testOnce('a crash at any moment leaves a file that can be gone on with, and never a wrong one', async (t) => {
  const file = randomBytes(2, 4500);
  const { model } = await host(t, {}, file);
  let resumed = 0;
  const whole = fakeOpfs();
  await load([model], { opfs: whole, chunk: 1024 });
  const moments = whole.operations;
  for (let moment = 1; moment <= moments; moment++) {
    const opfs = fakeOpfs();
    opfs.killAt = moment;
    await load([model], { opfs, chunk: 1024 }).catch(() => {});
    const after = opfs.crash(moment);
    const again = await load([model], { opfs: after, chunk: 1024 });
    assert.equal(hash(again.read[0].bytes), hash(file), `killed at ${moment}`);
    const { entry, data } = await stored(after, model.url);
    assert.equal(hash(data?.now ?? new Uint8Array()), hash(file), `killed at ${moment}`);
    assert.equal(entry.complete, true);
    resumed = Math.max(resumed, again.resumed);
  }
  assert.equal(resumed, file.length);
});

testOnce('a line of the journal that is torn, flipped or foreign is left out', () => {
  const header = /** @type {const} */ ({
    version: 1,
    url: 'https://example.org/a',
    name: 'a',
    size: 2500,
    etag: '"x"',
    modified: '',
    chunk: 1000,
    created: 5,
  });
  const lines = [
    header,
    { chunk: 0, sha256: SHA256 },
    { chunk: 2, sha256: SHA256 },
    { used: 7 },
    { sha256: SHA256 },
  ].map(writeLine);
  const whole = readJournal(lines.join(''));
  assert.deepEqual([...(whole?.chunks.keys() ?? [])], [0, 2]);
  assert.deepEqual([whole?.used, whole?.sha256], [7, SHA256]);
  const text = lines.join('');
  for (let at = lines[0].length; at < text.length; at++) {
    assert.ok([...(readJournal(text.slice(0, at))?.chunks.keys() ?? [])].every((chunk) => chunk === 0 || chunk === 2));
    const flipped = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ 1) + text.slice(at + 1);
    for (const chunk of readJournal(flipped)?.chunks.keys() ?? []) assert.ok(chunk === 0 || chunk === 2, flipped);
  }
  for (const bad of [
    '',
    '{}',
    text.slice(10),
    writeLine({ ...header, chunk: 0 }),
    writeLine({ ...header, size: -1 }),
    writeLine({ used: 1 }),
  ])
    assert.equal(readJournal(bad), null);
  assert.equal(
    readJournal(lines[0] + writeLine({ chunk: 3, sha256: SHA256 }) + writeLine({ chunk: 1, sha256: 'x' }))?.chunks.size,
    0,
  );
});

testOnce('each other fault ends in its own message, and what had come is there the next time', async (t) => {
  const later =
    (/** @type {Fault} */ fault) =>
    (/** @type {Request} */ { start }) =>
      start >= 10 * CHUNK ? fault : {};
  const other = randomBytes(9, FILE.length);
  for (const [plan, name, message] of /** @type {[(request: Request, at: number) => Fault, string, RegExp][]} */ ([
    [() => ({ status: 200 }), 'NoRange', /does not support range requests: expected status 206, found 200/],
    [() => ({ status: 404 }), 'NotFound', /404 Not Found/],
    [() => ({ status: 403 }), 'Denied', /403 Forbidden.*not open to everyone/],
    [() => ({ status: 401 }), 'Denied', /401/],
    [() => ({ status: 418 }), 'Read', /418/],
    [() => ({ status: 503 }), 'Busy', /503.*busy/],
    [() => ({ status: 429, retryAfter: '3600' }), 'Busy', /429.*wait 3600 s/],
    [later({ status: 200 }), 'NoRange', /found 200/],
    [later({ status: 403 }), 'Denied', /403/],
    [later({ status: 503 }), 'Busy', /503.*What has come is stored/],
    [later({ cut: 0 }), 'Read', /the connection broke.*What has come is stored/],
    [later({ stall: 0 }), 'Stalled', /stalled: no byte came/],
    [later({ short: CHUNK }), 'Truncated', /is truncated: the server's answer from byte \d+ ends at byte/],
    [later({ long: 5 }), 'WrongRange', /other bytes: expected bytes \d+ to \d+, found more/],
    [later({ swap: other }), 'Changed', /has changed on its server while/],
    [later({ swap: FILE.subarray(0, 19 * CHUNK) }), 'Changed', /has changed/],
  ])) {
    const { model, options } = await host(t, { plan });
    const opfs = fakeOpfs();
    await assert.rejects(load([model], { opfs, timing: STALLS }), (/** @type {Error} */ error) => {
      assert.equal(error.name, name, error.message);
      assert.match(error.message, message);
      assert.match(error.message, /model\.gguf/);
      return true;
    });
    const { entry } = await stored(opfs, model.url);
    if (String(plan).includes('start') && name !== 'Changed')
      assert.ok(entry.stored >= 4 * CHUNK, `${name}: ${entry.stored}`);
    if (name === 'Changed') assert.equal(entry, undefined);
    options.plan = () => {};
    assert.ok((await load([model], { opfs })).read[0].bytes.length > 0);
  }
  await assert.rejects(load([{ url: 'http://127.0.0.1:1/model.gguf' }]), {
    name: 'Read',
    message: /cannot read `http:\/\/127\.0\.0\.1:1\/model\.gguf`/,
  });
});

testOnce('faults that pass are waited for: 503 with Retry-After, stalls, short answers that go on', async (t) => {
  const next = random(5);
  const { model, requests } = await host(t, {
    plan: ({ end, start }) =>
      end - start <= 16 || next() < 0.5
        ? {}
        : [
            { status: 503, retryAfter: '0' },
            { stall: 30_000 },
            { short: 1 + Math.floor(next() * 60_000) },
            { status: 429 },
          ][Math.floor(4 * next())],
  });
  const { read } = await load([model], { opfs: fakeOpfs(), timing: STALLS });
  assert.equal(hash(read[0].bytes), SHA256);
  assert.ok(requests.some(({ fault }) => fault.status === 503) && requests.some(({ fault }) => fault.stall));
});

test('a file that changed since a part of it was stored is begun anew, at the second try', async (t) => {
  const other = randomBytes(8, FILE.length);
  const { model, options } = await host(t, { plan: ({ start }) => (start > 9 * CHUNK ? { status: 404 } : {}) });
  const opfs = fakeOpfs();
  await assert.rejects(load([model], { opfs }), { name: 'NotFound' });
  options.plan = () => ({ swap: other });
  await assert.rejects(load([model], { opfs }), {
    name: 'Changed',
    message: /has changed on its server since \d+ % of it were stored here/,
  });
  assert.equal((await stored(opfs, model.url)).entry, undefined);
  options.plan = () => {};
  const { read, resumed } = await load([model], { opfs });
  assert.deepEqual([hash(read[0].bytes), resumed], [hash(other), 0]);

  options.plan = () => ({ swap: FILE }); // behind a file that is stored whole: used, and said
  const again = await load([model], { opfs });
  assert.equal(hash(again.read[0].bytes), hash(other));
  assert.match(again.note, /has changed since it was stored here/);
});

test('another ETag than before is asked about once more, and overlooked where the SHA-256 decides', async (t) => {
  const asked = new Set();
  const { model, options, requests } = await host(t, {
    plan: ({ start }) => (start > 2 * CHUNK && !asked.has(start) ? (asked.add(start), { mirror: 'b' }) : {}),
  });
  const opfs = fakeOpfs();
  assert.equal(hash((await load([model], { opfs })).read[0].bytes), SHA256);

  const part = fakeOpfs();
  options.plan = ({ start }) => (start > 9 * CHUNK ? { status: 404 } : {});
  await assert.rejects(load([{ ...model, sha256: SHA256 }], { opfs: part }), { name: 'NotFound' });
  const { entry } = await stored(part, model.url);
  const before = requests.length;
  options.plan = () => ({ mirror: 'b' });
  const { read, resumed } = await load([{ ...model, sha256: SHA256 }], { opfs: part }); // it was fetched for this hash
  assert.deepEqual([hash(read[0].bytes), resumed], [SHA256, entry.stored]);
  assert.ok(requests.slice(before).every(({ start, end }) => end - start <= 16 || start >= 5 * CHUNK));

  options.plan = ({ start }) => (start > 2 * CHUNK ? { mirror: 'b' } : {});
  assert.equal(hash((await load([{ ...model, sha256: SHA256 }], { opfs: fakeOpfs() })).read[0].bytes), SHA256);
  await assert.rejects(load([model], { opfs: fakeOpfs() }), { name: 'Changed' });

  let first = true;
  const lagging = fakeOpfs();
  options.plan = ({ start }) => (start > 9 * CHUNK ? { status: 404 } : {});
  await assert.rejects(load([model], { opfs: lagging }), { name: 'NotFound' });
  options.plan = () => (first ? ((first = false), { mirror: 'b' }) : {});
  assert.ok((await load([model], { opfs: lagging })).resumed > 0);
});

test('a flipped byte is found by verify, which tells where; the next load fetches that piece alone', async (t) => {
  const { model, requests } = await host(t);
  const opfs = fakeOpfs();
  await load([model], { opfs });
  const { vault, id, data } = await stored(opfs, model.url);
  assert.deepEqual(await vault.verify(id, async () => true), []);
  /** @type {NonNullable<typeof data>} */ (data).now[7 * CHUNK + 99] ^= 1;
  assert.deepEqual(await vault.verify(id, async () => true), [[7 * CHUNK, 8 * CHUNK]]);
  await assert.rejects(
    vault.verify(id, async () => false),
    { name: 'Cancelled' },
  );
  const before = requests.length;
  const { read } = await load([model], { opfs });
  assert.equal(hash(read[0].bytes), SHA256);
  assert.deepEqual(
    requests.slice(before).map(({ start }) => start),
    [0, 7 * CHUNK],
  );
});

test('a flipped byte is found by the hash at the load, in a whole file and in a part', async (t) => {
  const { model, options, requests } = await host(t);
  const opfs = fakeOpfs();
  await load([model], { opfs });
  const { data } = await stored(opfs, model.url);
  /** @type {NonNullable<typeof data>} */ (data).now[FILE.length - 1] ^= 128;
  await assert.rejects(load([model], { opfs }), {
    name: 'Damaged',
    message: new RegExp(`\`model\\.gguf\` is damaged.*bytes ${20 * CHUNK} to ${FILE.length - 1}.*fetches them again`),
  });
  assert.equal(hash((await load([model], { opfs })).read[0].bytes), SHA256);

  const part = fakeOpfs();
  options.plan = ({ start }) => (start > 9 * CHUNK ? { status: 404 } : {});
  await assert.rejects(load([model], { opfs: part }), { name: 'NotFound' });
  options.plan = () => {};
  /** @type {any} */ ((await stored(part, model.url)).data).now[5] ^= 1;
  const before = requests.length;
  const { read, note } = await load([model], { opfs: part });
  assert.equal(hash(read[0].bytes), SHA256);
  assert.match(note, /1 of the stored pieces/);
  assert.ok(requests.slice(before).some(({ start, end }) => start === 0 && end === CHUNK));
});

test("a file with another SHA-256 than the link's is refused with both, and stays to be deleted", async (t) => {
  const { model } = await host(t, { plan: ({ start }) => (start === 4 * CHUNK ? { alter: 77 } : {}) });
  for (const opfs of [fakeOpfs(), undefined]) {
    await assert.rejects(load([{ ...model, sha256: SHA256 }], { opfs }), (/** @type {Error} */ { name, message }) => {
      assert.equal(name, 'WrongHash');
      assert.match(message, new RegExp(`its SHA-256 is [0-9a-f]{64}, expected ${SHA256}\\.`));
      assert.equal(/Delete it under Stored models/.test(message), opfs !== undefined);
      return true;
    });
    if (!opfs) continue;
    const { vault, id, entry } = await stored(opfs, model.url);
    assert.equal(entry.complete, true);
    await vault.remove(id);
    assert.equal(opfs.disks.size, 0);
  }
});

test('a refused file is refused again by every load that expects a hash, and its hash ends with the link', async (t) => {
  const { model, options } = await host(t, { plan: ({ start }) => (start === 4 * CHUNK ? { alter: 77 } : {}) });
  const opfs = fakeOpfs();
  await assert.rejects(load([{ ...model, sha256: SHA256 }], { opfs }), { name: 'WrongHash' });
  const { vault, id, entry, data } = await stored(opfs, model.url);
  assert.deepEqual([entry.complete, entry.sha256], [true, '']);
  for (const sha256 of [SHA256, SHA256]) {
    await assert.rejects(load([{ ...model, sha256 }], { opfs }), {
      name: 'WrongHash',
      message: new RegExp(`expected ${SHA256}.*Delete it under Stored models`),
    });
  }
  const own = hash(data?.now ?? new Uint8Array());
  await load([model], { opfs }); // whom nobody promised another one
  await load([{ ...model, sha256: own }], { opfs }); // whom that very file was promised
  await load([model], { opfs });
  assert.equal((await stored(opfs, model.url)).entry.sha256, own);
  await assert.rejects(load([{ ...model, sha256: SHA256 }], { opfs }), { name: 'WrongHash' });
  await load([model], { opfs });
  options.plan = () => {};
  await vault.remove(id);
  await load([{ ...model, sha256: SHA256 }], { opfs });
  await load([model], { opfs });
});

test('a file that was refused for one link is what another asked for', async (t) => {
  const { model } = await host(t);
  const opfs = fakeOpfs();
  await load([model], { opfs });
  const { vault, id } = await stored(opfs, model.url);
  await vault.note(id, [{ drop: 3 }]);
  await assert.rejects(load([{ ...model, sha256: '0'.repeat(64) }], { opfs }), { name: 'WrongHash' });
  await load([model], { opfs });
  await load([{ ...model, sha256: SHA256 }], { opfs });
  await load([model], { opfs });
});

test('the SHA-256 of a link ends with the link, wherever its load ends', async (t) => {
  const { model, options } = await host(t);
  for (const at of [1, 8, Infinity]) {
    const opfs = fakeOpfs();
    options.plan = ({ start }) => (start > at * CHUNK ? { status: 404 } : {});
    await assert.rejects(load([{ ...model, sha256: 'f'.repeat(64) }], { opfs }), /NotFound|404|f{64}/);
    options.plan = () => {};
    assert.equal(hash((await load([model], { opfs })).read[0].bytes), SHA256);
    assert.equal((await stored(opfs, model.url)).entry.sha256, SHA256);
    await assert.rejects(load([{ ...model, sha256: 'f'.repeat(64) }], { opfs }), { name: 'WrongHash' });
    await load([model], { opfs });
  }
});

test('a model that is stored under another spelling of its address is found, and not stored twice', async (t) => {
  const { url } = await host(t);
  const { fetch } = globalThis;
  t.after(() => void (globalThis.fetch = fetch));
  globalThis.fetch = async (input, init) =>
    String(input).includes('/raw/') ? new Response('', { status: 404 }) : fetch(`${url}model.gguf`, init);
  for (const old of [
    'https://huggingface.co/a/b/resolve/main/model.gguf?download=true',
    'https://huggingface.co/a/b/resolve/main/model.gguf#x',
    'https://hf.co/a/b/resolve/main/model.gguf',
  ]) {
    const opfs = fakeOpfs();
    await load([{ url: old }], { opfs });
    const { id } = await stored(opfs, old);
    const { resumed } = await load([{ url: modelAddress(old) }], { opfs });
    assert.deepEqual([resumed, [...opfs.disks.keys()].sort()], [FILE.length, [`${id}.data`, `${id}.journal`]]);
  }
});

test("the Hub's hash of a file is kept with it, and asked for where a stored file has none", async (t) => {
  const { url } = await host(t);
  const hub = 'https://huggingface.co/a/b/resolve/main/model.gguf';
  const opfs = fakeOpfs();
  const { fetch } = globalThis;
  t.after(() => void (globalThis.fetch = fetch));
  const announced = '1'.repeat(64);
  globalThis.fetch = async (input, init) => {
    if (!String(input).startsWith('https://huggingface.co/')) return fetch(input, init);
    return String(input).includes('/raw/') ? new Response(`oid sha256:${announced}`) : fetch(`${url}model.gguf`, init);
  };
  await assert.rejects(load([{ url: hub }], { opfs }), { name: 'WrongHash', message: /expected 1{64}/ });
  globalThis.fetch = fetch; // no Hub any more
  await assert.rejects(load([{ url: hub }], { opfs }), { name: 'WrongHash', message: /expected 1{64}/ });

  const { journal, vault, id } = await stored(opfs, hub);
  Object.assign(journal ?? {}, {
    now: new TextEncoder().encode(
      new TextDecoder()
        .decode(journal?.now)
        .split('\n')
        .filter((line) => !/"(expect|bad)"/.test(line))
        .join('\n'),
    ),
  }); // as a page of before left it
  globalThis.fetch = async (input) =>
    new Response(String(input).includes('/raw/') ? `oid sha256:${announced}` : '', {
      status: String(input).includes('/raw/') ? 200 : 503,
    });
  await assert.rejects(load([{ url: hub }], { opfs }), { name: 'WrongHash', message: /expected 1{64}/ });
  await vault.remove(id);

  for (const answer of [() => new Response('', { status: 503 }), () => new Promise(() => {})]) {
    // a Hub that does not tell is waited for, a little
    globalThis.fetch = async (input, init) =>
      String(input).includes('/raw/') ? answer() : fetch(`${url}model.gguf`, init);
    const { note } = await load([{ url: hub }], { opfs });
    assert.match(note, /`model\.gguf` is not verified/);
    assert.equal((await stored(opfs, hub)).entry.sha256, '');
  }
  let answered = false;
  globalThis.fetch = async (input, init) => {
    if (!String(input).includes('/raw/')) return fetch(`${url}model.gguf`, init);
    await new Promise((resolve) => setTimeout(resolve, 500)); // later than the file
    answered = true;
    return new Response(`oid sha256:${announced}`);
  };
  await assert.rejects(load([{ url: hub }], { opfs }), { name: 'WrongHash', message: /expected 1{64}/ });
  assert.ok(answered);
});

test('a flipped byte of a stored file whose hash nobody knows is found too', async (t) => {
  const { model } = await host(t);
  const opfs = fakeOpfs();
  await load([model], { opfs });
  const { data, journal } = await stored(opfs, model.url);
  Object.assign(journal ?? {}, {
    now: new TextEncoder().encode(new TextDecoder().decode(journal?.now).replace(/\S+ \{"sha256".*\n/, '')),
  });
  assert.equal((await stored(opfs, model.url)).entry.sha256, '');
  /** @type {NonNullable<typeof data>} */ (data).now[7 * CHUNK + 99] ^= 1;
  await assert.rejects(load([model], { opfs }), {
    name: 'Damaged',
    message: new RegExp(`bytes ${7 * CHUNK} to ${8 * CHUNK - 1}`),
  });
  assert.equal(hash((await load([model], { opfs })).read[0].bytes), SHA256);
});

test('without storage, with a full one and with a locked one the model is streamed, and that is said', async (t) => {
  const { model, repeated, requests } = await host(t, { plan: cuts(7, 5) });
  const none = await load([model]);
  assert.equal(hash(none.read[0].bytes), SHA256);
  assert.match(none.note, /keeps no files for this page \(a test\): the model is streamed and not stored/);
  assert.equal(repeated(CHUNK), 0);
  assert.ok(none.told.every(({ storing }) => !storing));

  const full = fakeOpfs();
  full.quota = 8 * CHUNK;
  const filled = await load([model], { opfs: full });
  assert.equal(hash(filled.read[0].bytes), SHA256);
  assert.match(filled.note, /storage for this page is full: \d+ % of the model are stored, the rest is streamed/);
  full.quota = Infinity;
  const before = requests.length;
  const resumed = await load([model], { opfs: full });
  assert.ok(resumed.resumed >= 6 * CHUNK && requests.length - before <= 17);
  assert.equal((await stored(full, model.url)).entry.complete, true);

  const opfs = fakeOpfs();
  const { vault, id } = await stored(opfs, model.url);
  const tab = await vault.write(id);
  const second = await load([model], { opfs });
  assert.equal(hash(second.read[0].bytes), SHA256);
  assert.match(second.note, /Another tab is downloading this model/);
  await assert.rejects(vault.remove(id), { name: 'InUse' });
  tab.close();
});

testOnce("the room in the browser's storage is told with each download, however small", async (t) => {
  const { model } = await host(t);
  const { navigator } = globalThis;
  t.after(() => Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true }));
  Object.defineProperty(globalThis, 'navigator', {
    value: { storage: { estimate: async () => ({ quota: 3e9, usage: 1e9 }) } },
    configurable: true,
  });
  const opfs = fakeOpfs();
  const { told, note } = await load([model], { opfs });
  assert.equal(told[0].note, 'It is kept in this browser, which has room for 2.0 GB.');
  assert.equal(note, '');
  assert.deepEqual((await load([model], { opfs })).told, []);
});

testOnce('on an insecure page, which has neither storage nor hashes, a model is streamed', async (t) => {
  const { model } = await host(t);
  Object.defineProperty(crypto, 'subtle', { value: undefined, configurable: true });
  t.after(() => Reflect.deleteProperty(crypto, 'subtle'));
  const { read, note } = await load([model]);
  assert.equal(hash(read[0].bytes), SHA256);
  assert.match(note, /streamed and not stored/);
});

testOnce('what of a streamed file is read again later comes from its server, by itself', async (t) => {
  const { model, requests } = await host(t);
  const { model: files } = await load([model], { keep: true });
  const before = requests.length;
  const [source] = /** @type {ByteSource[]} */ (files.sources);
  assert.deepEqual(await source.read(1000, 1100), FILE.slice(1000, 1100));
  assert.deepEqual(
    requests.slice(before).map(({ start, end }) => [start, end]),
    [[1000, 1100]],
  );
  files.close();
});

test('a stored model that is deleted while it is loaded is read from its server', async (t) => {
  const { model, options } = await host(t);
  const opfs = fakeOpfs();
  for (const kind of ['downloaded', 'stored']) {
    const { model: files } = await load([{ ...model, sha256: SHA256 }], { opfs, keep: true });
    const { vault, id, entry } = await stored(opfs, model.url);
    files.release(id);
    assert.equal(entry.complete, true);
    if (kind === 'stored') await vault.remove(id);
    assert.deepEqual(await /** @type {ByteSource} */ (files.sources[0]).read(1000, 1100), FILE.slice(1000, 1100));
    // nothing compares the whole any more
    if (kind === 'stored') options.plan = () => ({ swap: randomBytes(3, FILE.length) });
    if (kind === 'stored')
      await assert.rejects(async () => files.sources[0].read(FILE.length - 100, FILE.length), { name: 'Changed' });
    files.close();
  }
});

test('layers that are read for each batch need all of the file stored: else the load is refused, and Delete of it too', async (t) => {
  const { model, requests } = await host(t);
  await assert.rejects(load([model], { streamed: true }), {
    name: 'NotStored',
    message: /keeps no files for this page \(a test\)/,
  });

  const opfs = fakeOpfs();
  const { vault, id } = await stored(opfs, model.url);
  const tab = await vault.write(id);
  await assert.rejects(load([model], { opfs, streamed: true }), {
    name: 'NotStored',
    message: /all of it has to be stored here, and can't be\. Another tab is downloading/,
  });
  tab.close();

  const none = fakeOpfs();
  none.quota = 10;
  await assert.rejects(load([model], { opfs: none, streamed: true }), {
    name: 'NotStored',
    message: /storage refuses more/,
  });
  const { navigator } = globalThis;
  t.after(() => Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true }));
  Object.defineProperty(globalThis, 'navigator', {
    value: { storage: { estimate: async () => ({ quota: 8 * CHUNK, usage: 0 }) } },
    configurable: true,
  });
  await assert.rejects(load([model], { opfs: fakeOpfs(), streamed: true }), {
    name: 'NotStored',
    message: /room for 524 kB more here, and 1\.3 MB are missing/,
  });
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
  assert.ok(
    requests.every(({ end, start }) => end - start <= 8),
    'nothing was downloaded for it',
  );

  const full = fakeOpfs();
  full.quota = 8 * CHUNK; // and the browser did not tell
  await assert.rejects(load([model], { opfs: full, streamed: true }), {
    name: 'NotStored',
    message: /storage for this page is full: \d+ % of the model are stored/,
  });
  full.quota = Infinity;
  const { model: files } = await load([model], { opfs: full, streamed: true, keep: true });
  assert.throws(() => files.release(id), {
    name: 'InUse',
    message: /layer by layer, for each batch: load another one first/,
  });
  assert.deepEqual(await /** @type {ByteSource} */ (files.sources[0]).read(1000, 1100), FILE.slice(1000, 1100));
  files.close();
  files.release(id);
});

test('a model that is stored in part is read from there once it is loaded; when it lets go, it can be deleted or gone on with', async (t) => {
  const { model, requests } = await host(t);
  for (const then of ['delete', 'go on']) {
    const opfs = fakeOpfs();
    opfs.quota = 8 * CHUNK;
    const { model: files } = await load([model], { opfs, keep: true });
    const before = requests.length;
    const [source] = /** @type {ByteSource[]} */ (files.sources);
    assert.deepEqual(await source.read(1000, 1100), FILE.slice(1000, 1100));
    assert.equal(requests.length, before);
    assert.deepEqual(await source.read(FILE.length - 100, FILE.length), FILE.slice(FILE.length - 100));
    const { vault, id, journal } = await stored(opfs, model.url);
    assert.match(new TextDecoder().decode(journal?.now), /"used"/);
    await assert.rejects(vault.remove(id), { name: 'InUse' });
    files.release(id);
    opfs.quota = Infinity;
    if (then === 'delete') await vault.remove(id);
    else await load([model], { opfs });
    assert.equal((await stored(opfs, model.url)).entry?.complete, then === 'delete' ? undefined : true);
    assert.deepEqual(await source.read(1000, 1100), FILE.slice(1000, 1100));
    files.close();
  }
});

test('a file that another tab reads is not deleted, and nothing of it is lost', async (t) => {
  const { model } = await host(t);
  const opfs = fakeOpfs();
  const { model: tab } = await load([model], { opfs, keep: true });
  const { vault, id } = await stored(opfs, model.url);
  await assert.rejects(vault.remove(id), { name: 'InUse' });
  assert.equal((await stored(opfs, model.url)).entry.complete, true);
  tab.close();
  await vault.remove(id);
  assert.equal(opfs.disks.size, 0);
});

test('a damaged piece is not read, though a full storage takes no note of it', async (t) => {
  const { model, options } = await host(t, { plan: ({ start }) => (start > 9 * CHUNK ? { status: 404 } : {}) });
  const opfs = fakeOpfs();
  await assert.rejects(load([model], { opfs }), { name: 'NotFound' });
  options.plan = () => {};
  /** @type {any} */ ((await stored(opfs, model.url)).data).now[5] ^= 1;
  opfs.quota = 0;
  const { read, note } = await load([model], { opfs });
  assert.equal(hash(read[0].bytes), SHA256);
  assert.match(note, /1 of the stored pieces.*storage refuses more/);
});

test('a damaged piece is told, though another tab holds the journal', async (t) => {
  const { model } = await host(t);
  const opfs = fakeOpfs();
  await load([model], { opfs });
  const { data, journal } = await stored(opfs, model.url);
  /** @type {any} */ (data).now[5] ^= 1;
  Object.assign(journal ?? {}, { locks: 1, exclusive: true });
  await assert.rejects(load([model], { opfs }), {
    name: 'Damaged',
    message:
      /bytes 0 to 65535 are no longer what was downloaded\. They can't be dropped now \(The file is in use by another tab\.\)/,
  });
});

test("one file that can't be read leaves the others in the list", async (t) => {
  const { model } = await host(t);
  const opfs = fakeOpfs();
  await load([model], { opfs });
  const disk = () => ({ durable: new Uint8Array(5), now: new Uint8Array(5), locks: 0, exclusive: false });
  for (const name of ['0123.data', '0123.journal']) opfs.disks.set(name, disk());
  Object.defineProperty(opfs.disks.get('0123.journal'), 'now', {
    get() {
      throw Object.assign(new Error('it is busy'), { name: 'NotReadableError' });
    },
  });
  const [whole, busy] = await new Vault(opfs.directory).list();
  assert.deepEqual(
    [whole.name, whole.complete, busy.name, busy.stored],
    ['model.gguf', true, "a file that can't be read now (it is busy)", 5],
  );
});

testOnce('memory stays at a few chunks, whatever the file and however slow its reader', async (t) => {
  const { model, server } = await host(t);
  const files = new ModelFiles({
    vault: null,
    refused: '',
    signal: new AbortController().signal,
    chunk: CHUNK,
    timing: TIMING,
    progress: async () => true,
  });
  await files.open([model]);
  files.begin();
  const [source] = /** @type {ByteSource[]} */ (files.sources);
  await source.read(0, 10);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.ok(server.sent <= 5 * CHUNK, `${server.sent} bytes`);
  files.close();
});

testOnce("an index of shards gives its files, and a stranger's one nothing else", async (t) => {
  const shards = {
    '/m/a-00001-of-00002.safetensors': FILE.subarray(0, 3 * CHUNK),
    '/m/a-00002-of-00002.safetensors': FILE.subarray(3 * CHUNK, 7 * CHUNK),
  };
  const index = (/** @type {unknown} */ map) => JSON.stringify({ weight_map: map });
  const good = index({
    x: 'a-00002-of-00002.safetensors',
    y: 'a-00001-of-00002.safetensors',
    z: 'a-00001-of-00002.safetensors',
  });
  const { url, requests } = await host(t, {
    others: {
      ...shards,
      '/m/config.json': '{"a":1}',
      '/m/tokenizer.json': '{}',
      '/m/model.safetensors.index.json': good,
      '/t5/config.json': '{"c":1}',
      '/t5/model.safetensors': FILE.subarray(0, 100),
      '/t5/spiece.model': 'pieces',
      '/t5/vocab.json': '{}',
      '/sd/text_encoder/config.json': '{"d":1}',
      '/sd/text_encoder/model.safetensors': FILE.subarray(0, 100),
      '/sd/tokenizer_2/tokenizer.json': '{}',
      '/sd/tokenizer/vocab.json': '{}',
      '/sd/tokenizer/merges.txt': 'a b',
      '/sd/tokenizer/tokenizer_config.json': '{}',
      '/sd/text_encoder_2/config.json': '{"e":1}',
      '/sd/text_encoder_2/model.safetensors': FILE.subarray(0, 100),
      '/bare/config.json': '{"b":1}',
      '/bare/model.safetensors': FILE.subarray(0, 100),
      '/alone/t5xxl_fp8.safetensors': FILE.subarray(0, 100),
      '/bad/config.json': '{}',
      ...Object.fromEntries(
        [
          'x',
          '[]',
          '{}',
          index({}),
          index({ a: '../x.safetensors' }),
          index({ a: 'x/y.safetensors' }),
          index({ a: 'https://evil.example/x.safetensors' }),
          index({ a: 'x.bin' }),
          index({ a: '.safetensors' }),
          index({ a: 1 }),
          index(['a.safetensors']),
          index(Object.fromEntries(Array.from({ length: 1001 }, (_, at) => [at, `${at}.safetensors`]))),
        ].map((text, at) => [`/bad/${at}.safetensors.index.json`, text]),
      ),
    },
  });
  const opfs = fakeOpfs();
  const { read } = await load([{ url: `${url}m/model.safetensors.index.json` }], { opfs });
  assert.deepEqual(
    read.map(({ name }) => name.slice(url.length)),
    ['m/config.json', 'm/tokenizer.json', 'm/a-00001-of-00002.safetensors', 'm/a-00002-of-00002.safetensors'],
  );
  assert.equal(hash(Buffer.concat(read.slice(2).map(({ bytes }) => bytes))), hash(FILE.subarray(0, 7 * CHUNK)));
  assert.equal((await new Vault(opfs.directory).list()).filter(({ complete }) => complete).length, 5);

  const single = await load([{ url: `${url}bare/model.safetensors` }], { opfs });
  assert.deepEqual(
    single.read.map(({ name }) => name.slice(url.length)),
    ['bare/config.json', 'bare/model.safetensors'],
  );
  // A single file without config.json is recognized by its tensors.
  const alone = await load([{ url: `${url}alone/t5xxl_fp8.safetensors` }], { opfs: fakeOpfs() });
  assert.deepEqual(
    alone.read.map(({ name }) => name.slice(url.length)),
    ['alone/t5xxl_fp8.safetensors'],
  );
  for (const [folder, tokenizer] of /** @type {[string, string[]][]} */ ([
    ['t5', ['t5/spiece.model']],
    ['sd/text_encoder', ['vocab.json', 'merges.txt', 'tokenizer_config.json'].map((name) => `sd/tokenizer/${name}`)],
    ['sd/text_encoder_2', ['sd/tokenizer_2/tokenizer.json']],
  ])) {
    const { read: files } = await load([{ url: `${url}${folder}/model.safetensors` }], { opfs });
    assert.deepEqual(
      files.map(({ name }) => name.slice(url.length)),
      [`${folder}/config.json`, ...tokenizer, `${folder}/model.safetensors`],
    );
  }
  const sets = setsOf(await new Vault(opfs.directory).list());
  const encoder = sets.find((set) => set.url === `${url}sd/text_encoder/model.safetensors`);
  assert.equal(encoder?.files.length, 5);
  for (let at = 0; at < 12; at++) {
    const before = requests.length;
    await assert.rejects(
      load([{ url: `${url}bad/${at}.safetensors.index.json` }]),
      { name: 'Malformed', message: /weight_map is malformed/ },
      `index ${at}`,
    );
    assert.equal(requests.length, before + 1, `index ${at}`);
  }
  await assert.rejects(load([{ url: `${url}none/model.safetensors.index.json` }]), { name: 'NotFound' });
});

test('a stored safetensors model loads without its server; a small file that has changed is told', async (t) => {
  const others = /** @type {Record<string, Uint8Array | string>} */ ({
    '/m/config.json': '{"a":1}',
    '/m/tokenizer.json': '{}',
    '/m/a.safetensors': FILE.subarray(0, 3 * CHUNK),
    '/m/model.safetensors.index.json': JSON.stringify({ weight_map: { x: 'a.safetensors' } }),
  });
  const { url, requests, options, close } = await host(t, {
    others,
    plan: ({ start }) => (start > CHUNK ? { status: 404 } : {}),
  });
  const index = { url: `${url}m/model.safetensors.index.json` };
  const opfs = fakeOpfs();
  const names = async () => (await new Vault(opfs.directory).list()).map(({ name }) => name).sort();
  await assert.rejects(load([index], { opfs }), { name: 'NotFound' });
  assert.deepEqual(await names(), ['a.safetensors']); // the others may be what was wrong
  options.plan = () => {};
  const first = await load([index], { opfs });
  assert.deepEqual(await names(), ['a.safetensors', 'config.json', 'model.safetensors.index.json', 'tokenizer.json']);

  const before = requests.length;
  assert.equal((await load([index], { opfs })).note, '');
  assert.ok(requests.slice(before).every(({ method, end, start }) => method === 'HEAD' || end - start <= 8));
  options.plan = () => ({ mirror: 'b' });
  others['/m/config.json'] = '{"a":2}';
  const { read, note } = await load([index], { opfs });
  assert.equal(String(read[0].bytes), '{"a":1}');
  assert.match(note, /m\/config\.json has changed since it was stored here\. Delete it under Stored models/);

  close();
  assert.deepEqual((await load([index], { opfs })).read, first.read);
  const config = [...opfs.disks.values()].find(({ now }) => String.fromCharCode(...now.subarray(0, 7)) === '{"a":1}');
  Object.assign(config ?? {}, { now: new TextEncoder().encode('{"a":3}') });
  await assert.rejects(load([index], { opfs }), { name: 'Read' }); // damaged: asked for again
});

test('the list of stored models tells name, size, what is there and the last use', async (t) => {
  const { model, options } = await host(t, { plan: ({ start }) => (start > 9 * CHUNK ? { status: 404 } : {}) });
  const opfs = fakeOpfs();
  await assert.rejects(load([model], { opfs }));
  opfs.disks.set('0123.data', { durable: new Uint8Array(5), now: new Uint8Array(5), locks: 0, exclusive: false });
  const vault = new Vault(opfs.directory);
  const [part, orphan] = await vault.list();
  assert.deepEqual(
    [part.name, part.url, part.size, part.complete, part.sha256],
    ['model.gguf', model.url, FILE.length, false, ''],
  );
  assert.ok(part.stored > 0 && part.used > Date.now() - 60_000);
  assert.deepEqual([orphan.name, orphan.stored], ['a file without its journal', 5]);
  await vault.remove('0123');
  options.plan = () => {};
  await load([model], { opfs });
  const [whole, ...none] = await vault.list();
  assert.deepEqual([whole.complete, whole.stored, whole.sha256, none.length], [true, FILE.length, SHA256, 0]);
  assert.equal(hash(Buffer.from(await (await vault.file(whole.id)).arrayBuffer())), SHA256);
});
