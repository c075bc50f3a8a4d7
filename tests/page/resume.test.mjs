// Runs that survive: pause, resume, stop and reload. And adapters and layer weights, as the app handles them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeState } from '../../www/link/codec.js';
import { pausedStudy } from '../../www/state/layers.js';
import { advance } from '../../www/state/resume.js';
import { CARD, DATASET, EMBEDDINGS, failure, setUp, setUpOpened, tedFile } from '../support/app.mjs';

/** @import { Kept, KeptPage } from '../../www/state/kept-shapes.js' */
/** @import { EvaluateProgress, Settings } from '../../www/types/wasm' */

const SETTINGS = /** @type {Settings} */ ({
  feature: 'norm_avg',
  pooling: 'mean',
  layer_weights: null,
  reference_precision: false,
});
const CHOSEN = { caption_types: [], question_types: ['OCR'], per_type: null, captions: null, seed: 7 };
const NOTHING = /** @type {Kept} */ ({
  page: null,
  unfinished: null,
  outcome: null,
  imported: null,
  comparison: null,
  study: null,
});
const PAGE = /** @type {KeptPage} */ ({
  prompts: ['kept'],
  hint: '',
  settings: { ...SETTINGS, feature: 'last' },
  subset: CHOSEN,
  wanted: 'cpu',
  model: { kind: 'default', name: 'x' },
  adapter: null,
  data: { name: 'ted.json', sample: false },
  item: null,
  fragment: '',
  options: { quantize: 'q8', arithmetic: 'f32', special_tokens: 'file', budget_mb: 500, streamed: false },
});
const UNFINISHED = /** @type {const} */ ({
  subset: { ...CHOSEN },
  settings: { ...SETTINGS, feature: 'layer(1)' },
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
const ADAPTER = {
  name: 'epoch_1.pt',
  sha256: 'cd',
  kind: 'attention',
  dimension: 4,
  rope: true,
  parameters: 9,
  layer_weights: [1, 2],
};
const PRODUCTS = {
  prompts: 3,
  num_hidden_layers: 2,
  products: Float32Array.from({ length: 36 }, (_, at) => (at % 7 === 0 ? 1 : 0.2)),
  tokens: [1, 1, 1],
  milliseconds: 1,
};

/** A worker's run over nine texts, which keeps its finished texts as the storage of the browser would. */
function longRun() {
  /** @type {Map<string, number>} texts done, by subset and settings */
  const stored = new Map();
  /** @type {number[]} texts encoded by each call */
  const encoded = [];
  return {
    encoded,
    /** @param {any} params @param {(value: object) => Promise<boolean>} progress */
    async evaluate({ subset, settings }, progress) {
      const scope = JSON.stringify([subset, settings]);
      const restored = stored.get(scope) ?? 0;
      let texts = restored;
      for (; texts < 9;) {
        stored.set(scope, ++texts);
        if (
          !(await progress({
            stage: 'evaluate',
            done: texts - restored,
            total: 9 - restored,
            texts,
            total_texts: 9,
            items: 0,
            correct: 0,
            restored,
          }))
        )
          break;
      }
      encoded.push(texts - restored);
      return { summary: { accuracy_statistics: { total_correct: 0, total_samples: 1 }, complete: texts === 9 } };
    },
  };
}

/**
 * Begins a run, calls `then` once so many texts are done, and waits for the end of the run.
 * @param {ReturnType<typeof setUp>} page
 * @param {number} texts
 * @param {() => void} then
 */
async function runUntil({ app, state }, texts, then) {
  const running = app.evaluation.run();
  while ((state.run?.progress.texts ?? 0) < texts) await new Promise(setImmediate);
  then();
  await running;
}

test('the model of an unfinished run keeps the hash that it should have', async () => {
  const run = longRun();
  const page = setUp({ evaluate: run.evaluate });
  const { app, state, calls } = page;
  const sha256 = 'ab'.repeat(32);
  await app.start(`#v=1&p=a&model=https://example.org/a.gguf&sha256=${sha256}`, null);
  await app.evaluation.openFile(tedFile());
  await runUntil(page, 3, () => app.evaluation.pause());
  assert.equal(state.unfinished?.model.sha256, sha256);
  await app.model.loadDefault();
  await app.evaluation.resume();
  assert.deepEqual(calls.filter(([name]) => name === 'load').at(-1)?.[1].files, [
    { url: 'https://example.org/a.gguf', sha256 },
  ]);
});

/** @param {Partial<Kept>} kept @param {boolean} [reloaded] */
const before = (kept, reloaded = true) => ({
  kept: { ...NOTHING, ...kept },
  reloaded,
  dataset: (/** @type {string} */ name) => ({ name, sample: false, read: async () => new Uint8Array([1]) }),
});

test('a paused run goes on where it was, and nothing is encoded twice', async () => {
  const run = longRun();
  const page = await setUpOpened({ evaluate: run.evaluate });
  const { app, state } = page;
  await runUntil(page, 3, () => app.evaluation.pause());
  assert.equal(state.outcome, null);
  assert.equal(state.run, null);
  assert.ok(state.partial);
  const done = state.unfinished?.texts ?? 0;
  assert.ok(done >= 3 && done < 9, `${done} texts`);

  await app.evaluation.resume();
  assert.deepEqual(run.encoded, [done, 9 - done]);
  assert.equal(page.state.outcome?.report.summary.complete, true);
  assert.deepEqual([state.unfinished, state.partial], [null, null]);
  assert.equal(state.errors.ted, '');
});

test("Resume takes the run's own subset and settings, whatever was chosen meanwhile", async () => {
  const run = longRun();
  const page = await setUpOpened({ evaluate: run.evaluate });
  const { app, state, calls } = page;
  await runUntil(page, 2, () => app.evaluation.pause());
  app.prompts.setSettings({ ...state.settings, feature: 'last' });
  await app.evaluation.setSubset({ ...state.subset, question_types: ['OCR'] });
  await app.evaluation.resume();
  const [first, second] = calls.filter(([name]) => name === 'evaluate').map(([, params]) => params);
  assert.deepEqual(second, first);
  assert.equal(state.settings.feature, 'norm_avg');
  assert.deepEqual(state.subset.question_types, ['OCR', 'Quantity']);
});

test('Stop shows what is done and leaves nothing to resume; so does giving up a paused run', async () => {
  const run = longRun();
  const page = await setUpOpened({ evaluate: run.evaluate });
  const { app, state } = page;
  await runUntil(page, 2, () => app.stop());
  assert.equal(state.outcome?.report.summary.complete, false);
  assert.equal(state.unfinished, null);

  app.prompts.setSettings({ ...state.settings, feature: 'last' });
  await runUntil(page, 2, () => app.evaluation.pause());
  assert.equal(state.outcome?.settings.feature, 'norm_avg');
  app.evaluation.abandon();
  assert.equal(state.outcome?.settings.feature, 'last');
  assert.deepEqual([state.unfinished, state.partial], [null, null]);
});

test('a batch that does not end in time ends with its worker; its counts stay, and Resume goes on', async () => {
  const run = longRun();
  const page = setUp({
    async evaluate(params, progress) {
      if (page.workers.length > 1) return run.evaluate(params, progress);
      await run.evaluate(
        params,
        async (value) =>
          (await progress({ ...value, items: 2, correct: 1 })) && /** @type {EvaluateProgress} */ (value).texts < 4,
      );
      return new Promise(() => {});
    },
  });
  const { app, state } = page;
  await app.start('', null);
  await app.evaluation.openFile(tedFile());
  let start = 0;
  await runUntil(page, 4, () => {
    start = performance.now();
    app.stop();
  });
  const waited = performance.now() - start;
  assert.ok(waited > 950 && waited < 1300, `${waited} ms`);
  assert.match(state.errors.ted, /did not end in time.*finished texts are stored, and Resume goes on/);
  assert.deepEqual([state.unfinished?.texts, state.unfinished?.items, state.unfinished?.correct], [4, 2, 1]);
  await app.evaluation.resume();
  assert.equal(state.errors.ted, '');
  assert.equal(state.outcome?.report.summary.complete, true);
  assert.deepEqual(run.encoded, [4, 5]);
});

test('a stopped run is waited for twice as long as a step took', async () => {
  const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const step = {
    stage: 'evaluate',
    done: 1,
    total: 9,
    texts: 1,
    total_texts: 9,
    items: 0,
    correct: 0,
    restored: 0,
    damaged: 0,
  };
  const page = setUp({
    async evaluate(_, progress) {
      await pause(900);
      await progress(step);
      await pause(1400);
      return {
        summary: { accuracy_statistics: { total_correct: 0, total_samples: 1 }, complete: await progress(step) },
      };
    },
  });
  const { app, state, workers } = page;
  await app.start('', null);
  await app.evaluation.openFile(tedFile());
  await runUntil(page, 1, () => app.stop());
  assert.equal(state.outcome?.report.summary.complete, false);
  assert.equal(workers.length, 1);
});

test('a run that a fault ends can be resumed after the restart', async () => {
  const run = longRun();
  const page = setUp({
    async evaluate(params, progress) {
      if (page.workers.length > 1) return run.evaluate(params, progress);
      await run.evaluate(
        params,
        async (value) => (await progress(value)) && /** @type {EvaluateProgress} */ (value).texts < 4,
      );
      page.workers[0].panic('panicked at x');
      return new Promise(() => {});
    },
  });
  const { app, state } = page;
  await app.start('', null);
  await app.evaluation.openFile(tedFile());
  await app.evaluation.run();
  assert.equal(state.panic, 'panicked at x');
  assert.equal(state.unfinished?.texts, 4);
  await app.restart();
  await app.evaluation.resume();
  assert.deepEqual(run.encoded, [4, 5]);
  assert.ok(state.outcome);
});

test('after a reload, Resume loads the model, opens the data set and goes on', async () => {
  const run = longRun();
  const page = setUp({ evaluate: run.evaluate, open_dataset: () => ({ ...DATASET, sha256: 'ab' }) });
  const { app, state, names, calls } = page;
  await app.start('', null, before({ page: PAGE, unfinished: UNFINISHED }));
  assert.deepEqual([state.prompts, state.wanted, state.choice?.kind], [['kept'], 'cpu', 'cpu']);
  assert.deepEqual(names(), ['probe']);
  await app.evaluation.resume();
  assert.equal(state.errors.ted, '');
  assert.deepEqual(names(), ['probe', 'open', 'load', 'open_dataset', 'count', 'evaluate']);
  assert.equal(calls[2][1].files[0].url, 'https://example.org/a.gguf');
  assert.deepEqual(calls[5][1], { subset: CHOSEN, settings: UNFINISHED.settings });
  assert.ok(state.outcome?.report.summary.complete);
});

test('Resume packs and computes the model, and adds tokens to texts, as the run had it', async () => {
  const run = longRun();
  const { app, state, calls } = setUp({ evaluate: run.evaluate, open_dataset: () => ({ ...DATASET, sha256: 'ab' }) });
  await app.start(
    '',
    null,
    before({
      page: PAGE,
      unfinished: {
        ...UNFINISHED,
        model: { ...UNFINISHED.model, quantize: 'q4', arithmetic: 'int8', special_tokens: 'none' },
      },
    }),
  );
  await app.model.load();
  await app.evaluation.resume();
  const loads = calls
    .filter(([name]) => name === 'load')
    .map(
      ([
        ,
        {
          options: { quantize, arithmetic, special_tokens },
        },
      ]) => [quantize, arithmetic, special_tokens],
    );
  assert.deepEqual(loads, [
    ['q8', 'f32', 'file'],
    ['q4', 'int8', 'none'],
  ]);
  const { quantize, arithmetic, special_tokens } = /** @type {import('../../www/state/state').HeldSource} */ (
    state.outcome?.source
  );
  assert.deepEqual([quantize, arithmetic, special_tokens], ['q4', 'int8', 'none']);
});

test('what a reload cannot bring back is asked for before the run goes on', async () => {
  for (const [unfinished, words] of /** @type {const} */ ([
    [
      {
        ...UNFINISHED,
        model: {
          kind: 'files',
          name: 'mine.gguf',
          quantize: null,
          arithmetic: 'f32',
          special_tokens: 'file',
          card: 'Mine',
        },
      },
      /Pick `mine\.gguf`/,
    ],
    [{ ...UNFINISHED, adapter: { name: 'epoch_1.pt', sha256: 'cd' } }, /Pick the adapter `epoch_1\.pt`/],
    [{ ...UNFINISHED, data: { name: 'other.json', sample: false, sha256: '' } }, /Open `other\.json`/],
    [
      { ...UNFINISHED, data: { ...UNFINISHED.data, sha256: 'ff'.repeat(32) } },
      /is another file than the one of the unfinished run/,
    ],
  ])) {
    const { app, state, names } = setUp({ open_dataset: () => ({ ...DATASET, sha256: 'ab'.repeat(32) }) });
    await app.start('', null, before({ page: PAGE, unfinished }));
    await app.evaluation.resume();
    assert.match(state.errors.ted, words);
    assert.ok(!names().includes('evaluate'));
    assert.deepEqual(state.unfinished, unfinished);
  }
});

test('a link wins over what was kept, and after a reload of its page what was kept from it', async () => {
  const link = '#v=1&p=linked&feature=penultimate';
  const fresh = setUp();
  await fresh.app.start(link, null, before({ page: PAGE }));
  assert.deepEqual(fresh.state.prompts, ['linked']);
  assert.equal(fresh.state.wanted, null);

  const again = setUp();
  await again.app.start(link, null, before({ page: { ...PAGE, fragment: link } }));
  assert.deepEqual([again.state.prompts, again.state.link], [['kept'], null]);

  const clicked = setUp();
  await clicked.app.start(link, null, before({ page: { ...PAGE, fragment: link } }, false));
  assert.deepEqual(clicked.state.prompts, ['linked']);
});

test('the pace is that of encoding, not of what was restored', () => {
  const progress = (/** @type {number} */ done, /** @type {number} */ restored) =>
    /** @type {EvaluateProgress} */ ({
      stage: 'evaluate',
      done,
      total: 100,
      texts: 0,
      total_texts: 0,
      items: 0,
      correct: 0,
      restored,
    });
  const fresh = advance(null, progress(5, 0), 50);
  assert.deepEqual(fresh.from, { done: 0, elapsed: 0 });
  const restored = advance(null, progress(60, 6), 10);
  assert.deepEqual(restored.from, { done: 60, elapsed: 10 });
  assert.deepEqual(advance(restored, progress(70, 6), 30).from, { done: 60, elapsed: 10 });
});

test('an adapter is used when it is read, and dropped with the model', async () => {
  const { app, state, calls, names } = setUp({ load_adapter: () => ADAPTER });
  await app.start('', null);
  await app.layers.loadAdapter(new File([], 'epoch_1.pt'));
  assert.deepEqual(names(), ['probe', 'open', 'load', 'load_adapter']);
  assert.deepEqual(state.settings, {
    feature: 'weighted',
    pooling: 'adapter',
    layer_weights: null,
    reference_precision: false,
  });
  await app.prompts.compare();
  assert.deepEqual(calls.at(-1)?.[1].settings.layer_weights, [1, 2]);

  await app.model.load(); // the same model again
  assert.equal(names().filter((name) => name === 'load_adapter').length, 2);
  assert.equal(state.settings.pooling, 'adapter');

  await app.model.loadUrl('https://example.org/other.gguf');
  assert.deepEqual(state.settings, SETTINGS);
  assert.equal(state.adapter.card, null);
  assert.match(state.adapter.note, /`epoch_1\.pt` belonged to the model before/);
});

test('an adapter that is refused is said in its own line, and removed it is gone', async () => {
  let refuse = true;
  const { app, state, names } = setUp({
    load_adapter: () => (refuse ? failure('Shape', '`a.pt` is too wide')() : ADAPTER),
    drop_adapter: () => undefined,
  });
  await app.start('', null);
  await app.layers.loadAdapter(new File([], 'a.pt'));
  assert.equal(state.errors.adapter, '`a.pt` is too wide');
  assert.deepEqual(state.settings, SETTINGS);
  refuse = false;
  await app.layers.loadAdapter(new File([], 'b.pt'));
  assert.equal(state.errors.adapter, '');
  await app.layers.dropAdapter();
  assert.equal(names().at(-1), 'drop_adapter');
  assert.deepEqual([state.settings, state.adapter.card, state.task], [SETTINGS, null, null]);
});

test('weights of another number of layers are left out when the model is loaded', async () => {
  const { app, state } = setUp();
  await app.start('#v=1&feature=weighted&weights=1,2,3', null);
  assert.deepEqual(state.settings.layer_weights, [1, 2, 3]);
  await app.model.load();
  assert.deepEqual(state.settings, SETTINGS);
  assert.match(state.adapter.note, /3 layer weights were left out: this model has 2 layers/);
});

test('sliders move the matrix without the worker', async () => {
  const { app, state, names } = setUp({
    embed: () => ({ ...EMBEDDINGS, similarity: new Float32Array(9), vectors: new Float32Array(3), tokens: [1, 1, 1] }),
    layer_products: () => PRODUCTS,
  });
  await app.start('', null);
  await app.prompts.compare();
  await app.layers.openWeights(true);
  assert.equal(names().at(-1), 'layer_products');
  const calls = names().length;
  app.layers.setWeights([0, 0]);
  const equal = state.comparison?.embeddings.similarity;
  app.layers.setWeights([3, -3]);
  assert.notDeepEqual(state.comparison?.embeddings.similarity, equal);
  assert.deepEqual(
    [state.comparison?.mixed, state.settings.feature, state.comparison?.embeddings.vectors.length],
    [true, 'weighted', 0],
  );
  assert.equal(names().length, calls);

  await app.prompts.compare(); // the sliders are open, so the layers are read again
  assert.deepEqual(names().slice(-2), ['embed', 'layer_products']);
  assert.equal(state.comparison?.mixed, false); // it is the encoder's matrix
});

test('a link of an adapter says that its file is not in it; its weights are', async () => {
  const { app, state } = setUp({ load_adapter: () => ADAPTER });
  await app.start('', null);
  await app.layers.loadAdapter(new File([], 'epoch_1.pt'));
  await app.sharing.share('https://example.org/', async () => {});
  assert.match(state.sharing?.note ?? '', /adapter file is not in it/);
  const fragment = new URL(state.sharing?.url ?? '').hash;
  assert.deepEqual(decodeState(fragment).state.weights, [1, 2]);

  const other = setUp();
  await other.app.start(fragment, null);
  assert.deepEqual(other.state.settings, {
    feature: 'weighted',
    pooling: 'mean',
    layer_weights: [1, 2],
    reference_precision: false,
  });
  assert.match(other.state.link?.problems.join() ?? '', /adapter, whose file is not in it/);
  const bare = setUp();
  await bare.app.start('#v=1&feature=weighted', null);
  assert.equal(bare.state.settings.feature, 'norm_avg');
  assert.match(bare.state.link?.problems.join() ?? '', /holds no weights/);
});

test('a study that is stopped before its first item leaves the one before', async () => {
  const item = { caption_type: 'image', question_type: 'OCR', options: 2, correct: 0 };
  const products = Float32Array.from({ length: 20 }, (_, at) => at % 3);
  const result = {
    num_hidden_layers: CARD.num_hidden_layers,
    features: [],
    items: [item],
    products,
    pooling: 'mean',
    layer_weights: null,
  };
  let items = [item];
  const { app, state, calls } = setUp({ study: () => ({ ...result, products: products.slice(), items }) });
  await app.start('', null);
  await app.evaluation.openFile(tedFile());
  await app.layers.study();
  assert.deepEqual(calls.at(-1)?.[1], {
    subset: { caption_types: [], question_types: [], per_type: null, captions: null, seed: 42 },
    pooling: 'mean',
    layer_weights: null,
  });
  const { study } = state;
  assert.equal(study?.mixed, null);
  app.layers.setWeights([1, 2]);
  assert.equal(state.study?.mixed?.total, 1);
  items = [];
  await app.layers.study();
  assert.equal(state.study?.result, study?.result);
  assert.deepEqual([state.studyRun, state.errors.layers], [null, '']);
});

test('a paused study goes on, unless settings, data set or worker are others; its batch may take its time', async () => {
  const at = (/** @type {number} */ done) => ({
    stage: 'study',
    done,
    total: 9,
    texts: done,
    total_texts: 9,
    items: 0,
  });
  const step = { done: 3 };
  const { app, state, workers } = setUp({
    study: async (/** @type {unknown} */ _, /** @type {(step: object) => Promise<boolean>} */ progress) => {
      while (await progress(at(step.done)));
      // the time of the batch; the least patience with other work is 1000 ms
      await new Promise((resolve) => setTimeout(resolve, 1200));
      return {
        num_hidden_layers: 2,
        features: [],
        items: [],
        products: null,
        pooling: 'mean',
        layer_weights: null,
        complete: false,
      };
    },
  });
  await app.start('', null);
  await app.evaluation.openFile(tedFile());
  const pause = async () => {
    const running = app.layers.study();
    while (!state.studyRun) await new Promise(setImmediate);
    app.stop();
    await running;
  };
  await pause();
  assert.equal(workers.length, 1, 'the worker was ended, and the study with it');
  assert.deepEqual(pausedStudy(state), at(3));
  state.settings = { ...state.settings, pooling: 'last_token' };
  assert.equal(pausedStudy(state), null);
  state.settings = { ...state.settings, pooling: 'mean' };
  step.done = 5;
  await pause();
  assert.deepEqual(pausedStudy(state), at(5));
  await app.evaluation.openFile(tedFile());
  assert.equal(pausedStudy(state), null);
  await pause();
  await app.restart();
  assert.equal(pausedStudy(state), null);
});

test('what the worker says of its storage reaches the page', async () => {
  const { app, state, workers } = setUp();
  await app.start('', null);
  workers[0].dispatchEvent(new MessageEvent('message', { data: { notice: 'Finished texts cannot be kept.' } }));
  assert.equal(state.unstored, 'Finished texts cannot be kept.');
  await app.prompts.compare();
  assert.ok(state.comparison);
});
