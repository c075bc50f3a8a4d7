// The evaluator of the page in dist/, in real Chromium on the CPU with the real default model: runs that survive a
// reload, sliders, the layer study, what is kept. Screenshots are left in target/screenshots.
import assert from 'node:assert/strict';
import { mkdir, readFile } from 'node:fs/promises';
import { before, test } from 'node:test';
import { freshPage, launch, see } from '../support/chromium.mjs';
import { startDist } from '../support/dist.mjs';

/** @import { Page } from 'playwright-core' */
/** @import { Embeddings, Report } from '../../www/types/wasm' */

const SHOTS = 'target/screenshots';
const LAYERS = 30;
const LONG = 120_000; // ms for 30 items on two busy cores
const PROMPTS = [
  'a red cube to the left of a blue ball',
  'a blue ball to the left of a red cube',
  'two cats asleep on a sofa',
];

const dist = startDist({ webgpu: false });
/** @type {string} */
let address;

before(async () => {
  await mkdir(SHOTS, { recursive: true });
  address = `${dist.url}?device=cpu`;
});

/** The page's sample, cut to so many items, as a file to pick. @param {string} name @param {number} items */
async function sampleFile(name, items) {
  /** @type {Record<string, { statements: Record<string, unknown> }>} */
  const sample = JSON.parse(await readFile('dist/data/ted-sample.json', 'utf8'));
  /** @type {typeof sample} */
  const cut = {};
  for (const [key, caption] of Object.entries(sample)) {
    const statements = Object.entries(caption.statements).slice(0, Math.max(items, 0));
    items -= statements.length;
    if (statements.length) cut[key] = { ...caption, statements: Object.fromEntries(statements) };
  }
  return { name, mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(cut)) };
}

/** @param {Page} page @param {string} selector */
async function textOf(page, selector) {
  return (await page.locator(selector).textContent()) ?? '';
}

/** Waits until the page has read what was kept. @param {Page} page */
async function started(page) {
  await page.locator('#device-kind', { hasText: 'Running' }).waitFor();
}

/** @param {Page} page */
async function idle(page) {
  await page.locator('#embed:not([disabled])').waitFor({ timeout: LONG });
}

/** @param {Page} page @returns {Promise<{ similarity: number[] | null, report: Report }>} */
function last(page) {
  return page.evaluate(() => {
    const { embeddings, report } = /** @type {{ embeddings: Embeddings | null, report: Report }} */ (
      /** @type {any} */ (globalThis).granTed.last
    );
    return { similarity: embeddings && [...embeddings.similarity], report };
  });
}

/**
 * Runs again and waits for the new report, which may come at once if there is nothing to encode.
 * @param {Page} page
 * @param {(report: Report) => boolean} isNew
 */
async function rerun(page, isNew) {
  await page.locator('#ted-run').click();
  for (let tries = 0; tries < 600; tries++) {
    await idle(page);
    const { report } = await last(page);
    if (isNew(report)) return report;
    await page.waitForTimeout(100);
  }
  assert.fail(`no new report: ${await textOf(page, '#ted-error')}`);
}

/** @param {Page} page */
async function compare(page) {
  const fields = page.locator('#prompt-list textarea');
  for (const [at, prompt] of PROMPTS.entries()) await fields.nth(at).fill(prompt);
  await page.locator('#embed').click();
  await page.locator('#embed[disabled]').waitFor();
  await idle(page);
  assert.equal(await textOf(page, '#prompts-error'), '');
  return /** @type {number[]} */ ((await last(page)).similarity);
}

/**
 * Moves a slider as a person does, and measures in the page the time until the next frame after the matrix changed.
 * @param {Page} page
 * @param {number} layer from 0 on
 * @param {number} value
 */
function slide(page, layer, value) {
  return page
    .locator('#weights-list input')
    .nth(layer)
    .evaluate(async (slider, to) => {
      const input = /** @type {HTMLInputElement} */ (slider);
      const cells = () => [...document.querySelectorAll('.heat .cell')].map((cell) => cell.textContent).join(' ');
      const before = cells();
      const started = performance.now();
      input.value = String(to);
      input.dispatchEvent(new Event('input', { bubbles: true }));
      const at = performance.now();
      const changed = cells() !== before;
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
      return { changed, milliseconds: at - started, frame: performance.now() - started };
    }, value);
}

/** @param {number[]} a @param {number[]} b */
function farthest(a, b) {
  return Math.max(...a.map((value, at) => Math.abs(value - b[at])));
}

test(
  '30 items: reloaded in the middle, resumed, paused and resumed, no finished text is encoded again',
  { timeout: 2 * LONG },
  async (t) => {
    const { page, errors, close } = await freshPage(dist.browser);
    await page.goto(address);
    await page.locator('#ted-file').setInputFiles(await sampleFile('thirty.json', 30));
    await page.locator('#ted-count', { hasText: '30 items' }).waitFor();
    const texts = Number(/(\d+) texts/.exec(await textOf(page, '#ted-count'))?.[1]);
    await page.locator('#ted-run').click();
    await page.locator('#ted-stage', { hasText: /right so far/ }).waitFor({ timeout: LONG });
    await page.waitForTimeout(500); // changes gather before they are written

    await page.reload();
    await page.locator('#ted-resume').waitFor();
    const [, shown, total] =
      /([\d,]+) of ([\d,]+) texts are done/.exec(await textOf(page, '#ted-unfinished-text')) ?? [];
    assert.equal(Number(total), texts);
    assert.ok(Number(shown) > 0 && Number(shown) < texts, `${shown} of ${total} texts`);
    await page.screenshot({ path: `${SHOTS}/resume.png`, fullPage: true });

    await page.locator('#ted-resume').click(); // it loads the model and opens the kept file
    await page.locator('#ted-stage', { hasText: /restored.*left/ }).waitFor({ timeout: LONG });
    await page.locator('#ted-pause').click();
    await page.locator('#ted-unfinished-text', { hasText: /^Paused/ }).waitFor({ timeout: LONG });
    const paused = Number(/([\d,]+) of [\d,]+ texts/.exec(await textOf(page, '#ted-unfinished-text'))?.[1]);
    assert.ok(paused > Number(shown), `${paused} texts when paused, ${shown} before`);
    await page.locator('#ted-resume').click();
    await page.locator('#ted-result').waitFor({ timeout: LONG });
    await idle(page);

    const { report } = await last(page);
    const { timings } = report.provenance ?? {};
    t.diagnostic(
      `${texts} texts: ${shown} done at the reload, ${paused} at the pause; the last call encoded ${timings.texts} and restored ${timings.restored}`,
    );
    assert.equal(report.summary.complete, true);
    assert.equal(report.results.length, 30);
    assert.equal(timings.texts + timings.restored, texts);
    assert.ok(timings.restored >= paused, `${timings.restored} restored`);
    assert.ok(await page.locator('#ted-unfinished').isHidden());

    // A second run finds every text, and so does the other pooling: nothing is encoded, the scores are equal.
    const again = await rerun(page, (next) => next.provenance?.timings.restored === texts);
    assert.equal(again.provenance?.timings.texts, 0);
    assert.deepEqual(
      again.results.map(({ all_scores }) => all_scores),
      report.results.map(({ all_scores }) => all_scores),
    );
    await page.locator('#pooling').selectOption('last_token');
    const other = await rerun(page, (next) => next.provenance?.pooling === 'last_token');
    assert.equal(other.provenance?.timings.texts, 0);

    // A reload loses nothing.
    await page.waitForTimeout(1000); // changes gather before they are written
    await page.reload();
    await page.locator('#ted-result').waitFor();
    assert.deepEqual((await last(page)).report.results, other.results);
    await see(page, '#pooling', 'last_token');
    await see(page, '#kept-summary', new RegExp(`\`thirty\\.json\`.*the last report.*${texts} encoded texts`));
    assert.deepEqual(errors, []);
    await close();
  },
);

test(
  "a slider moves the matrix within 100 ms, to what the encoder gives for those weights; the study's score follows",
  { timeout: LONG },
  async (t) => {
    const { page, errors, close } = await freshPage(dist.browser);
    await page.goto(address);
    const average = await compare(page);
    await page.locator('#weights summary').click();
    await page.locator('#weights-note', { hasText: 'The matrix follows' }).waitFor();
    await idle(page);
    assert.equal(await page.locator('#weights-list li').count(), LAYERS);

    const first = await slide(page, 4, 3);
    const second = await slide(page, 20, 3.5);
    t.diagnostic(
      `matrix after ${first.milliseconds.toFixed(1)} and ${second.milliseconds.toFixed(1)} ms, ` +
        `frame after ${first.frame.toFixed(1)} and ${second.frame.toFixed(1)} ms`,
    );
    for (const { changed, milliseconds } of [first, second]) {
      assert.ok(changed, 'the matrix did not change');
      assert.ok(milliseconds < 100, `${milliseconds} ms`);
    }
    const mixed = /** @type {number[]} */ ((await last(page)).similarity);
    await page.locator('#weights-equal').click();
    assert.ok(farthest(/** @type {number[]} */ ((await last(page)).similarity), average) < 1e-4);
    await slide(page, 4, 3);
    await slide(page, 20, 3.5);
    await see(page, '#feature', 'weighted');
    assert.ok(farthest(await compare(page), mixed) < 1e-4, 'the sliders and the encoder differ');

    await page.locator('#ted-file').setInputFiles(await sampleFile('six.json', 6));
    await page.locator('#ted-count', { hasText: '6 items' }).waitFor();
    await page.locator('#layers-run').click();
    await page.locator('#layers-run[aria-busy=true]').waitFor();
    await idle(page);
    assert.equal(await textOf(page, '#layers-error'), '');
    await page.locator('#layers').scrollIntoViewIfNeeded();
    await page.locator('#layers-result svg').first().waitFor();
    await page.locator('#layers-result summary').click();
    const rows = await page
      .locator('.study tbody tr')
      .evaluateAll((list) => list.map((row) => [...row.children].map((cell) => cell.textContent ?? '')));
    assert.equal(rows.length, LAYERS + 1 + 4); // layers 0 to 30, last, penultimate, norm_avg, weighted
    assert.ok(
      rows.every(([, right]) => /^[0-6] \/ 6$/.test(right)),
      JSON.stringify(rows),
    );
    const right = (/** @type {string} */ name) => rows.find(([head]) => head.startsWith(name))?.[1].split(' ')[0];
    assert.equal(right(`layer ${LAYERS}`), right('last'));
    await see(page, '#layers-result', /\d tokens of \d+ texts encoded once/);
    await page.screenshot({ path: `${SHOTS}/study.png`, fullPage: true });

    // The page's mix of the study's products gives the encoder's score.
    await see(
      page,
      '#weights-study',
      new RegExp(`: ${right('weighted')} of 6 right with these weights .*\\[\\d+\\.\\d, `),
    );
    await page.locator('#weights-equal').click();
    await see(
      page,
      '#weights-study',
      new RegExp(`: ${right('norm_avg')} of 6 right with these weights .*\\[\\d+\\.\\d, `),
    );
    assert.deepEqual(errors, []);
    await close();
  },
);

test('a paused study goes on where it was, and finds what an undisturbed one finds', { timeout: LONG }, async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(address);
  await page.locator('#ted-file').setInputFiles(await sampleFile('five.json', 5));
  await page.locator('#ted-count', { hasText: '5 items' }).waitFor();
  const run = page.locator('#layers-run');
  await run.click();
  await page.locator('#layers-stage', { hasText: /\d+ of \d+ tokens/ }).waitFor({ timeout: LONG });
  await page.locator('#layers-stop').click();
  await see(page, '#layers-run', /Go on with the study/);
  const done = Number(/Paused: (\d+) of/.exec(await textOf(page, '#layers-note'))?.[1]);
  assert.ok(done > 0);
  await page.evaluate(() => {
    const stage = /** @type {Element} */ (document.querySelector('#layers-stage'));
    /** @type {string[]} */
    const seen = [];
    Object.assign(globalThis, { seen });
    new MutationObserver(() => seen.push(stage.textContent ?? '')).observe(stage, {
      childList: true,
      characterData: true,
      subtree: true,
    });
  });
  await run.click();
  await see(page, '#layers-run', /Study all layers/);
  await idle(page);
  const steps = await page.evaluate(() =>
    /** @type {any} */ (globalThis).seen
      .map((/** @type {string} */ text) => Number(/(\d+) of \d+ texts/.exec(text)?.[1]))
      .filter(Boolean),
  );
  assert.ok(steps[0] > done, `${steps} after ${done}`);
  await see(page, '#layers-result', /on 5 items of five\.json\. /);
  await page.locator('#layers-result summary').click();
  const inTwo = await textOf(page, '.study tbody');
  await run.click();
  await page.locator('#layers-run[aria-busy=true]').waitFor();
  await idle(page);
  assert.equal(await textOf(page, '.study tbody'), inTwo);
  assert.deepEqual(errors, []);
  await close();
});

test(
  'adapters and weights that do not fit are refused in their own line, a list that fits is used',
  { timeout: LONG },
  async () => {
    const { page, errors, close } = await freshPage(dist.browser);
    await page.goto(address);
    await page.locator('#adapter summary').click();
    const pick = async (/** @type {string} */ name, /** @type {string} */ content) => {
      await page
        .locator('#adapter-file')
        .setInputFiles({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(content) });
      await idle(page);
    };
    for (const [name, content, message] of /** @type {const} */ ([
      ['notes.pt', 'These are notes.', /`notes\.pt`/],
      ['notes.safetensors', 'These are notes.', /`notes\.safetensors`/],
      ['few.json', '[1, 2]', /2.*30 layers/],
      ['words.json', '["a"]', /`words\.json`/],
    ])) {
      await pick(name, content);
      await page.locator('#adapter-error', { hasText: message }).waitFor({ timeout: LONG });
      assert.equal(await page.locator('#feature option[value=weighted]').count(), 0);
    }
    await pick('weights.json', JSON.stringify(Array.from({ length: LAYERS }, (_, at) => at / 10)));
    await page.locator('#adapter-weights').waitFor({ timeout: LONG });
    assert.equal(await textOf(page, '#adapter-error'), '');
    await see(page, '#feature', 'weighted');
    assert.equal((await compare(page)).length, 9);
    await page.locator('#adapter-remove').click();
    await idle(page);
    await see(page, '#feature', 'norm_avg');
    assert.equal((await compare(page)).length, 9);
    assert.deepEqual(errors, []);
    await close();
  },
);

test('prompts and settings outlive a reload, a link does not destroy them, and they can be forgotten', async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  const prompts = () =>
    page
      .locator('#prompt-list textarea')
      .evaluateAll((fields) => fields.map((field) => /** @type {HTMLTextAreaElement} */ (field).value));
  await page.goto(address);
  await page.locator('#prompt-list textarea').first().fill('a kept prompt');
  await page.locator('#feature').selectOption('last');
  await page.waitForTimeout(500);
  const kept = await prompts();
  await page.reload();
  await started(page);
  assert.deepEqual(await prompts(), kept);
  await see(page, '#feature', 'last');

  const link = `${dist.url}#v=1&p=linked&p=too&feature=penultimate`;
  await page.goto('about:blank');
  await page.goto(link);
  await page.locator('#link-summary').waitFor();
  assert.deepEqual(await prompts(), ['linked', 'too']);
  await page.waitForTimeout(500);
  await page.goto('about:blank');
  await page.goto(address);
  await started(page);
  assert.deepEqual(await prompts(), kept);

  await page.goto('about:blank');
  await page.goto(link); // now the person does something: a reload keeps that, not the link
  await page.locator('#link-summary').waitFor();
  await page.locator('#prompt-list textarea').first().fill('changed');
  await page.waitForTimeout(500);
  await page.reload();
  await started(page);
  assert.deepEqual(await prompts(), ['changed', 'too']);

  await page.locator('#kept-forget').click();
  await page.locator('#kept-status', { hasText: 'Forgotten' }).waitFor();
  await page.goto('about:blank');
  await page.goto(address);
  await started(page);
  assert.ok(!(await prompts()).includes('changed'));
  assert.deepEqual(errors, []);
  await close();
});

test('where the browser stores nothing the page says so once and works', async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.addInitScript(() =>
    Object.defineProperty(globalThis, 'indexedDB', {
      get() {
        throw new DOMException('denied', 'SecurityError');
      },
    }),
  );
  await page.goto(address);
  await page.locator('#kept-error', { hasText: /Nothing is kept for the next visit: .*denied/ }).waitFor();
  await page.locator('#prompt-list textarea').first().fill('a prompt');
  assert.ok(await page.locator('#embed').isEnabled());
  assert.deepEqual(errors, []);
  await close();
});

/**
 * Makes a report as the reference's script writes it, a bare list.
 * @param {string} name
 * @param {(index: number) => boolean} right
 */
async function reportFile(name, right) {
  /** @typedef {{ statement: string }} Statement */
  /** @typedef {{ correct_statement: Statement, incorrect_statements: Statement[] }} Statements */
  /** @type {Record<string, { caption_type: string, statements: Record<string, Statements> }>} */
  const sample = JSON.parse(await readFile('dist/data/ted-sample.json', 'utf8'));
  const items = Object.entries(sample).flatMap(([caption_key, { caption_type, statements }]) =>
    Object.entries(statements).map(([question_type, item]) => ({ caption_key, caption_type, question_type, item })),
  );
  const results = items.map(({ item, ...keys }, index) => {
    const statements = [
      item.correct_statement.statement,
      ...item.incorrect_statements.map(({ statement }) => statement),
    ];
    const all_scores = statements.map((_, at) => (at === (right(index) ? 0 : 1) ? 0.5 : 0.25));
    return {
      ...keys,
      statements,
      correct_answer: 'A',
      predicted_answer: right(index) ? 'A' : 'B',
      all_scores,
      is_correct: right(index),
    };
  });
  return { name, mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(results)) };
}

test(
  "two reports are compared item by item, with the p of McNemar's test; a changed item opens",
  { timeout: LONG },
  async () => {
    const { page, errors, close } = await freshPage(dist.browser);
    await page.goto(address);
    await page.locator('#compare-files').setInputFiles([
      await reportFile('first.json', (index) => index !== 0 && index !== 20), // wrong in 2 items
      await reportFile('second.json', (index) => index < 1 || index > 9), // wrong in 9 other items
    ]);
    await page.locator('#compare-reports', { hasText: 'second.json' }).waitFor({ timeout: LONG });
    await idle(page);
    await page.locator('#compare-run').click();
    // 9 items are right in the first alone, 2 in the second alone: p = 2 (C(11,0) + C(11,1) + C(11,2)) / 2^11 = 0.0654
    await page.locator('#compare-result', { hasText: /p\s=\s0\.065/ }).waitFor({ timeout: LONG });
    const all = await page.locator('.groups tbody tr').first().textContent();
    assert.match(all ?? '', /44.*37|95\.7.*80\.4/s);
    assert.equal(await page.locator('.changed button').count(), 11);
    await page.locator('#compare').screenshot({ path: `${SHOTS}/compare.png` });
    await page.locator('.changed button').first().click();
    await page.locator('#item', { hasText: /wrong|right/i }).waitFor();

    await page
      .locator('#compare-files')
      .setInputFiles({ name: 'list.json', mimeType: 'application/json', buffer: Buffer.from('[1]') });
    await page.locator('#compare-error', { hasText: '`list.json` is not a report' }).waitFor({ timeout: LONG });
    assert.deepEqual(errors, []);
    await close();
  },
);

test("an item's link opens the item, without a model; after a run it has scores", { timeout: LONG }, async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(`${address}#v=1&data=sample&question_type=OCR&item=image_0%7COCR`);
  await page.locator('#item', { hasText: 'Not scored yet' }).waitFor({ timeout: LONG });
  assert.equal(await page.locator('#model-facts').isVisible(), false);
  await page.locator('#ted-run').click();
  await page.locator('#ted-result').waitFor({ timeout: LONG });
  await idle(page);
  await page.locator('#item', { hasText: /Scores of This run/ }).waitFor();
  assert.equal(await page.locator('#item', { hasText: 'Not scored yet' }).count(), 0);
  await page.locator('#items').screenshot({ path: `${SHOTS}/item.png` });

  const elsewhere = await freshPage(dist.browser);
  await elsewhere.page.goto(`${address}#v=1&data=sample&item=nothing%7COCR`);
  await elsewhere.page.locator('.error:visible', { hasText: /no usable item `nothing/ }).waitFor({ timeout: LONG });
  await elsewhere.close();
  assert.deepEqual(errors, []);
  await close();
});

/** Makes attention pooling for the default model, with small reproducible weights. @param {number} dimension */
function attentionAdapter(dimension) {
  const width = 576;
  /** @type {[string, number[]][]} */
  const tensors = [
    ['pool_token', [1, 1, width]],
    ['layer_weights', [LAYERS]],
  ];
  for (const block of ['encoder.0.', 'encoder.1.']) {
    for (const name of ['q', 'k', 'v', 'o']) tensors.push([`${block}${name}_proj.weight`, [width, width]]);
    for (const name of ['norm1.weight', 'norm1.bias', 'norm2.weight', 'norm2.bias'])
      tensors.push([block + name, [width]]);
    tensors.push([`${block}mlp.0.weight`, [4 * width, width]], [`${block}mlp.0.bias`, [4 * width]]);
    tensors.push([`${block}mlp.3.weight`, [width, 4 * width]], [`${block}mlp.3.bias`, [width]]);
  }
  tensors.push(
    ['out_norm.weight', [width]],
    ['out_norm.bias', [width]],
    ['proj.weight', [dimension, width]],
    ['proj.bias', [dimension]],
  );
  /** @type {Record<string, object>} */
  const header = {};
  let offset = 0;
  for (const [name, shape] of tensors) {
    const bytes = 2 * shape.reduce((product, size) => product * size, 1);
    header[name] = { dtype: 'BF16', shape, data_offsets: [offset, offset + bytes] };
    offset += bytes;
  }
  const text = Buffer.from(JSON.stringify(header));
  const file = Buffer.alloc(8 + text.length + offset);
  file.writeBigUInt64LE(BigInt(text.length));
  text.copy(file, 8);
  let state = 7;
  for (let at = 8 + text.length; at < file.length; at += 2) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // the generator of Numerical Recipes
    file.writeUInt16LE(((state >>> 31) << 15) | (0x3d00 + ((state >>> 20) & 0xff)), at); // +-0.03 to 0.12
  }
  return file;
}

test('an adapter makes the embeddings, on both devices alike', { timeout: 2 * LONG }, async () => {
  const webgpu = await launch({ webgpu: true });
  /** @type {Record<string, number[]>} */
  const similarity = {};
  for (const [device, owner] of /** @type {const} */ ([
    ['cpu', dist.browser],
    ['webgpu', webgpu],
  ])) {
    const { page, errors, close } = await freshPage(owner);
    page.setDefaultTimeout(LONG);
    await page.goto(`${dist.url}?device=${device}`);
    await compare(page);
    await page.locator('#adapter summary').click();
    await page.locator('#adapter-file').setInputFiles({
      name: 'epoch_1.safetensors',
      mimeType: 'application/octet-stream',
      buffer: attentionAdapter(64),
    });
    await page.locator('#adapter-facts', { hasText: 'attention pooling' }).waitFor();
    await idle(page);
    await page.locator('#pooling').selectOption('adapter');
    await page.locator('#feature').selectOption('weighted');
    similarity[device] = await compare(page);
    await see(page, '#matrix', /weighted.*64 dimensions/);
    if (device === 'cpu') {
      await page.locator('#reference-precision').check();
      const rounded = await compare(page);
      assert.ok(farthest(rounded, similarity.cpu) > 0 && farthest(rounded, similarity.cpu) < 0.05);
      await page.locator('#adapter').screenshot({ path: `${SHOTS}/adapter.png` });
    }
    assert.deepEqual(errors, []);
    await close();
  }
  await webgpu.close();
  assert.ok(farthest(similarity.cpu, similarity.webgpu) < 1e-3, JSON.stringify(similarity));
});

test('the benchmark begins by itself, stays within its budget, and its figures can be had as a file', async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(`${address}&bench=8`);
  await page.locator('#bench-stage', { hasText: /\d+ of \d+: / }).waitFor({ timeout: LONG });
  await idle(page);
  await see(page, '#bench-result', /GFLOP\/s.*The model by length of the text.*16 tokens.*qkv_proj.*attention.*model/s);
  const report = await page.evaluate(() => /** @type {any} */ (globalThis).granTed.last.bench);
  assert.equal(report.complete, true);
  assert.ok(report.seconds < 60, `${report.seconds} s`); // on a busy machine a single step may be long
  assert.ok(report.peak.gflops > 0.5, `${report.peak.gflops} GFLOP/s`);
  const first = report.rows.filter((/** @type {any} */ { tokens }) => tokens === 16);
  const shares = first.reduce((/** @type {number} */ sum, /** @type {any} */ { share }) => sum + (share ?? 0), 0);
  assert.ok(Math.abs(shares - 1) < 1e-6, `shares ${shares}`);
  await page.screenshot({ path: `${SHOTS}/benchmark.png`, fullPage: true });

  const downloading = page.waitForEvent('download');
  await page.locator('#bench-download').click();
  const download = await downloading;
  assert.match(download.suggestedFilename(), /^bench-SmolLM2.*\.json$/);
  assert.deepEqual(JSON.parse(await readFile(await download.path(), 'utf8')), report);

  await page.locator('#bench-run').click();
  await page.locator('#bench-stage', { hasText: /\d+ of \d+: / }).waitFor();
  await page.locator('#bench-stop').click();
  await idle(page);
  await see(page, '#bench-result', /Stopped before the end/);
  assert.deepEqual(errors, []);
  await close();
});
