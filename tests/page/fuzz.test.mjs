// The page's parsers on inputs that nobody wrote: links, addresses, journals of stored files and kept state, each made
// from a seed. What is read is whole and bounded, what is written is read back, and nothing else throws.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSeconds, readTokens } from '../../www/app/benchmark.js';
import { decodeState, emptyState, encodeState } from '../../www/link/codec.js';
import { sharedState } from '../../www/link/link.js';
import { modelAddress, urlSource } from '../../www/sources/model.js';
import { initialState } from '../../www/state/initial.js';
import { Keeper, restore } from '../../www/state/keep.js';
import { countOutcomes, optionIndex, reportsOf } from '../../www/state/reports.js';
import { subsetOf } from '../../www/state/settings.js';
import { expand } from '../../www/storage/expand.js';
import { isComplete, readJournal, storedBytes, writeLine } from '../../www/storage/journal.js';
import { setsOf } from '../../www/storage/sets.js';
import { isSha256 } from '../../www/storage/sha256.js';
import { drawn } from '../support/drawn.mjs';
import { fakeDatabase } from '../support/fake-database.mjs';
import { HOSTILE, hostileState } from '../support/hostile.mjs';
import { random } from '../support/random.mjs';

const next = random(11);
const below = (/** @type {number} */ most) => Math.floor(next() * most);
/** @template T @param {readonly T[]} list */
const pick = (list) => list[below(list.length)];
const hex = (/** @type {number} */ length) => Array.from({ length }, () => pick([...'0123456789abcdef'])).join('');
const ODD = [
  ...[null, undefined, true, -1, 0, 1, 0.5, 1e15, 2 ** 53, 1e308, NaN, [], {}, [1], ['a'], new Float32Array(3)],
  ...['', 'x', '__proto__', 'A', 'Z', '\0', '\u2028', '\u202e', '🎲', '\ud800', 'y'.repeat(9000), 'layer(5)', 'files'],
  ...['https://', 'javascript:1', 'https://a:b@c/', 'https://h/m-00001-of-00999.gguf', '/a.gguf', 'o/r', 'hf://o/r'],
];
const PIECES = [
  ...['a', ' ', '+', '%', '%2', '%00', '%ff', '&', '=', '#', '|', '/', '\\', '"', '<', '\n', '\0', '\u2028', '\u202e'],
  ...[
    '\ud83d',
    'é',
    '日',
    '🎲',
    '0',
    '-',
    '.',
    ',',
    '@',
    ':',
    '..',
    'javascript:',
    'https://',
    'hf.co/',
    'o/r/',
    'blob/',
  ],
  ...['resolve/', 'tree/', 'main/', 'refs/pr/1/', 'f.gguf', '?download=true', '?show_file_info=f.gguf', '__proto__'],
];
const word = (/** @type {number} */ most) => Array.from({ length: below(most) }, () => pick(PIECES)).join('');
const spoiled = (/** @type {string} */ text) => {
  const at = below(text.length + 1);
  return text.slice(0, at) + word(3) + text.slice(at + below(6));
};

/** Changes some of a value's fields. @param {any} value */
function spoil(value) {
  /** @type {[any, string][]} */
  const fields = [];
  const walk = (/** @type {any} */ of) => {
    if (typeof of !== 'object' || of === null || ArrayBuffer.isView(of)) return;
    for (const key of Object.keys(of)) fields.push([of, key]) && walk(of[key]);
  };
  walk(value);
  for (let count = 1 + below(3); count-- > 0;) {
    const [of, key] = pick(fields);
    if (below(3)) of[key] = pick(ODD);
    else delete of[key];
  }
  return value;
}

test('a link of any text is a state that can be written and read again', () => {
  const fields = Object.keys(emptyState()).concat('v', 'p', 'caption_type', 'per_type', 'seed', 'id', '__proto__', '');
  const values = ['1', '0', '-1', 'last', 'mean', 'cpu', 'q8', 'sample', 'image', '0,0.5', '1/2,last,mean', 'k|OCR'];
  for (let at = 0; at < 4000; at++) {
    const parts = Array.from({ length: below(12) }, () => `${pick(fields)}=${below(2) ? pick(values) : word(8)}`);
    const { state, problems } = decodeState(below(4) ? ['v=1', ...parts].join('&') : word(60));
    assert.ok(problems.length <= 10 && problems.every((problem) => problem.length < 600));
    assert.deepEqual(Object.keys(state), Object.keys(emptyState()));
    if (state.model) urlSource(state.model, state.sha256 ?? '');
    const again = decodeState(encodeState(state));
    assert.deepEqual(JSON.stringify(again), JSON.stringify({ state, problems: [] }));
  }
  assert.equal(/** @type {any} */ ({}).polluted, undefined);
});

test('an address of any text is a web address, the same when it is read again, or one sentence', () => {
  for (let at = 0; at < 8000; at++) {
    const text = below(2) ? word(9) : spoiled(pick(['o/r/f.gguf@refs/pr/1', 'https://hf.co/o/r/blob/main/f.gguf']));
    try {
      const address = modelAddress(text);
      const { protocol, username, password, hash } = new URL(address);
      assert.match(protocol, /^https?:$/);
      assert.deepEqual([username, password, hash], ['', '', '']);
      assert.equal(modelAddress(address), address, text);
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      assert.match(String(error), /^Error: .{20,400}\.$/s, text);
    }
    for (const read of [readSeconds, readTokens]) {
      try {
        read(text);
      } catch (error) {
        assert.match(String(error), /^Error: .*expected/s);
      }
    }
  }
});

test('a journal of any text is none, or one that can be listed', () => {
  const header = () => ({
    ...{ version: 1, url: pick(['https://h/a.gguf', 'https://h/m-00001-of-00003.gguf', 'https://h/%zz\u2028.gguf']) },
    ...{ name: pick(['a', '\u2028', '\u202e']), size: below(400), etag: '', modified: '', chunk: 10, created: 1 },
  });
  const line = () =>
    pick([
      { chunk: below(12), sha256: hex(64) },
      { drop: below(12) },
      { used: 1e9 },
      { sha256: hex(64) },
      { bad: hex(64) },
    ]);
  for (let at = 0; at < 1200; at++) {
    const head = /** @type {any} */ (header());
    const text = writeLine(head) + Array.from({ length: below(6) }, () => writeLine(line())).join('');
    assert.deepEqual(readJournal(text)?.header, head);
    const lines = [spoil(header()), ...Array.from({ length: below(6) }, () => (below(3) ? line() : spoil(line())))];
    const journal = readJournal(below(2) ? spoiled(text) : lines.map((made) => writeLine(made)).join(''));
    if (!journal) continue;
    const { url, name, size } = journal.header;
    const stored = storedBytes(journal);
    assert.ok(stored <= size && (!isComplete(journal) || stored === size));
    for (const key of /** @type {const} */ (['sha256', 'expect', 'asked', 'bad']))
      assert.ok(journal[key] === '' || isSha256(journal[key]));
    assert.ok(!Number.isNaN(new Date(journal.used).getTime()));
    const model = { name, url, size, stored, complete: isComplete(journal), used: journal.used, sha256: '' };
    assert.equal(setsOf([{ id: 'a', ...model }]).length, 1);
  }
});

test('an index of shards of any text is the names of files in its folder, or one sentence', async () => {
  const url = 'https://h/o/model.safetensors.index.json';
  for (let at = 0; at < 3000; at++) {
    const whole = {
      metadata: { total_size: 1 },
      weight_map: { a: 'm-1.safetensors', b: 'm-2.safetensors', c: word(4) },
    };
    if (below(2)) whole.weight_map.c = 'm-1.safetensors';
    const text = below(2) ? spoiled(JSON.stringify(whole)) : JSON.stringify(spoil(whole));
    const small = { read: async (/** @type {string} */ of) => new TextEncoder().encode(of === url ? text : '{}') };
    try {
      const files = await expand([{ url }], /** @type {any} */ (small));
      for (const file of files)
        assert.match('url' in file ? file.url : '', /^https:\/\/h\/o\/[\w.-]+\.(json|safetensors)$/);
    } catch (error) {
      assert.match(String(error), /^Malformed: .{20,250}$/s, text);
    }
  }
});

const BASE = 'https://example.org/app/';
const KEPT = () => {
  const accuracy = { accuracy: 1, correct: 1, total: 1, interval: [0, 1], chance: 0.5 };
  const item = {
    ...{ index: 0, caption_key: 'a', caption_type: 'image', question_type: 'OCR', caption: 'a', question: 'q' },
    ...{ options: 'A. x\nB. y', statements: ['x', 'y'], correct_answer: 'A', predicted_answer: 'A' },
    ...{ confidence_score: 0.5, all_scores: [0.5, 0.25], is_correct: true },
  };
  const accuracy_statistics = {
    ...{ overall_accuracy: 1, total_correct: 1, total_samples: 1, overall: accuracy, combined_accuracy: {} },
    ...{ caption_type_accuracy: { image: accuracy }, question_type_accuracy: { OCR: accuracy } },
  };
  const summary = { accuracy_statistics, average_confidence: 0.5, ties: 0, complete: true };
  const state = sharedState(initialState(BASE), subsetOf(initialState(BASE)));
  const settings = { feature: 'layer(2)', pooling: 'mean', layer_weights: [0, 1], reference_precision: false };
  const page = {
    ...{ prompts: ['a'], hint: '', settings, subset: state.subset, wanted: 'cpu', adapter: 'x.pt', fragment: '#v=1' },
    ...{ model: { kind: 'url', name: 'https://h/a.gguf' }, data: { name: 'ted.json', sample: false }, item: null },
    options: { quantize: 'q8', arithmetic: 'f32', special_tokens: 'none', budget_mb: 100, streamed: false },
  };
  return { page, imported: [{ name: 'r.json', report: { summary, results: [item], provenance: {} }, sample: false }] };
};

test('kept state of any shape is left out, or is one that can be shown and shared', async () => {
  const dataset = (/** @type {string} */ name) => ({ name, sample: false, read: () => assert.fail('not needed') });
  let taken = 0;
  for (let at = 0; at < 1500; at++) {
    const fake = fakeDatabase();
    for (const [name, value] of Object.entries(at ? spoil(KEPT()) : KEPT()))
      fake.tables.set(`kept ${JSON.stringify(name)}`, { version: 1, value });
    const kept = await new Keeper(fake.open, (message) => assert.fail(message)).read();
    const state = initialState(BASE);
    restore(state, kept, { base: BASE, linked: below(3) === 0, dataset });
    if (kept.page) taken++;
    if (at === 0) assert.ok(kept.page && kept.imported);
    for (const { report } of reportsOf(state)) {
      countOutcomes(report.results);
      for (const { statements, all_scores: scores, correct_answer: right } of report.results) {
        assert.ok(statements.length === 0 || statements.length === scores.length);
        assert.ok(optionIndex(right) < scores.length);
      }
    }
    try {
      encodeState(sharedState(state, subsetOf(state)));
    } catch (error) {
      assert.match(String(error), /too long|too many/);
    }
  }
  assert.ok(taken > 100);
});

test('kept reports of any shape are left out, or every view can draw them', async () => {
  let drawings = 0;
  for (let at = 0; at < 400; at++) {
    const whole = hostileState(pick(['x', HOSTILE]));
    const { imported, outcome, study, browse, item } = whole;
    const fake = fakeDatabase();
    for (const [name, value] of Object.entries(at ? spoil({ imported, outcome, study }) : { imported, outcome, study }))
      fake.tables.set(`kept ${JSON.stringify(name)}`, { version: 1, value });
    const kept = await new Keeper(fake.open, (message) => assert.fail(message)).read();
    const state = initialState(BASE);
    restore(state, kept, { base: BASE, linked: false, dataset: () => assert.fail('not needed') });
    if (at === 0) assert.ok(state.imported.length && state.outcome && state.study);
    const texts = drawn({ ...state, browse, item, board: whole.board });
    for (const { id, text } of texts) assert.doesNotMatch(text, /undefined|NaN|\[object/, `#${id}`);
    drawings += Number(state.imported.length > 0) + Number(state.outcome !== null) + Number(state.study !== null);
  }
  assert.ok(drawings > 300, `${drawings}`);
});
