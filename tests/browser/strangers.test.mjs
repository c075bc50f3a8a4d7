// Files of strangers on the page of dist/, in real Chromium: hostile texts in reports and data sets, items that were
// left out, and a tokenizer that adds tokens.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshPage, see } from '../support/chromium.mjs';
import { startDist } from '../support/dist.mjs';
import { ggufFile } from '../support/gguf.mjs';

/** @import { Page } from 'playwright-core' */

const HOSTILE = '<img src=x onerror=alert(1)>\u202etxt.exe\u0001\u001b[2J\u2066\u2028';

const dist = startDist({ webgpu: false });

/** @param {string} name @param {unknown} value */
function jsonFile(name, value) {
  return { name, mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(value)) };
}

/** A report in which every text that has no list of its own is hostile. @param {number[]} scores */
function hostileReport(scores) {
  const right = scores[0] > scores[1];
  const item = {
    ...{ index: 0, caption_key: HOSTILE, caption_type: 'image', question_type: 'OCR', caption: HOSTILE },
    ...{ question: HOSTILE, options: `A. ${HOSTILE}\nB. b`, statements: [HOSTILE, `${HOSTILE}b`] },
    ...{ correct_answer: 'A', predicted_answer: right ? 'A' : 'B', confidence_score: Math.max(...scores) },
    ...{ all_scores: scores, is_correct: right },
  };
  const left_out = Array.from({ length: 230 }, (_, at) => ({
    ...{ caption_key: `${HOSTILE}${at}`, question_type: 'OCR', reason: HOSTILE },
  }));
  const provenance = { model: { name: HOSTILE }, feature: HOSTILE, pooling: HOSTILE, subset: { id: HOSTILE } };
  const accuracy_statistics = { overall_accuracy: Number(right), total_correct: Number(right), total_samples: 1 };
  return { summary: { accuracy_statistics, complete: true, left_out }, results: [item], provenance };
}

/** The texts and attributes of the page that hide or turn something. @param {Page} page */
function hidden(page) {
  return page.evaluate(() => {
    const found = [];
    const bad = /(?![\n\t])[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029]/u;
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const texts = node instanceof Element ? [...node.attributes].map(({ name, value }) => [name, value]) : [];
      // the value of a choice is what the page hands on, and is not shown
      const shown = texts.filter(([name]) => name !== 'value').map(([, value]) => value);
      for (const text of [...shown, node.nodeValue ?? '']) if (bad.test(text)) found.push(text);
    }
    return found;
  });
}

test('a report of types that nobody knows is refused by a message that hides nothing', async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(`${dist.url}?device=cpu`);
  const report = hostileReport([0.75, 0.5]);
  report.summary.left_out[0].question_type = HOSTILE;
  await page
    .locator('#compare-files')
    .setInputFiles(jsonFile(`${HOSTILE.replace(/[/\0\u0001\u001b]/g, '')}.json`, report));
  await see(page, '#compare-error', /is not a report.*question type `<img src=x onerror=alert\(1\)>\\u\{202e\}txt/);
  assert.deepEqual(await hidden(page), []);
  assert.deepEqual(errors, []);
  await close();
});

test('hostile reports are shown with what they hide written out; what they leave out is counted', async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(`${dist.url}?device=cpu`);
  await page
    .locator('#compare-files')
    .setInputFiles([jsonFile('a.json', hostileReport([0.75, 0.5])), jsonFile('b.json', hostileReport([0.5, 0.75]))]);
  await see(page, '#compare-reports', /1 \/ 1 230 items left out.*0 \/ 1 230 items left out/);
  await page.locator('#compare-run').click();
  await see(page, '#compare-result', /1 items are right in the first alone/);
  await page.locator('#compare-result .plot').waitFor();
  await page.locator('#compare-result .changed button').click();
  await see(page, '#item', /\\u\{202e\}txt\.exe\\u\{1\}/);
  await page.locator('#items-expand').click();
  await page.locator('#leaderboard').scrollIntoViewIfNeeded();
  await page.locator('#leaderboard-chart .plot').waitFor();
  assert.deepEqual(await hidden(page), []);
  assert.equal(await page.locator('main img').count(), 0);
  assert.deepEqual(errors, []);
  await close();
});

test('a hostile data set is shown so too; an item that the model has no token for is left out, and listed on demand', async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(`${dist.url}?device=cpu`);
  await page.locator('#model summary').first().click();
  await page.locator('#model-files').setInputFiles({ name: 'a.gguf', mimeType: '', buffer: ggufFile() });
  await page.locator('#model-facts').waitFor();
  await page.locator('#feature').selectOption('last'); // the layers' norms of a model of equal weights are zero
  const stated = (/** @type {string} */ statement) => ({ status: 'success', statement });
  const entry = (/** @type {string[]} */ [right, ...wrong]) => ({
    ...{ caption: 'a', caption_type: 'image' },
    statements: {
      OCR: {
        ...{ question: HOSTILE, correct_statement: stated(right) },
        incorrect_statements: wrong.map(stated),
      },
    },
  });
  await page.locator('#ted-file').setInputFiles(
    jsonFile('ted.json', {
      [`${HOSTILE}1`]: entry(['a', 'aa', 'aaa', 'aaaa']),
      [`${HOSTILE}2`]: entry(['a', 'zz', 'aa', 'aaa']),
    }),
  );
  await see(page, '#ted-count', /^2 items/);
  await page.locator('#ted-run').click();
  await see(page, '#ted-result', /of 1 right.*; 1 item left out/);
  await page.locator('#ted-result .left-out summary').click();
  await see(page, '#ted-result .left-out', /1 item is left out.*\\u\{202e\}.*2: /);
  assert.deepEqual(await hidden(page), []);
  assert.deepEqual(errors, []);
  await close();
});

test('begin and end tokens are those of the file, or none where that is chosen; the card, the link and the next visit say which', async () => {
  const { page, errors, close } = await freshPage(dist.browser);
  await page.goto(`${dist.url}?device=cpu`);
  await page.locator('#model summary').first().click();
  await page.locator('#feature').selectOption('last'); // the layers' norms of a model of equal weights are zero
  const file = { name: 'a.gguf', mimeType: 'application/octet-stream', buffer: ggufFile({ begin: '<s>' }) };
  const tokens = async () => {
    await page.locator('#model-files').setInputFiles(file);
    await page.locator('#model-facts').waitFor();
    const fields = page.locator('#prompt-list textarea');
    while ((await fields.count()) > 2) await page.locator('#prompt-list button').last().click();
    for (const [at, prompt] of ['a', 'aa'].entries()) await fields.nth(at).fill(prompt);
    await page.locator('#embed').click();
    await page.locator('#matrix:not([hidden])').waitFor();
    await page.locator('#embed:not([disabled])').waitFor();
    return page.evaluate(() => /** @type {any} */ (globalThis).granTed.last.embeddings.tokens);
  };
  assert.deepEqual(await tokens(), [2, 3]);
  await see(page, '#model-facts', /Adds to each text<s> …/);

  await page.locator('#options summary').click();
  await page.locator('#special-tokens').selectOption('none');
  assert.deepEqual(await tokens(), [1, 2]);
  await see(page, '#model-facts', /Adds to each textno token, as chosen/);
  await page.locator('#share-copy').click();
  await page.locator('#share-link:not([hidden])').waitFor();
  const link = await page.locator('#share-link').inputValue();
  assert.match(link, /&special_tokens=none(&|$)/);
  await page.waitForTimeout(500); // what is kept is written
  await page.reload();
  await page.waitForFunction(
    () => /** @type {HTMLSelectElement} */ (document.getElementById('special-tokens')).value === 'none',
  );
  assert.deepEqual(errors, []);
  await close();

  const receiver = await freshPage(dist.browser);
  await receiver.page.goto(link);
  await receiver.page.waitForFunction(
    () => /** @type {HTMLSelectElement} */ (document.getElementById('special-tokens')).value === 'none',
  );
  await receiver.close();
});
