// The page's benchmark on a fake worker: how it begins, what it asks of the worker, what remains after a stop or an
// error.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { readSeconds, readTokens } from '../../www/app/benchmark.js';
import { Keeper } from '../../www/state/keep.js';
import { failure, setUp } from '../support/app.mjs';
import { fakeDatabase } from '../support/fake-database.mjs';

const REPORT = { complete: true, rows: [], skipped: [], peak: { gflops: 1, copy_gb_per_second: 1 } };
const STEP = { stage: 'bench', done: 1, total: 9, name: 'qkv_proj', tokens: 16 };

test('a budget is a number of seconds from 1 to 3600', () => {
  assert.equal(readSeconds('20'), 20);
  assert.equal(readSeconds('1.5'), 1.5);
  for (const bad of ['', ' ', '0', '-3', '3601', 'soon', 'Infinity', '1e9'])
    assert.throws(() => readSeconds(bad), /expected 1 to 3600 seconds/);
});

test('lengths are a short list of numbers of tokens, or none', () => {
  assert.deepEqual(readTokens('64, 2048,64'), [64, 2048]);
  assert.equal(readTokens(' '), null);
  for (const bad of ['0', '64,', '6e2', '-1', '40000', 'long', '1.5', '1,2,3,4,5,6,7,8,9'])
    assert.throws(() => readTokens(bad), /expected at most 8 numbers of tokens from 1 to 32768/);
});

test('the address begins it: the model is loaded, then measured within the seconds it names', async () => {
  /** @type {unknown[]} */
  const seen = [];
  const { app, state, calls, names } = setUp({
    bench: async (/** @type {unknown} */ _, /** @type {(step: object) => Promise<boolean>} */ progress) => {
      await progress(STEP);
      while (!state.bench.progress) await new Promise(setImmediate);
      seen.push(state.bench.progress, state.task);
      return REPORT;
    },
  });
  app.start('', null);
  await app.benchmark.begin('20', '64,2048');
  assert.deepEqual(
    names().filter((name) => ['load', 'bench'].includes(name)),
    ['load', 'bench'],
  );
  assert.deepEqual(calls.at(-1), ['bench', { seconds: 20, tokens: [64, 2048] }]);
  assert.deepEqual(seen, [STEP, 'bench']);
  assert.deepEqual(
    [state.bench.report, state.bench.progress, state.task, state.errors.bench],
    [REPORT, null, null, ''],
  );
});

test('an address that names no budget measures within the one on the page, a wrong one does not begin', async () => {
  const { app, state, calls } = setUp({ bench: () => REPORT });
  app.start('', null);
  await app.benchmark.begin('soon');
  assert.match(state.errors.bench, /`soon` is no budget/);
  await app.benchmark.begin('20', 'short');
  assert.match(state.errors.bench, /`short` is no list of lengths/);
  assert.ok(calls.every(([name]) => name !== 'bench'));
  app.benchmark.setSeconds('60');
  await app.benchmark.begin('');
  assert.deepEqual(calls.at(-1), ['bench', { seconds: 60, tokens: null }]);
  assert.equal(state.errors.bench, '');
});

test('the field sets the budget, or says what is wrong with it', async () => {
  const { app, state } = setUp();
  await app.start('', null);
  app.benchmark.setSeconds('30');
  assert.equal(state.bench.seconds, 30);
  app.benchmark.setSeconds('x');
  assert.match(state.errors.bench, /`x` is no budget/);
  app.benchmark.setSeconds('40');
  assert.deepEqual([state.bench.seconds, state.errors.bench], [40, '']);
});

test('stopped, the figures so far stay; an error is said, and the next run begins', async () => {
  let tries = 0;
  const { app, state } = setUp({
    bench: async (/** @type {unknown} */ _, /** @type {(step: object) => Promise<boolean>} */ progress) => {
      if (tries++ === 0) return failure('Device', 'the device failed')();
      while (await progress(STEP));
      return { ...REPORT, complete: false };
    },
  });
  await app.start('', null);
  await app.benchmark.run();
  assert.deepEqual([state.errors.bench, state.bench.report, state.task], ['the device failed', null, null]);
  const running = app.benchmark.run();
  while (!state.bench.progress) await new Promise(setImmediate);
  app.stop();
  await running;
  assert.equal(state.bench.report?.complete, false);
  assert.deepEqual([state.errors.bench, state.bench.progress], ['', null]);
});

test('the chart of time by length draws each report, and tells whether it is flat', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lengths-'));
  const rows = [64, 256, 1024].map((tokens) => ({
    name: 'model',
    tokens,
    ms_per_token: 2 + tokens / 500,
    ms_per_token_without_attention: 2 + tokens / 10_000,
  }));
  const skipped = { name: 'model', tokens: 2048, ms_per_token: 6, ms_per_token_without_attention: null };
  const [report, chart] = [join(folder, 'cpu.json'), join(folder, 'lengths.svg')];
  await writeFile(report, JSON.stringify({ rows: [...rows, skipped] }));
  const { stdout } = await promisify(execFile)(process.execPath, [
    'tests/peers/lengths.mjs',
    chart,
    `CPU & more=${report}`,
  ]);
  assert.match(stdout, /slowest 5 % above fastest, flat within 20 %/);
  const svg = await readFile(chart, 'utf8');
  assert.match(svg, /CPU &#38; more/);
  assert.equal(svg.match(/<circle/g)?.length, 6);
  assert.doesNotMatch(svg, /NaN|undefined|Infinity/);
  await rm(folder, { recursive: true });
});

test('with the model of a link, or of the last visit, the address begins nothing: the page says where it is', async () => {
  const url = 'https://files.example/a.gguf';
  const fragment = `#v=1&p=a&p=b&model=${encodeURIComponent(url)}`;
  for (const reloaded of [false, true]) {
    const { app, state, names } = setUp({ bench: () => REPORT });
    const fake = fakeDatabase();
    const before = setUp();
    await before.app.start(fragment, null);
    const earlier = new Keeper(fake.open, assert.fail);
    earlier.begin(before.state);
    before.state.prompts = ['c'];
    await earlier.flush();

    const keeper = new Keeper(fake.open, assert.fail);
    const kept = await keeper.read();
    const started = app.start(reloaded ? '' : fragment, null, { kept, dataset: assert.fail, reloaded });
    await app.benchmark.begin('20', '64');
    await started;
    assert.deepEqual(names(), ['probe']);
    assert.equal(state.model.source.name, url);
    assert.match(
      state.bench.waiting,
      /model: https:\/\/files\.example\/a\.gguf\. .* from files\.example \(its size is not known/,
    );
    assert.deepEqual([state.bench.seconds, state.bench.tokens], [20, [64]]);
    await app.benchmark.run();
    assert.deepEqual(names(), ['probe', 'open', 'load', 'bench']);
    assert.equal(state.bench.waiting, '');
  }
});
