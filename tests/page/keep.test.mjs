// What outlives a reload: the worker's vectors (www/storage/vectors.js) and the page's state (www/state/keep.js), in a
// storage in memory.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { initialState } from '../../www/state/initial.js';
import { Keeper, restore } from '../../www/state/keep.js';
import { vectorStore } from '../../www/storage/vectors.js';
import { fakeDatabase } from '../support/fake-database.mjs';

/** @import { Kept } from '../../www/state/kept-shapes.js' */
/** @import { State } from '../../www/state/state' */

const BASE = 'https://example.org/demo/';
const SETTINGS = /** @type {const} */ ({
  feature: 'layer(2)',
  pooling: 'last_token',
  layer_weights: null,
  reference_precision: true,
});
const ACCURACY = {
  accuracy: 1,
  correct: 1,
  total: 1,
  interval: /** @type {[number, number]} */ ([0.2, 1]),
  chance: 0.5,
};
const ITEM = {
  index: 0,
  caption_key: 'image_0',
  caption_type: 'image',
  question_type: 'OCR',
  caption: 'a',
  question: 'q',
  options: 'A. x\nB. y',
  statements: ['x', 'y'],
  correct_answer: 'A',
  predicted_answer: 'A',
  confidence_score: 0.5,
  all_scores: [0.5, 0.25],
  is_correct: true,
};
const REPORT = {
  summary: {
    accuracy_statistics: {
      overall_accuracy: 1,
      total_correct: 1,
      total_samples: 1,
      overall: ACCURACY,
      caption_type_accuracy: { image: ACCURACY },
      question_type_accuracy: { OCR: ACCURACY },
      combined_accuracy: {},
    },
    average_confidence: 0.5,
    ties: 0,
    complete: true,
  },
  results: [ITEM],
  provenance: { feature: 'layer(2)' },
};
const OUTCOME = {
  report: REPORT,
  settings: SETTINGS,
  sample: true,
  file: 'ted.json',
  model: 'Tiny',
  source: {
    kind: 'url',
    name: 'https://example.org/a.gguf',
    quantize: null,
    arithmetic: 'f32',
    special_tokens: 'file',
  },
};
const SUBSET = { caption_types: [], question_types: ['OCR'], per_type: 2, captions: null, seed: 7 };
const UNFINISHED = /** @type {const} */ ({
  subset: { ...SUBSET },
  settings: SETTINGS,
  texts: 3,
  total_texts: 9,
  items: 2,
  correct: 1,
  data: { name: 'ted.json', sample: false, sha256: 'ab' },
  model: {
    kind: 'url',
    name: 'https://example.org/a.gguf',
    quantize: null,
    arithmetic: 'f32',
    special_tokens: 'file',
    card: 'Tiny',
  },
  adapter: null,
  device: 'cpu',
});
const COMPARISON = {
  texts: ['a', 'b'],
  settings: SETTINGS,
  model: 'Tiny',
  mixed: false,
  embeddings: {
    dimension: 1,
    vectors: new Float32Array(2),
    similarity: new Float32Array(4),
    tokens: [1, 1],
    truncated: [false, false],
    milliseconds: 1,
  },
};
const SOURCE = /** @type {const} */ ({ kind: 'url', name: 'https://example.org/a.gguf', bytes: null, files: [] });

/** A state in which every kept part has been changed. @returns {State} */
function busyState() {
  const state = initialState(BASE);
  Object.assign(state, {
    prompts: ['a', 'b'],
    hint: '',
    settings: SETTINGS,
    wanted: 'cpu',
    unfinished: UNFINISHED,
    outcome: OUTCOME,
    comparison: COMPARISON,
    imported: [{ id: 'report-1', name: 'other.json', report: REPORT, sample: false }],
    datasetSource: { name: 'ted.json', sample: false, read: async () => new Uint8Array([1, 2]) },
    subset: { ...SUBSET, question_types: ['OCR'] },
  });
  state.model.source = { ...SOURCE, files: [{ url: SOURCE.name }] };
  return state;
}

/**
 * Keeps all of `state`, as a page that began with nothing does.
 * @param {ReturnType<typeof fakeDatabase>} fake
 * @param {State} state
 */
async function keep(fake, state) {
  const keeper = new Keeper(fake.open, assert.fail);
  const begun = initialState(BASE);
  keeper.begin(begun);
  Object.assign(begun, state);
  await keeper.flush();
  return keeper;
}

/** The page after a reload. @param {ReturnType<typeof fakeDatabase>} fake @param {boolean} [linked] */
async function reload(fake, linked = false) {
  const keeper = new Keeper(fake.open, assert.fail);
  const state = initialState(BASE);
  restore(state, await keeper.read(), { base: BASE, linked, dataset: (name) => keeper.dataset(name) });
  return { keeper, state };
}

const hex = (/** @type {number} */ count) => Array.from({ length: count }, (_, at) => at.toString(16));

test('vectors come back by scope and key, in their own buffers', async () => {
  const fake = fakeDatabase();
  const store = vectorStore(fake.open, assert.fail);
  const heap = new Float32Array(1000);
  heap.set([1, 2], 10);
  await store.put('s', ['a', 'b'], [heap.subarray(10, 12), Float32Array.of(3)]);
  assert.deepEqual(await store.get('s', ['b', 'x', 'a']), [Float32Array.of(3), null, Float32Array.of(1, 2)]);
  assert.deepEqual(await store.get('t', ['a']), [null]);
  const [kept] = await store.get('s', ['a']);
  assert.equal(kept?.buffer.byteLength, 8);
});

test('many vectors go in batches, and what is no vector is none', async () => {
  const fake = fakeDatabase();
  const store = vectorStore(fake.open, assert.fail);
  const keys = hex(2500);
  await store.put(
    's',
    keys,
    keys.map((_, at) => Float32Array.of(at)),
  );
  assert.deepEqual(fake.log, ['put 1000', 'put 1000', 'put 500']);
  for (const [key, value] of /** @type {const} */ ([
    ['1', 'text'],
    ['2', Float32Array.of(NaN)],
    ['3', new Float32Array()],
    ['4', [1, 2]],
  ]))
    await fake.database.put('vectors', [[['s', key], value]]);
  const found = await store.get('s', keys);
  assert.equal(found.filter((vector) => vector === null).length, 4);
  assert.deepEqual(found[2499], Float32Array.of(2499));
});

test('without storage, or with a full one, the run goes on and is told once', async () => {
  for (const [open, words] of /** @type {const} */ ([
    [
      () => Promise.reject(Object.assign(new Error('denied'), { name: 'SecurityError' })),
      /refuses its storage \(denied\)/,
    ],
    [() => Promise.reject(new ReferenceError('indexedDB is not defined')), /no IndexedDB/],
    [Object.assign(fakeDatabase(), { full: 'QuotaExceededError' }).open, /is full/],
  ])) {
    /** @type {string[]} */
    const told = [];
    const store = vectorStore(open, (message) => told.push(message));
    await store.put('s', ['a'], [Float32Array.of(1)]);
    await store.put('s', ['b'], [Float32Array.of(1)]);
    assert.deepEqual(await store.get('s', ['a', 'b']), [null, null]);
    assert.equal(told.length, 1);
    assert.match(told[0], words);
  }
});

test('a reload brings everything back', async () => {
  const fake = fakeDatabase();
  await keep(fake, busyState());
  const { state } = await reload(fake);
  assert.deepEqual([state.prompts, state.settings, state.wanted, state.subset], [['a', 'b'], SETTINGS, 'cpu', SUBSET]);
  assert.deepEqual([state.unfinished, state.outcome, state.comparison], [UNFINISHED, OUTCOME, COMPARISON]);
  assert.deepEqual(state.imported, [{ id: 'kept-1', name: 'other.json', report: REPORT, sample: false }]);
  assert.equal(state.model.source.name, SOURCE.name);
  assert.deepEqual(await state.datasetSource?.read(), new Uint8Array([1, 2]));
});

test('a link has its own prompts and settings; what was kept stays until the person does something', async () => {
  const fake = fakeDatabase();
  await keep(fake, busyState());
  const before = structuredClone(fake.tables);
  const { keeper, state } = await reload(fake, true);
  assert.deepEqual(state.prompts, initialState(BASE).prompts);
  assert.deepEqual(state.outcome, OUTCOME);
  state.link = { shared: /** @type {any} */ ({}), problems: [], followed: false };
  state.prompts = ['from the link'];
  keeper.begin(state);
  keeper.save();
  state.task = 'items'; // the link's item is opened without the person asking
  keeper.save();
  state.task = null;
  await keeper.flush();
  assert.deepEqual(fake.tables, before);

  state.task = 'prompts';
  keeper.save();
  await keeper.flush();
  assert.deepEqual((await reload(fake)).state.prompts, ['from the link']);
});

test('only what has changed is written, and what is gone is removed', async () => {
  const fake = fakeDatabase();
  await keep(fake, busyState());
  const { keeper, state } = await reload(fake);
  keeper.begin(state);
  fake.log.length = 0;
  await keeper.flush();
  assert.deepEqual(fake.log, []);
  state.prompts = [...state.prompts, 'c'];
  await keeper.flush();
  assert.deepEqual(fake.log, ['put page']);
  Object.assign(state, { unfinished: null, imported: [], datasetSource: null });
  await keeper.flush();
  const after = (await reload(fake)).state;
  assert.deepEqual([after.unfinished, after.imported, after.datasetSource], [null, [], null]);
});

test('of two tabs the last one to write wins', async () => {
  const fake = fakeDatabase();
  const [first, second] = [await reload(fake), await reload(fake)];
  first.keeper.begin(first.state);
  second.keeper.begin(second.state);
  first.state.prompts = ['first'];
  await first.keeper.flush();
  second.state.prompts = ['second'];
  await second.keeper.flush();
  assert.deepEqual((await reload(fake)).state.prompts, ['second']);
});

test("files that were picked are asked for again; an adapter's weights outlive it", async () => {
  const fake = fakeDatabase();
  const state = busyState();
  const file = new File([], 'epoch_1.pt');
  Object.assign(state, {
    adapter: {
      file,
      missing: '',
      note: '',
      card: {
        name: 'epoch_1.pt',
        sha256: 'cd',
        kind: 'attention',
        dimension: 4,
        rope: true,
        parameters: 1,
        layer_weights: [1, 2],
      },
    },
    settings: { feature: 'weighted', pooling: 'adapter', layer_weights: null, reference_precision: false },
  });
  state.model.source = { kind: 'files', name: 'mine.gguf', bytes: 1, files: [] };
  await keep(fake, state);
  const again = await reload(fake);
  assert.equal(again.state.model.missing, 'mine.gguf');
  assert.equal(again.state.model.source.kind, 'default');
  assert.equal(again.state.adapter.missing, 'epoch_1.pt');
  assert.deepEqual(again.state.settings, {
    feature: 'weighted',
    pooling: 'mean',
    layer_weights: [1, 2],
    reference_precision: false,
  });
  again.keeper.begin(again.state);
  again.state.prompts = ['x'];
  await again.keeper.flush();
  assert.equal((await reload(fake)).state.model.missing, 'mine.gguf'); // it is still there
});

test('values that are old, corrupt or hostile are left out, one by one', async () => {
  /** @type {[keyof Kept, (value: any) => unknown][]} */
  const faults = [
    ['page', (page) => ({ ...page, prompts: [] })],
    ['page', (page) => ({ ...page, prompts: [1] })],
    ['page', (page) => ({ ...page, prompts: ['a'.repeat(5000)] })],
    ['page', (page) => ({ ...page, settings: { ...page.settings, feature: 'best' } })],
    ['page', (page) => ({ ...page, settings: { ...page.settings, layer_weights: [NaN] } })],
    ['page', (page) => ({ ...page, model: { kind: 'url', name: 'javascript:alert(1)' } })],
    ['page', (page) => ({ ...page, subset: null })],
    ['unfinished', (run) => ({ ...run, model: { ...run.model, name: 'file:///etc/passwd' } })],
    ['unfinished', (run) => ({ ...run, model: { ...run.model, sha256: 'ab' } })],
    ['unfinished', (run) => ({ ...run, texts: -1 })],
    ['outcome', (outcome) => ({ ...outcome, report: { ...outcome.report, results: [{}] } })],
    ['outcome', (outcome) => ({ ...outcome, report: { ...outcome.report, summary: {} } })],
    ['imported', (reports) => Array(13).fill(reports[0])],
    ['imported', () => 'text'],
    ['comparison', (comparison) => ({ ...comparison, texts: ['a', 'b', 'c'] })],
    [
      'comparison',
      (comparison) => ({ ...comparison, embeddings: { ...comparison.embeddings, similarity: [1, 2, 3, 4] } }),
    ],
    ['study', () => ({ result: { products: new Float32Array(3) } })],
  ];
  for (const [name, spoil] of faults) {
    const fake = fakeDatabase();
    const keeper = await keep(fake, busyState());
    const whole = await keeper.read();
    await fake.database.put('kept', [[name, { version: 1, value: spoil(whole[name]) }]]);
    const kept = await keeper.read();
    assert.deepEqual(kept, { ...whole, [name]: null }, `${name}: ${spoil}`);
    restore(initialState(BASE), kept, { base: BASE, linked: false, dataset: (file) => keeper.dataset(file) });
  }
  const fake = fakeDatabase();
  const keeper = await keep(fake, busyState());
  for (const old of [undefined, null, 7, { version: 0, value: {} }, { value: 1 }]) {
    await fake.database.put('kept', [
      ['page', old],
      ['dataset', old],
    ]);
    assert.equal((await keeper.read()).page, null);
    await assert.rejects(keeper.dataset('ted.json').read(), /not kept here any more/);
  }
});

test('what was kept before there was a choice of arithmetic and of special tokens has that of then', async () => {
  const fake = fakeDatabase();
  const keeper = await keep(fake, busyState());
  const whole = await keeper.read();
  for (const [name, part] of /** @type {[keyof Kept, string][]} */ ([
    ['page', 'options'],
    ['unfinished', 'model'],
    ['outcome', 'source'],
  ])) {
    const value = structuredClone(/** @type {any} */ (whole[name]));
    assert.deepEqual([value[part].arithmetic, value[part].special_tokens], ['f32', 'file']);
    delete value[part].arithmetic;
    delete value[part].special_tokens;
    await fake.database.put('kept', [[name, { version: 1, value }]]);
  }
  assert.deepEqual(await keeper.read(), whole);
});

test('storage that is refused or full is told once, and the page goes on', async () => {
  for (const fake of [fakeDatabase(), Object.assign(fakeDatabase(), { full: 'QuotaExceededError' })]) {
    const open = fake.full ? fake.open : () => Promise.reject(new ReferenceError('indexedDB is not defined'));
    /** @type {string[]} */
    const told = [];
    const keeper = new Keeper(open, (message) => told.push(message));
    const state = initialState(BASE);
    assert.equal((await keeper.read()).page, null);
    keeper.begin(state);
    for (const prompt of ['a', 'b']) {
      state.prompts = [prompt];
      keeper.save();
      await keeper.flush();
    }
    assert.equal(told.length, 1);
    assert.match(told[0], fake.full ? /is full/ : /no IndexedDB/);
  }
});

test('forgetting leaves nothing, vectors neither', async () => {
  const fake = fakeDatabase();
  const keeper = await keep(fake, busyState());
  await vectorStore(fake.open, assert.fail).put('s', ['a'], [Float32Array.of(1)]);
  assert.equal(await keeper.vectors(), 1);
  await keeper.forget();
  assert.equal(fake.tables.size, 0);
});
