// What the page does, without a page: www/app on a worker whose methods the test gives.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeState } from '../../www/link/codec.js';
import { CARD, DATASET, EMBEDDINGS, failure, REPORT, setUp, setUpOpened, tedFile } from '../support/app.mjs';

const hang = () => new Promise(() => {});

test('the device is chosen and told before anything is opened or fetched', async () => {
  const { app, state, names } = setUp({ probe: () => ({ secure: true, webgpu: false, adapter: null, timed: false }) });
  await app.start('', null);
  assert.match(state.choice?.reason ?? '', /^No WebGPU here/);
  assert.deepEqual(names(), ['probe']);
  await app.prompts.compare();
  assert.equal(state.device?.kind, 'cpu');
});

test("the address's device outranks the link's, and an unknown one is said", async () => {
  const { app, state } = setUp();
  await app.start('#v=1&device=webgpu', 'cpu');
  assert.equal(state.choice?.kind, 'cpu');
  await app.start('', 'cuda');
  assert.match(state.errors.device, /"cuda".*webgpu, cpu/);
});

test('comparing loads the model once', async () => {
  const { app, state, names, calls } = setUp();
  await app.start('', null);
  await app.prompts.compare();
  await app.prompts.compare();
  assert.deepEqual(names(), ['probe', 'open', 'load', 'embed', 'embed']);
  assert.equal(calls[2][1].files[0].url, 'https://example.org/demo/models/SmolLM2-135M-Instruct.Q4_1.gguf');
  assert.deepEqual(state.comparison?.texts, state.prompts);
});

test('a load that fails is said at the model and where it was asked for; nothing runs on', async () => {
  const { app, state, names } = setUp({ load: failure('NotAModel', '`a` is no model') });
  await app.start('', null);
  await app.prompts.compare();
  assert.equal(state.errors.model, '`a` is no model');
  assert.equal(state.errors.prompts, '`a` is no model');
  assert.equal(state.task, null);
  assert.equal(state.model.loading, false);
  assert.ok(!names().includes('embed'));
});

test('a device that fails its self-test gives an error and a fresh worker, so that another can be chosen', async () => {
  const { app, state, workers } = setUp({
    open: ({ device }) =>
      device === 'webgpu' ? failure('SelfTest', 'quant_matmul is wrong by 0.3')() : { kind: device },
  });
  await app.start('', null);
  await app.prompts.compare();
  assert.equal(state.errors.device, 'quant_matmul is wrong by 0.3');
  assert.equal(state.errors.model, '');
  assert.equal(workers.length, 2);
  await app.useDevice('cpu');
  await app.prompts.compare();
  assert.equal(state.errors.device, '');
  assert.ok(state.comparison);
});

test('after a panic the page restarts the worker and goes on with the same prompts', async () => {
  const { app, state, workers } = setUp({
    embed: () => (workers.length === 1 ? (workers[0].panic('panicked at x'), hang()) : EMBEDDINGS),
  });
  await app.start('', null);
  app.prompts.set(0, 'a red cube');
  await app.prompts.compare();
  assert.equal(state.panic, 'panicked at x');
  assert.equal(state.errors.prompts, 'panicked at x');
  assert.equal(state.task, null);
  await app.restart();
  assert.equal(state.panic, '');
  assert.equal(state.model.card, null);
  await app.prompts.compare();
  assert.equal(state.comparison?.texts[0], 'a red cube');
  assert.equal(state.errors.prompts, '');
});

test('choosing a device ends what runs, without an error', async () => {
  const { app, state } = setUp({ embed: hang });
  await app.start('', null);
  const running = app.prompts.compare();
  while (!state.model.card) await new Promise(setImmediate);
  await app.useDevice('cpu');
  await running;
  assert.deepEqual(Object.values(state.errors).filter(Boolean), []);
  assert.equal(state.task, null);
});

test('a cancelled load leaves no error and can be started again', async () => {
  /** @type {boolean[]} */
  const goOn = [];
  const { app, state } = setUp({
    async load(_, progress) {
      app.stop();
      for (let done = 0; goOn.length < 1 && done < 5; done++)
        if (!(await progress({ stage: 'weights', done, total: 5 }))) goOn.push(false);
      return goOn.length === 1 && goOn.push(true) ? failure('Cancelled', 'cancelled')() : { card: CARD, heap_bytes: 1 };
    },
  });
  await app.start('', null);
  await app.model.load();
  assert.deepEqual(goOn, [false, true]);
  assert.equal(state.errors.model, '');
  assert.equal(state.model.card, null);
  await app.model.load();
  assert.ok(state.model.card);
});

test('where the device runs out of memory in a load, a fresh worker streams the layers, and does so from then on', async () => {
  const plan = { streamed: false };
  const { app, state, workers, calls } = setUp({
    async load({ options }, progress) {
      await progress({ plan: { ...plan, streamed: options.streamed } });
      if (!options.streamed)
        return (workers[workers.length - 1].panic('wgpu error: Out of Memory', 'OutOfMemory'), hang());
      return { card: { ...CARD, streamed: true }, heap_bytes: 1, note: 'Stored.' };
    },
  });
  await app.start('', null);
  await app.prompts.compare();
  assert.ok(state.comparison);
  assert.equal(workers.length, 2);
  assert.ok(workers[0].ended);
  assert.match(state.model.note, /^The device ran out of memory for the whole model.* Stored\.$/);
  assert.deepEqual([state.panic, ...Object.values(state.errors)].filter(Boolean), []);
  await app.model.load();
  const tries = () => calls.filter(([name]) => name === 'load').map(([, { options }]) => options.streamed);
  assert.deepEqual(tries(), [false, true, true]);
  app.model.setOptions({ quantize: 'q8', arithmetic: 'f32', special_tokens: 'none', budget_mb: 900, streamed: false });
  assert.equal(state.model.card, null);
  await app.prompts.compare();
  assert.deepEqual(calls.filter(([name]) => name === 'load')[3][1].options, {
    quantize: 'q8',
    arithmetic: 'f32',
    special_tokens: 'none',
    budget_mb: 900,
    streamed: false,
    out_of_memory: false,
  });
});

test('streaming that was chosen holds for the next model, streaming for want of memory does not', async () => {
  const { app, state, workers, calls } = setUp({
    async load({ options }, progress) {
      await progress({ plan: { streamed: options.streamed } });
      if (!options.streamed)
        return (workers[workers.length - 1].panic('wgpu error: Out of Memory', 'OutOfMemory'), hang());
      return { card: { ...CARD, streamed: true }, heap_bytes: 1, note: '' };
    },
  });
  await app.start('', null);
  await app.model.load();
  await app.model.loadUrl('https://example.org/a.gguf');
  app.model.setOptions({ ...state.model.options, streamed: true });
  await app.model.loadUrl('https://example.org/b.gguf');
  const tries = calls
    .filter(([name]) => name === 'load')
    .map(([, { options }]) => [options.streamed, options.out_of_memory]);
  assert.deepEqual(tries, [
    [false, false],
    [true, true],
    [false, false],
    [true, true],
    [true, false],
  ]);
});

test('a model that is refused leaves the figures that it needs', async () => {
  const plan = { refused: { code: 'BudgetTooSmall', message: 'the budget is 20.0 MB' } };
  const { app, state } = setUp({
    load: async (_, progress) => (await progress({ plan }), failure(plan.refused.code, plan.refused.message)()),
  });
  await app.start('', null);
  await app.model.load();
  assert.equal(state.errors.model, 'the budget is 20.0 MB');
  assert.deepEqual([state.model.plan, state.model.card], [plan, null]);
});

test('a lost device and one out of memory are said, and the next action has a fresh worker', async () => {
  for (const [fault, message] of /** @type {const} */ ([
    [
      failure('DeviceLost', 'the graphics device was lost (destroyed)'),
      /^the graphics device was lost \(destroyed\)\. A fresh one was opened/,
    ],
    [
      (/** @type {any} */ worker) => (worker.panic('wgpu error: Out of Memory', 'OutOfMemory'), hang()),
      /^The device ran out of memory\. .*Memory, packing and tokens/,
    ],
  ])) {
    const { app, state, workers } = setUp({ embed: () => (workers.length === 1 ? fault(workers[0]) : EMBEDDINGS) });
    await app.start('', null);
    await app.prompts.compare();
    assert.match(state.errors.prompts, message);
    assert.equal(state.panic, '');
    assert.equal(state.model.card, null);
    assert.equal(workers.length, 2);
    await app.prompts.compare();
    assert.equal(state.errors.prompts, '');
    assert.ok(state.comparison);
  }
});

test('work that does not end within a second of Cancel ends with its worker', async () => {
  const { app, state, workers } = setUp({ embed: () => (workers.length === 1 ? hang() : EMBEDDINGS) });
  await app.start('', null);
  const running = app.prompts.compare();
  while (!state.model.card) await new Promise(setImmediate);
  const start = performance.now();
  app.stop();
  app.stop();
  await running;
  assert.ok(performance.now() - start < 1000);
  assert.equal(state.errors.prompts, '');
  assert.match(state.model.note, /did not stop in time/);
  assert.equal(workers.length, 2);
  await app.prompts.compare();
  assert.ok(state.comparison);
});

test('a click on Cancel just as the work ends leaves the worker alone', async () => {
  const { app, state, workers } = setUp();
  await app.start('', null);
  await app.prompts.compare();
  app.stop();
  await new Promise((resolve) => setTimeout(resolve, 900));
  assert.equal(workers.length, 1);
  assert.ok(state.model.card);
});

test('an empty prompt is marked', async () => {
  const { app, state } = setUp({ embed: failure('EmptyPrompt', 'prompt 4 is empty') });
  await app.start('', null);
  app.prompts.add(3);
  await app.prompts.compare();
  assert.equal(state.errors.prompts, 'prompt 4 is empty');
  assert.equal(state.emptyPrompt, true);
  app.prompts.set(3, 'x');
  assert.equal(state.emptyPrompt, false);
});

test('addresses other than http(s) never reach the worker', async () => {
  const { app, state, names } = setUp();
  await app.start('', null);
  for (const url of ['javascript:alert(1)', 'model.gguf', 'ftp://example.org/a.gguf', '']) {
    await app.model.loadUrl(url);
    assert.match(state.errors.model, /address/);
  }
  assert.deepEqual(names(), ['probe']);
});

test('a subset of all types is sent as empty lists, a part by name, none is not sent', async () => {
  const { app, state, calls } = await setUpOpened();
  assert.deepEqual(state.subset.question_types, ['OCR', 'Quantity']);
  assert.deepEqual(calls.at(-1)?.[1].subset, {
    caption_types: [],
    question_types: [],
    per_type: null,
    captions: null,
    seed: 42,
  });
  await app.evaluation.setSubset({ ...state.subset, question_types: ['OCR'], per_type: 1 });
  assert.deepEqual(calls.at(-1)?.[1].subset, {
    caption_types: [],
    question_types: ['OCR'],
    per_type: 1,
    captions: null,
    seed: 42,
  });
  const before = calls.length;
  await app.evaluation.setSubset({ ...state.subset, question_types: [] });
  assert.deepEqual(state.count, { items: 0, texts: 0, id: '' });
  assert.equal(calls.length, before);
});

test('a file of another shape is said, and the next file opens', async () => {
  let tries = 0;
  const { app, state } = setUp({
    open_dataset: () => (tries++ ? DATASET : failure('NotTed', '`a.json` is no TED-6K file')()),
  });
  await app.start('', null);
  await app.evaluation.openFile(new File(['[]'], 'a.json'));
  assert.equal(state.errors.ted, '`a.json` is no TED-6K file');
  assert.equal(state.datasetSource, null);
  await app.evaluation.openFile(tedFile());
  assert.equal(state.errors.ted, '');
  assert.equal(state.dataset?.items, 4);
});

test('Stop keeps the partial report', async () => {
  const { app, state } = setUp({
    async evaluate(_, progress) {
      const go = await progress({
        stage: 'evaluate',
        done: 1,
        total: 9,
        texts: 1,
        total_texts: 9,
        items: 0,
        correct: 0,
      });
      return go ? assert.fail('it was not stopped') : REPORT;
    },
    load: () => (app.stop(), { card: CARD, heap_bytes: 1 }),
  });
  await app.start('', null);
  await app.evaluation.openFile(tedFile());
  await app.evaluation.run();
  assert.deepEqual(state.outcome?.report, REPORT);
  assert.equal(state.run, null);
});

/** @param {boolean} [complete] */
const scored = (complete = true) => ({
  summary: { accuracy_statistics: { total_correct: 3, total_samples: 4 }, complete },
  results: [],
  provenance: { subset: { id: '0123456789' } },
});

/**
 * The result that the link tells after a run of the sample and then a change.
 * @param {(page: ReturnType<typeof setUp>) => unknown} change
 * @param {boolean} [complete]
 */
async function claimed(change, complete) {
  const page = setUp({
    evaluate: () => scored(complete),
    count: ({ subset }) => ({ items: 4, texts: 9, id: subset.question_types.length ? 'ffffffffff' : '0123456789' }),
  });
  const { app, state } = page;
  await app.start('', null);
  state.datasetSource = { name: 'ted-sample.json', sample: true, read: async () => new Uint8Array() };
  await app.evaluation.openDataset();
  await app.evaluation.run();
  await change(page);
  await app.sharing.share('https://example.org/demo/', async () => {});
  return decodeState(new URL(state.sharing?.url ?? '').hash).state.result;
}

test('a link claims a result only of what it holds', async () => {
  const result = { correct: 3, total: 4, feature: 'norm_avg', pooling: 'mean' };
  assert.deepEqual(await claimed(() => {}), result);
  assert.equal(await claimed(() => {}, false), null);
  for (const change of /** @type {((page: ReturnType<typeof setUp>) => unknown)[]} */ ([
    ({ app, state }) => app.prompts.setSettings({ ...state.settings, feature: 'last' }),
    ({ app, state }) => app.evaluation.setSubset({ ...state.subset, question_types: ['OCR'] }),
    ({ app }) => app.evaluation.openFile(tedFile()),
    ({ app }) => app.model.loadUrl('https://example.org/other.gguf'),
    ({ app }) => app.model.loadFiles([new File([''], 'mine.gguf')]),
    ({ app }) =>
      app.model.setOptions({
        quantize: 'q8',
        arithmetic: 'f32',
        special_tokens: 'none',
        budget_mb: null,
        streamed: false,
      }),
  ]))
    assert.equal(await claimed(change), null, String(change));
});

test("a link brings back another page's state, and what its data set lacks is said", async () => {
  const sender = setUp({ evaluate: () => scored() });
  await sender.app.start('', null);
  sender.app.prompts.useExample({ prompts: ['a', ' ', 'b'], hint: '' });
  sender.app.prompts.setSettings({
    feature: 'layer(2)',
    pooling: 'last_token',
    layer_weights: null,
    reference_precision: true,
  });
  await sender.app.evaluation.openFile(tedFile());
  await sender.app.evaluation.setSubset({ ...sender.state.subset, question_types: ['OCR'], seed: 7 });
  await sender.app.evaluation.run();
  let copied = '';
  await sender.app.sharing.share('https://example.org/demo/', async (url) => void (copied = url));
  assert.equal(sender.state.sharing?.note, 'Copied.');

  const { app, state } = setUp();
  await app.start(`${new URL(copied).hash}&question_type=Nope`, null);
  assert.deepEqual(state.prompts, ['a', 'b']);
  assert.deepEqual(state.settings, {
    feature: 'layer(2)',
    pooling: 'last_token',
    layer_weights: null,
    reference_precision: true,
  });
  assert.deepEqual(state.link?.shared.result, { correct: 3, total: 4, feature: 'layer(2)', pooling: 'last_token' });
  await app.evaluation.openFile(tedFile());
  assert.deepEqual(state.subset, {
    caption_types: ['image', 'video'],
    question_types: ['OCR'],
    per_type: null,
    captions: null,
    seed: 7,
  });
  assert.match(state.errors.ted, /no items of the type Nope/);
});

test('without a clipboard the link is there to copy by hand', async () => {
  const { app, state } = setUp();
  await app.start('', null);
  await app.sharing.share('https://example.org/', () => Promise.reject(new Error('denied')));
  assert.match(state.sharing?.note ?? '', /field below/);
  assert.match(state.sharing?.url ?? '', /^https:\/\/example\.org\/#v=1&p=a\+red/);
});
