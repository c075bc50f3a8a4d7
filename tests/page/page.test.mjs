// The page's pure parts: the choice of the device, the scale of the heat map, figures and their formats.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes, formatDuration, formatParameters, formatSpeed, plural } from '../../www/figures/format.js';
import { extremes, position, scaleOf } from '../../www/figures/heat.js';
import { timeLeft } from '../../www/ui/progress.js';
import { reportName } from '../../www/ui/save.js';
import { chooseDevice, probeOf } from '../../www/worker/device.js';
import { messageOf, shown } from '../../www/worker/errors.js';
import { useUntimed } from '../../www/worker/untimed.js';

const adapter = { vendor: 'nvidia', architecture: 'lovelace', device: '', description: '', fallback: false };
const probe = { secure: true, webgpu: true, adapter };
const software = { ...probe, adapter: { ...adapter, vendor: 'google', architecture: 'swiftshader' } };

test('a real adapter runs on WebGPU, a software one and none on the CPU, and each says why', () => {
  assert.deepEqual(chooseDevice(probe, null), {
    kind: 'webgpu',
    adapter: 'nvidia lovelace',
    reason: 'The WebGPU adapter is nvidia lovelace.',
  });
  for (const soft of [
    software,
    { ...probe, adapter: { ...adapter, fallback: true } },
    { ...probe, adapter: { ...adapter, description: 'llvmpipe (LLVM 15)' } },
  ]) {
    const { kind, reason } = chooseDevice(soft, null);
    assert.equal(kind, 'cpu');
    assert.match(reason, /in software/);
  }
  const none = { ...probe, adapter: null };
  assert.match(chooseDevice(none, null).reason, /^No WebGPU here: .*adapter/);
  assert.match(chooseDevice({ ...none, webgpu: false }, null).reason, /^No WebGPU here: this browser/);
  assert.match(chooseDevice({ ...none, webgpu: false, secure: false }, null).reason, /^No WebGPU here: .*https/);
  assert.equal(chooseDevice(none, 'webgpu').kind, 'cpu');
});

test('an adapter is looked up, and where there is none WebGPU that was asked for is answered', async () => {
  const gpu = /** @type {any} */ ({ requestAdapter: async () => ({ info: { ...adapter, isFallbackAdapter: false } }) });
  assert.deepEqual(await probeOf({ secure: true, gpu }), probe);
  for (const none of [
    undefined,
    { requestAdapter: async () => null },
    { requestAdapter: () => Promise.reject(new Error('no')) },
  ]) {
    const found = await probeOf({ secure: true, gpu: /** @type {any} */ (none) });
    assert.deepEqual([found.adapter, found.webgpu], [null, none !== undefined]);
    assert.match(chooseDevice(found, 'webgpu').reason, /^WebGPU was asked for and can't be used/);
  }
});

test('a message is of bounded length, and shows what would hide or turn it', () => {
  for (const text of ['n'.repeat(1e6), '日'.repeat(1e5), '\u202e'.repeat(1e5), `${'x'.repeat(1999)}🎲`]) {
    const made = shown(text);
    assert.ok(new TextEncoder().encode(made).length <= 2048);
    assert.match(made, /… \(cut\)$/);
    assert.equal(shown(made), made);
  }
  assert.equal(
    messageOf(new Error('a\u0000b\u001b[2J\u202ec\u2028\ud800')),
    'a\\u{0}b\\u{1b}[2J\\u{202e}c\\u{2028}\\u{d800}',
  );
  for (const plain of ['größer 你好 🎲', 'two\nlines', '', 'x'.repeat(1999)]) assert.equal(shown(plain), plain);
});

test('an adapter without timestamp-query says that it has it, and its device is asked for without it', async () => {
  const requested = /** @type {any[]} */ ([]);
  const gpu = (/** @type {string[]} */ ...features) =>
    /** @type {any} */ ({
      async requestAdapter(/** @type {any} */ options) {
        requested.push(options);
        return { features: new Set(features), requestDevice: async (/** @type {any} */ of) => requested.push(of) };
      },
    });
  useUntimed(undefined);
  const untimed = gpu('shader-f16');
  useUntimed(untimed);
  const found = await untimed.requestAdapter({ powerPreference: 'low-power' });
  assert.deepEqual([...found.features], ['shader-f16', 'timestamp-query']);
  await found.requestDevice({ label: 'a', requiredFeatures: [...found.features] });
  await found.requestDevice();
  const asked = [{ powerPreference: 'low-power' }, { label: 'a', requiredFeatures: ['shader-f16'] }];
  assert.deepEqual(requested, [...asked, { requiredFeatures: [] }]);

  const timed = gpu('timestamp-query');
  const { requestDevice, features } = await timed.requestAdapter();
  useUntimed(timed);
  const kept = await timed.requestAdapter();
  assert.deepEqual([String(kept.requestDevice), kept.features], [String(requestDevice), features]);
  const none = /** @type {any} */ ({ requestAdapter: async () => null });
  useUntimed(none);
  assert.equal(await none.requestAdapter(), null);
});

test('what is asked for decides, where it can be had', () => {
  assert.equal(chooseDevice(software, 'webgpu').kind, 'webgpu');
  assert.equal(chooseDevice(probe, 'cpu').kind, 'cpu');
});

test('the heat map is stretched over the values off the diagonal', () => {
  const similarity = Float32Array.from([1, 0.5, 0.75, 0.5, 1, 0.25, 0.75, 0.25, 1]);
  const { least, most } = extremes(similarity, 3);
  assert.deepEqual(
    [least, most],
    [
      { first: 1, second: 2, value: 0.25 },
      { first: 0, second: 2, value: 0.75 },
    ],
  );
  const scale = scaleOf(least, most);
  assert.deepEqual(
    [0.25, 0.5, 0.75, 1].map((value) => position(scale, value)),
    [0, 0.5, 1, 1],
  );
  assert.equal(scale.digits, 3);
  assert.equal(scaleOf(least, { ...most, value: 0.26 }).digits, 4);
  assert.equal(position(scaleOf(least, least), 0.25), 0.5);
});

test('time left follows the pace so far', () => {
  assert.equal(timeLeft({ done: 0, total: 10 }, 100), null);
  assert.equal(timeLeft({ done: 2, total: 10 }, 100), 400);
});

test("the report's file name is safe whatever the model calls itself", () => {
  const date = new Date('2026-11-23T12:00:00Z');
  assert.equal(reportName('SmolLM2 135M/Instruct', date, 'json'), 'ted-report-SmolLM2-135M-Instruct-2026-11-23.json');
  assert.equal(reportName('', date, 'csv'), 'ted-report-model-2026-11-23.csv');
});

test('numbers as people read them', () => {
  assert.deepEqual([0, 999, 1000, 98_362_432, 1_500_000_000].map(formatBytes), [
    '0 B',
    '999 B',
    '1.0 kB',
    '98.4 MB',
    '1.5 GB',
  ]);
  assert.deepEqual([340, 4200, 75_000].map(formatDuration), ['340 ms', '4.2 s', '1 min 15 s']);
  assert.deepEqual([134_515_008, 8_190_735_360].map(formatParameters), ['135 M', '8.19 B']);
  assert.deepEqual([formatSpeed(30, 412), formatSpeed(5000, 1000)], ['72.8 tokens/s', '5,000 tokens/s']);
  assert.deepEqual([plural(1, 'item'), plural(1200, 'item')], ['1 item', '1,200 items']);
});
