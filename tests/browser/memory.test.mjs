// How models are held, in real Chromium on WebGPU (SwiftShader): whole and layer by layer, from one file and from
// shards, and what happens when the device has too little memory, too small buffers, or goes away. GRAN_TED_MODEL names
// another model than the small random one: `./build.sh generate 8b`, see the README.
import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { test } from 'node:test';
import { freshPage, see } from '../support/chromium.mjs';
import { startDist } from '../support/dist.mjs';
import { faultServer } from '../support/fault-server.mjs';
import { siteWith } from '../support/site.mjs';

/** @import { TestContext } from 'node:test' */
/** @import { Page } from 'playwright-core' */

const MODEL = process.env.GRAN_TED_MODEL ?? '.cache/models/generated-small.gguf';
const LARGE = 'GRAN_TED_MODEL' in process.env;
const BUDGET = LARGE ? '1000' : '45'; // MB
const LONG = LARGE ? 3_600_000 : 300_000;
const PROMPT = 'a red cube to the left of a blue ball on a table';

const dist = startDist({ webgpu: true });

/** @param {TestContext} t @param {{ url?: string, device?: string }} [options] */
async function open(t, { url = dist.url, device = 'webgpu' } = {}) {
  const { page, errors, close } = await freshPage(dist.browser);
  t.after(close);
  page.setDefaultTimeout(LONG);
  await page.goto(`${url}?device=${device}`);
  await page.locator('#device-reason', { hasText: 'As asked for' }).waitFor();
  return { page, errors };
}

/** @param {Page} page @param {string} panel */
async function unfold(page, panel) {
  if (!(await page.locator(`${panel} > :not(summary)`).first().isVisible()))
    await page.locator(`${panel} > summary`).click();
}

/** @param {Page} page @param {string} budget MB @param {string} [quantize] */
async function hold(page, budget, quantize = '') {
  await unfold(page, '#options');
  await page.locator('#quantize').selectOption(quantize);
  await page.locator('#budget').fill(budget);
  await page.locator('#budget').press('Tab');
}

/** @param {Page} page @param {string} url */
async function loadUrl(page, url) {
  await unfold(page, '#own');
  await page.locator('#model-url').fill(url);
  await page.locator('#model-url-form button').click();
}

/** Waits for the model's facts, or fails with the page's error. @param {Page} page */
async function loaded(page) {
  await page.locator('#model-facts, #model-error:not(:empty), #panic').locator('visible=true').first().waitFor();
  assert.equal(await page.locator('#model-error').textContent(), '');
  assert.equal(await page.locator('#panic-message').textContent(), '');
}

/**
 * Embeds prompts and returns their vectors.
 * @param {Page} page
 * @param {string[]} prompts
 * @returns {Promise<number[]>}
 */
async function embed(page, prompts = [PROMPT]) {
  const fields = page.locator('#prompt-list textarea');
  while ((await fields.count()) > prompts.length) await page.locator('#prompt-list button').last().click();
  while ((await fields.count()) < prompts.length) await page.locator('#prompt-add').click();
  for (const [at, prompt] of prompts.entries()) await fields.nth(at).fill(prompt);
  await page.locator('#embed:not([disabled])').click();
  await page.locator('#embed:not([disabled])').waitFor({ timeout: LONG });
  assert.equal(await page.locator('#prompts-error').textContent(), '');
  return page.evaluate(() => [.../** @type {any} */ (globalThis).granTed.last.embeddings.vectors]);
}

/** The memory of the browser's processes now, in bytes, by kind. */
async function memory() {
  /** @type {Record<string, number>} */
  const sums = {};
  for (const id of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const [command, status] = await Promise.all(
      ['cmdline', 'status'].map((name) => readFile(`/proc/${id}/${name}`, 'utf8').catch(() => '')),
    );
    const kind = /--type=(renderer|gpu-process)/.exec(command)?.[1];
    if (kind && command.includes('chrom'))
      sums[kind] = (sums[kind] ?? 0) + 1024 * Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0);
  }
  return sums;
}

/** The highest `memory` while `work` runs. @template T @param {() => Promise<T>} work */
async function peak(work) {
  /** @type {Record<string, number>} */
  const most = {};
  let going = true;
  const watching = (async () => {
    while (going) {
      for (const [kind, bytes] of Object.entries(await memory())) most[kind] = Math.max(most[kind] ?? 0, bytes);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  })();
  try {
    return { result: await work(), most };
  } finally {
    going = false;
    await watching;
  }
}

/** @param {Page} page */
async function heap(page) {
  const text = (await page.locator('#model-facts').textContent()) ?? '';
  const [, amount, unit] = /Page memory([\d.]+)\s(MB|GB)/.exec(text) ?? [];
  return Number(amount) * (unit === 'GB' ? 1000 : 1);
}

/** @param {number} bytes */
const megabytes = (bytes) => `${Math.round(bytes / 1e6)} MB`;

test(
  'a model of Q4_K and Q6_K embeds a prompt whole and layer by layer, with equal results',
  { timeout: 2 * LONG },
  async (t) => {
    const { page, errors } = await open(t);
    await unfold(page, '#own');
    const { size } = await stat(MODEL);
    /** @type {Record<string, number[]>} */
    const vectors = {};
    for (const [held, budget] of [
      ['whole', ''],
      ['streamed', BUDGET],
    ]) {
      const before = await memory();
      const started = performance.now();
      const { most } = await peak(async () => {
        await hold(page, budget);
        if (held === 'whole') await page.locator('#model-files').setInputFiles(MODEL);
        else await page.locator('#model-load').click();
        await loaded(page);
      });
      const done = performance.now();
      await see(
        page,
        '#model-facts',
        held === 'whole'
          ? /qwen3vl.*Device memory[\d.]+\s[MG]BCounted after the load[\d.]+\s[MG]BPage/
          : /Device memoryup to .* layer by layer/,
      );
      const { result, most: working } = await peak(() => embed(page));
      vectors[held] = result;
      const used = await heap(page);
      t.diagnostic(
        `${held}: ${megabytes(size)} loaded in ${((done - started) / 1000).toFixed(1)} s, ` +
          `${PROMPT.split(' ').length} words embedded in ${((performance.now() - done) / 1000).toFixed(1)} s; ` +
          `wasm heap ${used} MB; ` +
          Object.entries(most)
            .map(
              ([kind, bytes]) =>
                `${kind} ${megabytes(before[kind] ?? 0)} before, at most ${megabytes(bytes)} loading, ${megabytes(working[kind])} embedding`,
            )
            .join('; '),
      );
      assert.ok(used < 256, `the wasm heap has ${used} MB`);
    }
    assert.equal(vectors.whole.length, LARGE ? vectors.whole.length : 1024);
    assert.deepEqual(vectors.streamed, vectors.whole);
    assert.deepEqual(errors, []);
  },
);

test(
  'the memory that a model takes is told before its weights are read, and a budget that is too small is refused',
  { timeout: LONG, skip: LARGE && 'for the small model' },
  async (t) => {
    const { page, errors } = await open(t, { device: 'cpu' });
    await hold(page, '20');
    await unfold(page, '#own');
    await page.locator('#model-files').setInputFiles(MODEL);
    await see(
      page,
      '#model-error',
      /^the model needs [\d.]+ MB of device memory with 2 layers at a time, but the budget is 20\.0 MB$/,
    );
    await see(
      page,
      '#model-plan',
      /^On the deviceDoes not fit.*Weights[\d.]+ MBA batch of [\d,]+ tokens[\d.]+ MB.*Budget20\.0 MBPage memory.*Largest buffer[\d.]+ MB/,
    );
    await hold(page, BUDGET);
    await page.locator('#model-load').click();
    await page
      .locator('#model-plan', {
        hasText:
          /^On the deviceLayer by layer, for each batch.*Device memory, whole[\d.]+ MBDevice, layer by layer4\d(\.\d)? MB/,
      })
      .waitFor();
    await loaded(page);
    await embed(page);

    // It is streamed because the person wants it, without a budget.
    await hold(page, '');
    await page.locator('#held').selectOption('streamed');
    await page.locator('#model-load').click();
    await loaded(page);
    await see(page, '#model-facts', /Device memoryup to .* layer by layer/);
    await hold(page, BUDGET);
    await page.waitForTimeout(1000); // changes gather before they are kept

    // The choice outlives a reload; a picked file does not, and the page says so.
    await page.reload();
    await page.locator('#device-reason', { hasText: 'As asked for' }).waitFor();
    await see(page, '#budget', BUDGET);
    await see(page, '#held', 'streamed');
    await see(page, '#model-note', /You had `generated-small\.gguf`/);
    assert.deepEqual(errors, []);
  },
);

/** Ends the worker's next device when the page says so. */
const LOSING = `{
  const request = GPUAdapter.prototype.requestDevice;
  GPUAdapter.prototype.requestDevice = async function (...settings) {
    const device = await request.apply(this, settings);
    new BroadcastChannel('lose').addEventListener('message', () => device.destroy());
    return device;
  };
}`;

test(
  'a device that is lost is said, and the next action goes on in a fresh worker',
  { timeout: LONG, skip: LARGE && 'for the small model' },
  async (t) => {
    const { page, errors } = await open(t, { url: await siteWith(t, LOSING) });
    const before = await embed(page);
    await page.evaluate(() => new BroadcastChannel('lose').postMessage(''));
    await page.waitForTimeout(500);
    await page.locator('#embed').click();
    await see(
      page,
      '#prompts-error',
      /^the graphics device was lost \(.{1,200}\)\. A fresh one was opened, and the model is loaded again with the next action\.$/,
    );
    await page.screenshot({ path: 'target/screenshots/lost.png', fullPage: true });
    assert.deepEqual(await embed(page), before);

    // The device may also go away while it computes.
    await page.locator('#prompt-list textarea').first().fill(`${PROMPT} `.repeat(15));
    await page.locator('#embed').click();
    await page.waitForTimeout(1500);
    await page.evaluate(() => new BroadcastChannel('lose').postMessage(''));
    // SwiftShader first finishes its queue
    await page.locator('#prompts-error', { hasText: /^the graphics device was lost/ }).waitFor();
    assert.deepEqual(await embed(page), before);
    assert.deepEqual(errors, []);
  },
);

/** Makes a device with room for so many bytes of live buffers. @param {number} bytes */
const small = (bytes) => `{
  const create = GPUDevice.prototype.createBuffer;
  const destroy = GPUBuffer.prototype.destroy;
  let free = ${bytes};
  GPUDevice.prototype.createBuffer = function (descriptor) {
    free -= descriptor.size;
    const error = new GPUOutOfMemoryError('not enough memory left');
    if (free < 0) setTimeout(() => this.dispatchEvent(new GPUUncapturedErrorEvent('uncapturederror', { error })));
    return create.call(this, descriptor);
  };
  GPUBuffer.prototype.destroy = function () {
    free += this.size;
    destroy.call(this);
  };
}`;

test(
  'a device that runs out of memory in a load gets the layers one by one, and in a batch says so',
  { timeout: LONG, skip: LARGE && 'for the small model' },
  async (t) => {
    const plain = await open(t);
    await unfold(plain.page, '#own');
    await plain.page.locator('#model-files').setInputFiles(MODEL);
    await loaded(plain.page);
    const expected = await embed(plain.page);

    const { page, errors } = await open(t, { url: await siteWith(t, small(50e6)) });
    await unfold(page, '#own');
    await page.locator('#model-files').setInputFiles(MODEL);
    await loaded(page);
    await see(
      page,
      '#model-storage',
      /^The device ran out of memory for the whole model: its layers are brought to it for each batch\./,
    );
    assert.deepEqual(await embed(page), expected);
    await page.screenshot({ path: 'target/screenshots/streamed.png', fullPage: true });

    // A batch is too large: a smaller budget makes smaller batches.
    await page.locator('#prompt-list textarea').first().fill(`${PROMPT} `.repeat(60));
    await page.locator('#embed').click();
    await page
      .locator('#prompts-error', {
        hasText: /^The device ran out of memory\. A fresh one was opened.*Memory, packing and tokens/,
      })
      .waitFor();
    assert.deepEqual(await embed(page), expected);
    assert.deepEqual(errors, []);
  },
);

test(
  'an adapter whose buffers are too small is refused by name, and the CPU takes the model',
  { timeout: LONG, skip: LARGE && 'for the small model' },
  async (t) => {
    const url = await siteWith(
      t,
      `for (const limit of ['maxStorageBufferBindingSize', 'maxBufferSize']) {
    Object.defineProperty(GPUSupportedLimits.prototype, limit, { get: () => 400_000 });
  }`,
    );
    const { page } = await open(t, { url });
    await page.locator('#model-load').click();
    await see(
      page,
      '#model-error',
      /`blk\.\d+\.ffn_\w+\.weight` needs 442\.4 kB in one buffer, but this device allows 400\.0 kB/,
    );
    await page.locator('#device-wanted').selectOption('cpu');
    await embed(page);
  },
);

test(
  'Cancel in a pass over streamed layers ends it within a second, and the next one is whole',
  { timeout: LONG, skip: LARGE && 'for the small model' },
  async (t) => {
    const { page, errors } = await open(t, { device: 'cpu' });
    await hold(page, BUDGET);
    await unfold(page, '#own');
    await page.locator('#model-files').setInputFiles(MODEL);
    await loaded(page);
    const expected = await embed(page);
    await page.locator('#prompt-list textarea').first().fill(`${PROMPT} `.repeat(120));
    await page.locator('#embed').click();
    await page.waitForTimeout(300);
    const took = await page.evaluate(async () => {
      const [cancel, embed] = ['embed-cancel', 'embed'].map(
        (id) => /** @type {HTMLButtonElement} */ (document.getElementById(id)),
      );
      const started = performance.now();
      cancel.click();
      while (embed.disabled) await new Promise((resolve) => setTimeout(resolve, 10));
      return performance.now() - started;
    });
    t.diagnostic(`cancelled in ${took.toFixed(0)} ms`);
    assert.ok(took < 1000, `${took} ms`);
    assert.equal(await page.locator('#prompts-error').textContent(), '');
    assert.deepEqual(await embed(page), expected);
    assert.deepEqual(errors, []);
  },
);

test(
  'models loaded one after the other leave nothing behind',
  { timeout: LONG, skip: LARGE && 'for the small model' },
  async (t) => {
    const { page, errors } = await open(t);
    await unfold(page, '#own');
    /** @type {{ heap: number, gpu: number }[]} */
    const after = [];
    for (let round = 0; round < 4; round++) {
      await page.locator('#model-files').setInputFiles(MODEL);
      await page.locator('#model-facts', { hasText: 'qwen3vl' }).waitFor();
      await page.locator('#model-default').click();
      await page.locator('#model-facts', { hasText: 'llama' }).waitFor();
      after.push({ heap: await heap(page), gpu: (await memory())['gpu-process'] ?? 0 });
    }
    t.diagnostic(after.map(({ heap, gpu }) => `heap ${heap} MB, GPU process ${megabytes(gpu)}`).join('; '));
    assert.equal(after[3].heap, after[0].heap);
    // Three rounds read 360 MB of weights.
    assert.ok(after[3].gpu - after[0].gpu < 120e6, 'the GPU process keeps what it was given');
    assert.deepEqual(errors, []);
  },
);

/** The header of a safetensors file, and the place where its tensors begin. @param {Buffer} file */
function tensorsOf(file) {
  const length = Number(file.readBigUInt64LE());
  /** @type {Record<string, { dtype: string, shape: number[], data_offsets: [number, number] }>} */
  const { __metadata__, ...tensors } = JSON.parse(file.subarray(8, 8 + length).toString());
  return { tensors, data: file.subarray(8 + length) };
}

/**
 * Writes the tensors of an F32 file as `count` files of bfloat16 with their index, named as on Hugging Face.
 * @param {Buffer} file
 * @param {number} count
 */
function shards(file, count) {
  const { tensors, data } = tensorsOf(file);
  const names = Object.keys(tensors);
  /** @type {Record<string, Buffer | string>} */
  const files = {};
  /** @type {Record<string, string>} */
  const weight_map = {};
  for (let part = 0; part < count; part++) {
    const name = `model-0000${part + 1}-of-0000${count}.safetensors`;
    /** @type {Record<string, object>} */
    const header = {};
    const pieces = [];
    let offset = 0;
    for (const tensor of names.filter((_, at) => at % count === part)) {
      const {
        shape,
        data_offsets: [start, end],
      } = tensors[tensor];
      const halves = Buffer.alloc((end - start) / 2);
      for (let at = 0; at < halves.length; at += 2) {
        const bits = data.readUInt32LE(start + 2 * at);
        halves.writeUInt16LE((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16, at); // rounds to nearest, ties to even
      }
      header[tensor] = { dtype: 'BF16', shape, data_offsets: [offset, offset + halves.length] };
      offset += halves.length;
      pieces.push(halves);
      weight_map[tensor] = name;
    }
    const text = Buffer.from(JSON.stringify(header));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(text.length));
    files[`/${name}`] = Buffer.concat([length, text, ...pieces]);
  }
  files['/model.safetensors.index.json'] = JSON.stringify({ metadata: {}, weight_map });
  return files;
}

test(
  'three bfloat16 shards from a URL match PyTorch, and packed to 8 bits stay near',
  { timeout: LONG, skip: LARGE && 'for the small model' },
  async (t) => {
    const folder = 'tests/fixtures/tiny-qwen3vl';
    const oracle = tensorsOf(await readFile(`${folder}/expected.safetensors`));
    const values = (/** @type {string} */ name) => oracle.data.subarray(...oracle.tensors[name].data_offsets);
    const [ids, mask] = ['input_ids', 'attention_mask'].map(
      (name) => new BigInt64Array(new Uint8Array(values(name)).buffer),
    );
    const expected = new Float32Array(new Uint8Array(values('embedding.softmax.mean')).buffer); // [4, 64]
    // The tokenizer has one character for each id, so that a prompt spells its ids.
    const character = (/** @type {bigint | number} */ id) => String.fromCodePoint(0x4e00 + Number(id));
    const vocab = Object.fromEntries(Array.from({ length: 512 }, (_, id) => [character(id), id]));
    const tokenizer = {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: null,
      post_processor: null,
      decoder: null,
      model: { type: 'BPE', vocab, merges: [] },
    };
    const prompts = [0, 1, 2, 3].map((row) =>
      [...ids.slice(23 * row, 23 * row + 23)]
        .filter((_, at) => mask[23 * row + at])
        .map(character)
        .join(''),
    );
    const server = await faultServer(Buffer.alloc(0), {
      others: {
        ...shards(await readFile(`${folder}/model.safetensors`), 3),
        '/config.json': await readFile(`${folder}/config.json`),
        '/tokenizer.json': JSON.stringify(tokenizer),
      },
    });
    t.after(server.close);

    for (const device of ['cpu', 'webgpu']) {
      const { page, errors } = await open(t, { device });
      for (const [quantize, least] of /** @type {const} */ ([
        ['', 0.9999],
        ['q8', 0.999],
      ])) {
        await hold(page, '', quantize);
        if (quantize === '') await loadUrl(page, `${server.url}model.safetensors.index.json`);
        else await page.locator('#model-load').click();
        await loaded(page);
        await page.locator('#model-facts', { hasText: quantize ? /BF16.*Packed to8 bits/ : /BF16/ }).waitFor();
        if (quantize === '') {
          await unfold(page, '#adapter');
          await page.locator('#adapter-file').setInputFiles(`${folder}/layer_weights.json`);
          await page.locator('#adapter-weights').waitFor();
        }
        await see(page, '#feature', 'weighted');
        const vectors = await embed(page, prompts);
        const cosines = prompts.map(
          (_, row) =>
            vectors
              .slice(64 * row, 64 * row + 64)
              .reduce((sum, value, at) => sum + value * expected[64 * row + at], 0) /
            Math.hypot(...expected.slice(64 * row, 64 * row + 64)),
        );
        t.diagnostic(
          `${device}${quantize && `, ${quantize}`}: cosines to PyTorch ${cosines.map((cosine) => cosine.toFixed(6)).join(', ')}`,
        );
        assert.ok(Math.min(...cosines) > least, `${device} ${quantize}: ${cosines}`);
      }
      assert.deepEqual(errors, []);
    }
  },
);
