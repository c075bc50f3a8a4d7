// The wire between page and worker: www/worker/client.js against www/worker/requests.js.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Client } from '../../www/worker/client.js';
import { WorkerError } from '../../www/worker/errors.js';
import { fakeWorker } from '../support/fake-worker.mjs';

const ignore = () => {};

/**
 * A client without the types of the worker's methods: the tests' methods have other names.
 * @param {ConstructorParameters<typeof Client>} values
 */
function clientOf(...values) {
  return /** @type {{ call(method: string, params?: object, options?: object): Promise<any>, end: Client['end'] }} */ (
    new Client(...values)
  );
}

test('answers are matched to their requests', async () => {
  const client = clientOf(fakeWorker({ double: ({ x }) => 2 * x }), ignore);
  assert.deepEqual(await Promise.all([1, 2, 3].map((x) => client.call('double', { x }))), [2, 4, 6]);
});

test('one call runs at a time, in the order of arrival', async () => {
  /** @type {string[]} */
  const log = [];
  const client = clientOf(
    fakeWorker({
      async work({ name }) {
        log.push(`${name} begins`);
        await new Promise((resolve) => setTimeout(resolve, 5));
        log.push(`${name} ends`);
      },
    }),
    ignore,
  );
  await Promise.all([client.call('work', { name: 'a' }), client.call('work', { name: 'b' })]);
  assert.deepEqual(log, ['a begins', 'a ends', 'b begins', 'b ends']);
});

test('an error comes with its code and message, and the next call works', async () => {
  const client = clientOf(
    fakeWorker({
      load() {
        throw Object.assign(new Error('`a.txt` is no model'), { name: 'NotAModel' });
      },
      ping: () => 'pong',
    }),
    ignore,
  );
  await assert.rejects(
    client.call('load'),
    (error) => error instanceof WorkerError && error.code === 'NotAModel' && error.message === '`a.txt` is no model',
  );
  await assert.rejects(client.call('toString'), { code: 'NoMethod' });
  assert.equal(await client.call('ping'), 'pong');
});

test('progress reaches the page while the call runs; typed arrays are moved', async () => {
  const client = clientOf(
    fakeWorker({
      async embed(_, progress) {
        for (const done of [1, 2]) assert.equal(await progress({ done }), true);
        return { vectors: new Float32Array([1, 2]) };
      },
    }),
    ignore,
  );
  /** @type {object[]} */
  const seen = [];
  const { vectors } = await client.call('embed', {}, { progress: (/** @type {object} */ value) => seen.push(value) });
  assert.deepEqual(seen, [{ done: 1 }, { done: 2 }]);
  assert.deepEqual([...vectors], [1, 2]);
});

test('a text of 20 MB, as JSONL of a full run is, comes through', async () => {
  const client = clientOf(fakeWorker({ export_report: () => 'x'.repeat(20e6), remove: () => null }), ignore);
  assert.equal((await client.call('export_report')).length, 20e6);
  assert.equal(await client.call('remove'), null);
});

test('abort stops a running call at its next progress, and a waiting one before it begins', async () => {
  let rounds = 0;
  const client = clientOf(
    fakeWorker({
      async run(_, progress) {
        while (await progress({ rounds: ++rounds }));
        return 'partial';
      },
      later: () => assert.fail('a cancelled call began'),
    }),
    ignore,
  );
  const [first, second] = [new AbortController(), new AbortController()];
  const running = client.call('run', {}, { signal: first.signal, progress: () => rounds === 3 && first.abort() });
  const waiting = client.call('later', {}, { signal: second.signal });
  second.abort();
  assert.equal(await running, 'partial');
  assert.ok(rounds >= 3 && rounds <= 5, `stopped after ${rounds} rounds`);
  await assert.rejects(waiting, { code: 'Cancelled' });
});

test('a panic rejects every open request and every later call with its text, and is told once', async () => {
  /** @type {string[]} */
  const told = [];
  const worker = fakeWorker({ hang: () => new Promise(() => {}) });
  const client = clientOf(worker, (message) => told.push(message));
  const calls = [client.call('hang'), client.call('hang')];
  worker.panic('panicked at src/model/decoder.rs:1');
  worker.panic('unreachable');
  for (const call of calls)
    await assert.rejects(call, { code: 'Panic', message: 'panicked at src/model/decoder.rs:1' });
  await assert.rejects(client.call('hang'), { code: 'Panic' });
  assert.deepEqual(told, ['panicked at src/model/decoder.rs:1']);
  assert.ok(worker.ended);
});

test('a trap without a panic, and a worker that fails to start, end it likewise', async () => {
  const trap = fakeWorker(
    {
      run: () => {
        throw new WebAssembly.RuntimeError('unreachable');
      },
    },
    (error, panic) => {
      panic(/** @type {Error} */ (error).message);
      return true;
    },
  );
  await assert.rejects(clientOf(trap, ignore).call('run'), { code: 'Panic', message: 'unreachable' });

  const broken = fakeWorker({ run: () => new Promise(() => {}) });
  const call = clientOf(broken, ignore).call('run');
  broken.dispatchEvent(new Event('error'));
  await assert.rejects(call, { code: 'Panic', message: 'the worker could not be started' });
});
