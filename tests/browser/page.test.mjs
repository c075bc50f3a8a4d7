// The page of dist/ in real Chromium, on WebGPU (SwiftShader) and on the CPU, with the real default model.
// Screenshots are left in target/screenshots. CHROMIUM names another browser than /usr/bin/chromium.
import assert from 'node:assert/strict';
import { mkdir, open, readFile } from 'node:fs/promises';
import { before, test } from 'node:test';
import { serve } from '../../serve.mjs';
import { badServer } from '../support/bad-server.mjs';
import { freshPage, launch, see } from '../support/chromium.mjs';
import { startDist } from '../support/dist.mjs';
import { ggufFile } from '../support/gguf.mjs';
import { pageBytes, watchLongTasks } from '../support/visit.mjs';

/** @import { Page } from 'playwright-core' */
/** @import { Embeddings, Report } from '../../www/types/wasm' */

const MODEL = 'dist/models/SmolLM2-135M-Instruct.Q4_1.gguf';
const SHOTS = 'target/screenshots';
const PARTS = [
  'model',
  'norms',
  'qkv_proj',
  'rotary',
  'attention',
  'o_proj',
  'gate_up_proj',
  'down_proj',
  'layer',
  'layer_mix',
]; // the names of the Rust tests of the benchmark
const MOST_TASK = 100; // ms of the page's own thread; 50 if nothing else runs
const PROMPTS = ['a red cube to the left of a blue ball', 'a blue ball to the left of a red cube'];

const dist = startDist({ webgpu: true });
/** @type {Map<string, number[]>} vectors of PROMPTS by device */
const vectors = new Map();

before(() => mkdir(SHOTS, { recursive: true }));

/** Clicks Load and waits while the bytes go up. @param {Page} page */
async function load(page) {
  await page.locator('#model-load').click();
  await page.locator('#model-stage', { hasText: / MB of 98\.4 MB$/ }).waitFor();
  await page.locator('#model-facts').waitFor();
  await see(page, '#model-facts', /Layers30.*Hidden size576.*Q4_1/);
}

/** @param {Page} page @param {string[]} prompts */
async function fillPrompts(page, prompts) {
  const fields = page.locator('#prompt-list textarea');
  while ((await fields.count()) > prompts.length) await page.locator('#prompt-list button').last().click();
  for (const [at, prompt] of prompts.entries()) await fields.nth(at).fill(prompt);
}

/** Compares the prompts and returns the cells of the heat map, row by row, as shown. @param {Page} page */
async function compare(page) {
  await page.locator('#embed').click();
  await idle(page);
  assert.equal(await page.locator('#prompts-error').textContent(), '');
  return page.locator('table.heat td:is(.cell, .self)').allTextContents();
}

/** @param {Page} page */
async function idle(page) {
  await page.locator('#embed:not([disabled])').waitFor();
}

/** @param {Page} page @param {string} selector */
async function textOf(page, selector) {
  return (await page.locator(selector).textContent()) ?? '';
}

/**
 * @param {Page} page
 * @returns {Promise<{ embeddings: Omit<Embeddings, 'vectors'> & { vectors: number[] }, report: Report }>}
 */
function last(page) {
  return page.evaluate(() => {
    const { embeddings, report } = /** @type {any} */ (globalThis).granTed.last;
    return { embeddings: embeddings && { ...embeddings, vectors: [...embeddings.vectors] }, report };
  });
}

/** @param {number[]} a @param {number[]} b */
function dot(a, b) {
  return a.reduce((sum, value, at) => sum + value * b[at], 0);
}

for (const device of ['webgpu', 'cpu']) {
  test(`${device}: the default model loads with progress, two prompts are compared, a TED run is stopped`, async (t) => {
    const { page, errors, close } = await freshPage(dist.browser);
    await page.goto(`${dist.url}?device=${device}`);
    await page.locator('#device-kind', { hasText: device === 'cpu' ? 'CPU' : 'WebGPU' }).waitFor();
    await load(page);
    await fillPrompts(page, PROMPTS);
    const cells = await compare(page);
    assert.equal(cells.length, 4);
    if (device === 'webgpu') await see(page, '#device-reason', /compute what the CPU does/);
    await see(page, '#matrix', /tokens\/s/);

    const { embeddings } = await last(page);
    assert.equal(embeddings.dimension, 576);
    assert.ok(Math.abs(dot(embeddings.vectors.slice(0, 576), embeddings.vectors.slice(0, 576)) - 1) < 1e-5);
    assert.ok(
      embeddings.similarity[1] > 0.5 && embeddings.similarity[1] < 0.9999,
      `similarity ${embeddings.similarity[1]}`,
    );
    vectors.set(device, embeddings.vectors);
    await page.screenshot({ path: `${SHOTS}/${device}.png`, fullPage: true });

    await page.locator('#ted-sample').click();
    await page.locator('#ted-count', { hasText: /items/ }).waitFor();
    await page.locator('#ted-run').click();
    await page.locator('#ted-stage', { hasText: /tokens.*left/ }).waitFor();
    await page.locator('#ted-stop').click();
    await page.locator('#ted-result, #ted-error').locator('visible=true').waitFor();
    assert.equal(await textOf(page, '#ted-error'), '');
    await see(page, '#ted-result', /Stopped before the (end|first)/);
    const { report } = await last(page);
    assert.equal(report.summary.complete, false);
    t.diagnostic(`load: ${await textOf(page, '#model-facts')}`);
    t.diagnostic(`embed: ${await textOf(page, '#matrix .note')}`);
    assert.deepEqual(errors, []);
    await close();
  });
}

test('both devices give the same vectors', () => {
  const [webgpu, cpu] = [vectors.get('webgpu') ?? [], vectors.get('cpu') ?? []];
  for (const row of [0, 1]) {
    const [a, b] = [webgpu, cpu].map((all) => all.slice(576 * row, 576 * (row + 1)));
    const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
    assert.ok(cosine > 0.9999, `prompt ${row + 1}: cosine ${cosine}`);
  }
});

test('the kernels for GPUs, forced here, are measured once, remembered, and give the same vectors', async (t) => {
  const { page, errors, close } = await freshPage(dist.browser);
  const tunings = () =>
    page.evaluate(async () => {
      // eslint-disable-next-line no-unsanitized/method -- it is the page's own module
      const { openDatabase } = await import(new URL('./storage/database.js', location.href).href);
      const [tiles] = await (
        await openDatabase()
      ).get('kept', [
        `tiles ${document.querySelector('#device-reason')?.textContent?.match(/adapter is (.+?)\./)?.[1]}`,
      ]);
      return tiles && JSON.parse(tiles).tiles;
    });
  await page.goto(`${dist.url}?device=webgpu&kernels=gpu`);
  await page.locator('#model-load').click();
  await page.locator('#model-stage', { hasText: /which kernels this adapter runs fastest/ }).waitFor();
  await page.locator('#model-facts').waitFor();
  const { Packed4 } = await tunings();
  assert.equal(Packed4.length, 4, 'a tile for each class of rows');
  t.diagnostic(`on SwiftShader the fastest of those for GPUs are ${Packed4.join('; ')}`);
  await fillPrompts(page, PROMPTS);
  await compare(page);
  const { embeddings } = await last(page);
  const cpu = vectors.get('cpu') ?? [];
  for (const row of [0, 1]) {
    const [a, b] = [embeddings.vectors, cpu].map((all) => all.slice(576 * row, 576 * (row + 1)));
    assert.ok(dot(a, b) > 0.9999, `prompt ${row + 1}: cosine ${dot(a, b)}`);
  }

  const started = Date.now();
  await page.reload();
  await page.locator('#model-load').click();
  await page.locator('#model-facts').waitFor();
  t.diagnostic(`loaded again in ${Date.now() - started} ms`);
  assert.deepEqual((await tunings()).Packed4, Packed4);
  assert.deepEqual(errors, []);
  await close();
});

test('in int8 both devices give nearly the same vectors', async (t) => {
  for (const device of ['cpu', 'webgpu']) {
    const { page, errors, close } = await freshPage(dist.browser);
    await page.goto(`${dist.url}?device=${device}`);
    await page.locator('#options summary').click();
    await page.locator('#arithmetic').selectOption('int8');
    await load(page);
    await page.locator('#model-facts', { hasText: 'Productsin 8-bit integers' }).waitFor();
    await fillPrompts(page, PROMPTS);
    await compare(page);
    const { embeddings } = await last(page);
    const f32 = vectors.get(device) ?? [];
    const cosines = [0, 576].map((at) => dot(embeddings.vectors.slice(at, at + 576), f32.slice(at, at + 576)));
    t.diagnostic(
      `${device}: cosines to f32 ${cosines.map((cosine) => cosine.toFixed(6)).join(', ')}; ${await textOf(page, '#matrix .note')}`,
    );
    assert.ok(
      cosines.every((cosine) => cosine > 0.999 && cosine < 1 - 1e-7),
      `${device}: ${cosines}`,
    );
    await page.reload();
    await page.waitForFunction(
      () => /** @type {HTMLSelectElement} */ (document.getElementById('arithmetic')).value === 'int8',
    ); // the choice is kept
    assert.deepEqual(errors, []);
    await close();
  }
});

test('a device that does not compute in f16 says so, and loads in f32', async () => {
  for (const [device, name] of [
    ['cpu', 'CPU'],
    ['webgpu', '.*swiftshader.*'],
  ]) {
    const { page, errors, close } = await freshPage(dist.browser);
    await page.goto(`${dist.url}?device=${device}`);
    await page.locator('#options summary').click();
    await page.locator('#arithmetic').selectOption('f16');
    await page.locator('#model-load').click();
    await see(
      page,
      '#model-error',
      new RegExp(
        `^arithmetic .f16. needs a GPU with .shader-f16., but this device has none: ${name}; choose f32 or int8$`,
        'i',
      ),
    );
    await page.locator('#arithmetic').selectOption('f32');
    await load(page);
    assert.deepEqual(errors, []);
    await close();
  }
});

test('the whole page is under 2.5 MB, and loading and comparing never hold it up', async (t) => {
  const bytes = await pageBytes('dist');
  t.diagnostic(`page: ${(bytes / 1e6).toFixed(2)} MB in brotli`);
  assert.ok(bytes < 2.5e6, `${bytes} bytes`);
  for (const device of ['webgpu', 'cpu']) {
    const { page, errors, close } = await freshPage(dist.browser);
    const longTasks = await watchLongTasks(page);
    await page.goto(`${dist.url}?device=${device}`);
    await load(page);
    await compare(page);
    const tasks = await longTasks();
    t.diagnostic(`${device}: ${JSON.stringify(tasks)}`);
    assert.ok(
      tasks.every(({ milliseconds }) => milliseconds <= MOST_TASK),
      JSON.stringify(tasks),
    );
    assert.deepEqual(errors, []);
    await close();
  }
});

test('the page says under which licenses its parts are', async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(dist.url);
  const link = page.getByRole('link', { name: 'Licenses' });
  await link.waitFor();
  assert.deepEqual(errors, []);
  await link.click(); // a plain text, for which the browser asks for an icon that is not there
  await page.getByText(/wgpu 30\.\d+\.\d+ \| MIT OR Apache-2\.0 \|/).waitFor();
  await close();
});

test('every part is measured on WebGPU', async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(`${dist.url}?device=webgpu&bench=20`);
  await page.locator('#bench-download:not([hidden])').waitFor();
  const { complete, clock, clock_reason, rows, peak, skipped } = await page.evaluate(
    () => /** @type {any} */ (globalThis).granTed.last.bench,
  );
  const names = [...rows, ...skipped].filter(({ tokens }) => tokens === 16).map(({ name }) => name);
  for (const name of PARTS) assert.ok(names.includes(name), `${name} is not in ${names}`);
  assert.ok(complete && peak.gflops > 0.1 && peak.copy_gb_per_second > 0.1, JSON.stringify(peak));
  assert.equal(clock, 'device', clock_reason);
  for (const { name, milliseconds } of rows)
    assert.equal(milliseconds.clock, ['model', 'other'].includes(name) ? 'wall' : 'device', name);
  assert.deepEqual(errors, []);
  await close();
});

test('a share link opened in a fresh profile shows the same matrix; the TED sample is scored there and its report downloaded', async (t) => {
  const sender = await freshPage(dist.browser);
  await sender.page.goto(`${dist.url}?device=cpu`);
  await fillPrompts(sender.page, [...PROMPTS, 'a red cube']);
  await sender.page.locator('#feature').selectOption('penultimate');
  const sent = await compare(sender.page);
  await sender.page.locator('#share-copy').click();
  await sender.page.locator('#share-status', { hasText: 'Copied' }).waitFor();
  const link = await sender.page.evaluate(() => navigator.clipboard.readText());
  assert.equal(link, await sender.page.locator('#share-link').inputValue());
  await sender.close();

  const { page, errors, close } = await freshPage(dist.browser, { colorScheme: 'dark', acceptDownloads: true });
  await page.goto(link);
  await see(page, '#link-summary', /3 prompts, penultimate \+ mean/);
  await page.locator('#link-load').click();
  await page.locator('#matrix').waitFor();
  await idle(page);
  assert.deepEqual(await page.locator('table.heat td:is(.cell, .self)').allTextContents(), sent);

  await page.locator('#ted-sample').click();
  await page.locator('#ted-count', { hasText: /items/ }).waitFor();
  await page.getByLabel('Items of each type').fill('3');
  await page.getByLabel('Items of each type').press('Tab');
  await page.locator('#ted-count', { hasText: '27 items' }).waitFor();
  await page.getByLabel('Items of each type').fill('');
  await page.getByLabel('Items of each type').press('Tab');
  const items = Object.values(JSON.parse(await readFile('dist/data/ted-sample.json', 'utf8'))).flatMap(
    ({ statements }) => Object.keys(statements),
  ).length;
  await page.locator('#ted-count', { hasText: `${items} items` }).waitFor();
  await page.locator('#ted-run').click();
  await page.locator('#ted-result').waitFor({ timeout: 300_000 });
  await idle(page);
  await see(page, '#ted-result', new RegExp(`of ${items} right`));
  await see(page, '#ted-result', /Action Recognition.*25\.0 %/);
  await see(page, '#ted-result', /UMT5-XXL published50\.6 %.*Not comparable with this run: the page's sample/);
  await page.screenshot({ path: `${SHOTS}/dark.png`, fullPage: true });

  const downloading = page.waitForEvent('download');
  await page.locator('#ted-download').click();
  const download = await downloading;
  assert.match(download.suggestedFilename(), /^ted-report-.*-\d{4}-\d\d-\d\d\.json$/);
  /** @type {Report} */
  const report = JSON.parse(await readFile(await download.path(), 'utf8'));
  const { total_samples, total_correct, question_type_accuracy } = report.summary.accuracy_statistics;
  assert.equal(total_samples, items);
  assert.equal(report.results.length, items);
  assert.equal(total_correct, report.results.filter(({ is_correct }) => is_correct).length);
  assert.equal(Object.keys(question_type_accuracy).length, 9);
  assert.equal(report.summary.complete, true);
  assert.ok(Object.keys(report.provenance ?? {}).length > 0);
  t.diagnostic(`TED sample on the CPU: ${total_correct} of ${total_samples}`);
  assert.deepEqual(errors, []);
  await close();
});

test('a subset of the command line has the same id on the page and in its link', async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(`${dist.url}?device=cpu`);
  await page.locator('#ted-sample').click();
  await page.locator('#ted-count', { hasText: '46 items' }).waitFor();
  await page.getByLabel('First captions').fill('2');
  await page.getByLabel('First captions').press('Tab');
  await page.locator('#ted-count', { hasText: '8 items' }).waitFor();
  await page.locator('#share-copy').click();
  // provenance.subset.id of `gran-ted evaluate MODEL www/data/ted-sample.json --subset captions=2 --out report.json`
  await page.waitForFunction(() =>
    /[#&]captions=2&seed=42&id=d989ba63ec(&|$)/.test(
      /** @type {HTMLInputElement} */ (document.getElementById('share-link')).value,
    ),
  );
  assert.deepEqual(errors, []);
  await close();
});

test('under a sub-path and 360 pixels wide the page works the same', async () => {
  const mounted = await serve({ root: 'dist', prefix: '/demo/app/' });
  const { page, errors, requests, close } = await freshPage(dist.browser, { viewport: { width: 360, height: 740 } });
  await page.goto(`${mounted.url}?device=cpu`);
  await fillPrompts(page, PROMPTS);
  assert.equal((await compare(page)).length, 4);
  const { embeddings } = await last(page);
  const wanted = vectors.get('cpu') ?? [];
  assert.ok(dot(embeddings.vectors, wanted) / 2 > 0.999999, 'the vectors differ from those at /');
  assert.ok(
    requests.every((url) => url.startsWith(mounted.url) || /^(data|blob):/.test(url)),
    requests.join('\n'),
  );
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0);
  await page.screenshot({ path: `${SHOTS}/narrow.png`, fullPage: true });
  assert.deepEqual(errors, []);
  await close();
  mounted.close();
});

test('without WebGPU the page says so before it fetches anything, and runs on the CPU', async () => {
  const plain = await launch({ webgpu: false });
  const { page, errors, requests, close } = await freshPage(plain);
  const heavy = () => requests.filter((url) => /\.(wasm|gguf)$|\/pkg\//.test(url));
  await page.goto(dist.url);
  await page.locator('#device-reason', { hasText: 'No WebGPU here' }).waitFor();
  assert.deepEqual(heavy(), []);
  await fillPrompts(page, PROMPTS);
  assert.equal((await compare(page)).length, 4);
  assert.ok(heavy().length > 0);
  await see(page, '#device-kind', /CPU/);
  assert.deepEqual(errors, []);
  await close();
  await plain.close();
});

test('prompts are added, removed and compared by keyboard alone', async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(`${dist.url}?device=cpu`);
  await fillPrompts(page, ['a dog']);
  await page.locator('#prompt-list textarea').press('End');
  await page.keyboard.press('Enter');
  await page.keyboard.type('a cat');
  await page.keyboard.press('Enter');
  assert.equal(await page.locator('#prompt-list textarea').count(), 3);
  await page.keyboard.press('Backspace');
  await page.keyboard.type('s');
  await page.keyboard.press('Control+Enter');
  await page.locator('#matrix').waitFor();
  assert.deepEqual(await page.locator('table.heat tbody th').allTextContents(), ['1 a dog', '2 a cats']);
  assert.deepEqual(errors, []);
  await close();
});

test('each bad input has its message, and the page works on', async () => {
  const head = await firstBytes(MODEL, 4_000_000);
  const host = await badServer(head);
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(`${dist.url}?device=cpu`);
  await page.locator('#model summary').first().click();

  /** @param {string} area @param {RegExp} message @param {() => Promise<void>} action */
  const refused = async (area, message, action) => {
    await action();
    await page.locator(area, { hasText: message }).waitFor({ timeout: 30_000 });
    await idle(page);
    assert.ok(await page.locator('#model-progress').isHidden(), `${message}: the progress goes on`);
  };
  const pick =
    (/** @type {string} */ field, /** @type {string} */ name, /** @type {Buffer | string} */ content) => () =>
      page.locator(field).setInputFiles({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(content) });
  const visit = (/** @type {string} */ url) => async () => {
    await page.locator('#model-url').fill(url);
    await page.locator('#model-url-form button').click();
  };
  const entry = (/** @type {object} */ statements) =>
    JSON.stringify({ image_0: { caption: 'a dog', caption_type: 'image', statements } });

  await refused('#model-error', /`notes\.txt` is not a model/, pick('#model-files', 'notes.txt', 'These are notes.'));
  await refused('#model-error', /`empty\.gguf`/, pick('#model-files', 'empty.gguf', ''));
  await refused('#model-error', /`cut\.gguf` is truncated.*4000000 bytes/, pick('#model-files', 'cut.gguf', head));
  await refused('#model-error', /`config\.json`/, pick('#model-files', 'config.json', '{}'));
  await refused('#model-error', /does not support range requests.*206.*200/, visit(`${host.url}whole.gguf`));
  await refused('#model-error', /absent\.gguf.*404/, visit(`${host.url}absent.gguf`));
  await refused('#model-error', /cannot read .*127\.0\.0\.1:1\//, visit('http://127.0.0.1:1/refused.gguf'));
  await refused('#model-error', /javascript:.*only https: and http:/, visit('javascript:alert(1)'));
  await refused('#model-error', /not a whole URL/, visit('model.gguf'));

  await refused('#ted-error', /`list\.json` is not a TED-6K file/, pick('#ted-file', 'list.json', '[1, 2]'));
  await refused('#ted-error', /`text\.json` is not a TED-6K file/, pick('#ted-file', 'text.json', 'not JSON'));
  await refused(
    '#ted-error',
    /`other\.json` is not a TED-6K file/,
    pick('#ted-file', 'other.json', '{"image_0": {"captions": []}}'),
  );
  await refused(
    '#ted-error',
    /`shape\.json` is not a TED-6K file/,
    pick('#ted-file', 'shape.json', entry({ OCR: { question: 1 } })),
  );

  await page.locator('#model-default').click();
  await page.locator('#model-facts').waitFor();
  await idle(page);
  await fillPrompts(page, ['a dog', '  ']);
  await refused('#prompts-error', /prompt 2 is empty/, () => page.locator('#embed').click());
  assert.equal(await page.locator('#prompt-list textarea').nth(1).getAttribute('aria-invalid'), 'true');
  await page.locator('#feature').selectOption('layer');
  await page.locator('#layer').fill('99');
  await page.locator('#layer').press('Tab');
  assert.equal(
    await page.locator('#layer').evaluate((node) => /** @type {HTMLInputElement} */ (node).validity.rangeOverflow),
    true,
  );

  await page.locator('#feature').selectOption('norm_avg');
  await fillPrompts(page, PROMPTS);
  assert.equal((await compare(page)).length, 4);
  assert.deepEqual(
    errors.filter((error) => !error.startsWith('Failed to load resource')),
    [],
  );
  await close();
  host.close();
});

test('each fault of a GGUF file has its message, and a right one loads', async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(`${dist.url}?device=cpu`);
  await page.locator('#model summary').first().click();
  /** @param {string} name @param {Parameters<typeof ggufFile>[0]} [options] */
  const pick = (name, options) =>
    page
      .locator('#model-files')
      .setInputFiles({ name, mimeType: 'application/octet-stream', buffer: ggufFile(options) });
  const changed = (/** @type {string} */ part, /** @type {object} */ change) => ({
    change: (/** @type {import('../support/gguf.mjs').Tensor[]} */ tensors) =>
      tensors.map((tensor) => (tensor.name.includes(part) ? { ...tensor, ...change } : tensor)),
  });
  for (const [name, options, message] of /** @type {[string, Parameters<typeof ggufFile>[0], RegExp][]} */ ([
    [
      'family.gguf',
      { architecture: 'mamba' },
      /`family\.gguf`: model family `mamba` is not supported, expected llama, mistral, smollm3/,
    ],
    ['tokenizer.gguf', { tokenizer: 'bert' }, /`tokenizer\.gguf`: tokenizer `bert, smollm` is not supported, expected/],
    [
      'type.gguf',
      changed('ffn_up', { type: 41 }),
      /`type\.gguf`: tensor `blk\.0\.ffn_up\.weight` has type .*, expected one of F32, F16/,
    ],
    [
      'missing.gguf',
      { change: (tensors) => tensors.filter((tensor) => !tensor.name.includes('attn_v')) },
      /`missing\.gguf` has no tensor `blk\.0\.attn_v\.weight`/,
    ],
    [
      'shape.gguf',
      changed('ffn_down', { shape: [32, 64] }),
      /`shape\.gguf`: tensor `blk\.0\.ffn_down\.weight` has shape \[32, 64\], expected \[32, 32\]/,
    ],
    ['tensors.gguf', { counts: [1e12, 9] }, /`tensors\.gguf`: .* is 1000000000000, expected at most/],
    ['entries.gguf', { counts: [11, 1e15] }, /`entries\.gguf`: .* is 1000000000000000, expected at most/],
  ])) {
    await pick(name, options);
    await see(page, '#model-error', message);
    await idle(page);
    assert.ok(await page.locator('#model-progress').isHidden(), `${name}: the progress goes on`);
  }
  await pick('right.gguf');
  await see(page, '#model-facts', /Familyllama.*Layers1Hidden size32/);
  assert.deepEqual(errors, []);
  await close();
});

test('a hostile link is refused in words and reaches nothing', async () => {
  for (const [fragment, message] of /** @type {const} */ ([
    ['#v=9&p=a', /version "9"/],
    ['#v=1&model=javascript:alert(1)', /javascript:/],
    [
      '#v=1&p=%3Cimg%20src%3Dx%20onerror%3D%22document.title%3D%27pwned%27%22%3E&feature=%3Cscript%3E',
      /feature "<script>"/,
    ],
    [`#v=1&p=${'a'.repeat(20_000)}`, /at most 16384/],
    ['#v=1&__proto__=x&seed=-1', /unknown field "__proto__".*seed "-1"/],
    ['#v=1&p=a&model=https://evil.example/x.gguf&bogus=1', /unknown field "bogus"/],
  ])) {
    const { page, errors, requests, close } = await freshPage(dist.browser);
    await page.goto(dist.url + fragment);
    await page.locator('#link-problems', { hasText: message }).waitFor();
    await page.locator('#device-kind', { hasText: 'Running' }).waitFor();
    assert.match(await page.title(), /^gran-ted/);
    assert.equal(await page.locator('main img, main script').count(), 0);
    assert.ok(
      requests.every((url) => url.startsWith(dist.url)),
      requests.join('\n'),
    );
    assert.ok(await page.locator('#embed').isEnabled());
    assert.deepEqual(errors, []);
    await close();
  }
});

test('a panic in wasm shows its text, and the page goes on in a fresh worker with the same prompts', async () => {
  const { page, requests, close } = await freshPage(dist.browser);
  // The module cannot panic on demand: this one stands in for it and panics while it opens, the first time.
  const panicking =
    'export default async () => { globalThis.gran_ted_panic("panicked at src/x.rs:1: boom"); throw new WebAssembly.RuntimeError("unreachable"); };';
  await page
    .context()
    .route('**/pkg/gran_ted.js', (route) => route.fulfill({ contentType: 'text/javascript', body: panicking }), {
      times: 1,
    });
  await page.goto(`${dist.url}?device=cpu`);
  await fillPrompts(page, PROMPTS);
  await page.locator('#embed').click();
  await page.locator('#panic-message', { hasText: 'panicked at src/x.rs:1: boom' }).waitFor();
  await idle(page);
  assert.deepEqual(
    requests.filter((url) => url.endsWith('.gguf')),
    [],
  );
  await page.locator('#restart').click();
  await page.locator('#panic').waitFor({ state: 'hidden' });
  assert.equal(await page.locator('#prompt-list textarea').nth(1).inputValue(), PROMPTS[1]);
  assert.equal((await compare(page)).length, 4);
  await close();
});

/** @param {string} path @param {number} count */
async function firstBytes(path, count) {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(count), 0, count, 0);
    return buffer;
  } finally {
    await file.close();
  }
}
