// The pure parts of reports and the leaderboard: margins, outcomes, filters, which items are the same, intervals, what
// is comparable.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { formatInterval, formatP } from '../../www/figures/format.js';
import { origin } from '../../www/figures/provenance.js';
import { COLUMNS, differences, downstream, PUBLISHED_ITEMS } from '../../www/figures/published.js';
import { pearson, wilson } from '../../www/figures/statistics.js';
import {
  countOutcomes,
  isSameItem,
  margin,
  outcomeOf,
  pairOf,
  reportsOf,
  resultsOf,
  selectItems,
} from '../../www/state/reports.js';

/** @import { NamedReport } from '../../www/state/state' */
/** @import { ItemResult, Report } from '../../www/types/wasm' */

const BROWSE = /** @type {const} */ ({
  report: 'run',
  caption_type: '',
  question_type: '',
  outcome: '',
  sort: 'index',
  page: 0,
});

/**
 * @param {number} index
 * @param {number[]} all_scores
 * @param {string} correct_answer
 * @param {Partial<ItemResult>} [more]
 * @returns {ItemResult}
 */
function item(index, all_scores, correct_answer, more = {}) {
  const predicted = all_scores.indexOf(Math.max(...all_scores));
  return {
    index,
    all_scores,
    correct_answer,
    caption_key: `image_${index}`,
    caption_type: 'image',
    question_type: 'OCR',
    caption: '',
    question: '',
    options: '',
    statements: all_scores.map((_, at) => `statement ${at}`),
    predicted_answer: 'ABCDEFGH'[predicted],
    confidence_score: all_scores[predicted],
    is_correct: 'ABCDEFGH'[predicted] === correct_answer,
    ...more,
  };
}

/**
 * @param {ItemResult[]} results
 * @param {Report['provenance']} [provenance]
 * @param {number} [total]
 * @returns {Report}
 */
function report(results, provenance = null, total = results.length) {
  const overall = {
    accuracy: 0.5,
    correct: total / 2,
    total,
    interval: /** @type {[number, number]} */ ([0.4, 0.6]),
    chance: 0.25,
  };
  const accuracy_statistics = {
    overall_accuracy: 0.5,
    total_correct: total / 2,
    total_samples: total,
    overall,
    caption_type_accuracy: {},
    question_type_accuracy: {},
    combined_accuracy: {},
  };
  return { summary: { accuracy_statistics, average_confidence: 0, ties: 0, complete: true }, results, provenance };
}

/** @param {string} id @param {Report} of @param {boolean} [sample] @returns {NamedReport} */
const named = (id, of, sample = false) => ({ id, name: id, report: of, sample });

const right = item(0, [0.5, 0.25, 0.125], 'A');
const wrong = item(1, [0.5, 0.25, 0.125], 'C', { question_type: 'Adverb' });
const tieRight = item(2, [0.5, 0.5, 0.25], 'A', { caption_type: 'video' });
const tieWrong = item(3, [0.5, 0.5, 0.25], 'B');
const tieBelow = item(4, [0.75, 0.5, 0.5], 'A');
const all = [right, wrong, tieRight, tieWrong, tieBelow];

test("the margin is the right statement's score less the best wrong one", () => {
  assert.deepEqual(all.map(margin), [0.25, -0.375, 0, 0, 0.25]);
  assert.equal(margin(item(0, [-0.5, -0.25], 'B')), 0.25);
});

test('a tie is two statements or more at the top, however it is counted', () => {
  assert.deepEqual(all.map(outcomeOf), ['right', 'wrong', 'tie', 'tie', 'right']);
  assert.deepEqual(countOutcomes(all), { right: 2, wrong: 1, tie: 2 });
});

test("items are filtered by types and outcome, in the data set's order or by margin", () => {
  const indices = (/** @type {object} */ browse) =>
    selectItems(all, { ...BROWSE, ...browse }).map(({ index }) => index);
  assert.deepEqual(indices({}), [0, 1, 2, 3, 4]);
  assert.deepEqual(indices({ caption_type: 'video' }), [2]);
  assert.deepEqual(indices({ question_type: 'Adverb' }), [1]);
  assert.deepEqual(indices({ outcome: 'tie' }), [2, 3]);
  assert.deepEqual(indices({ outcome: 'wrong' }), [1]);
  assert.deepEqual(indices({ outcome: 'right', caption_type: 'video' }), []);
  assert.deepEqual(indices({ sort: 'lowest' }), [1, 2, 3, 0, 4]);
  assert.deepEqual(indices({ sort: 'highest' }), [0, 4, 2, 3, 1]);
  assert.deepEqual(indices({ sort: 'highest', question_type: 'OCR', outcome: 'tie' }), [2, 3]);
});

test('all of TED-6K is filtered and sorted within a frame or three', () => {
  const many = Array.from({ length: PUBLISHED_ITEMS }, (_, at) =>
    item(at, [Math.sin(at), Math.sin(2 * at), Math.sin(3 * at), Math.sin(5 * at)], 'ABCD'[at % 4]),
  );
  const started = performance.now();
  assert.equal(selectItems(many, { ...BROWSE, sort: 'lowest' }).length, PUBLISHED_ITEMS);
  const { right: yes, wrong: no, tie } = countOutcomes(many);
  assert.equal(yes + no + tie, PUBLISHED_ITEMS);
  // it takes 15 ms on a fast machine; a slow one should not fail
  assert.ok(performance.now() - started < 500, `${performance.now() - started} ms`);
});

test('items of one name in two data sets are not taken for one', () => {
  const shuffled = item(0, [0.1, 0.2, 0.3], 'C', { statements: ['statement 2', 'statement 0', 'statement 1'] });
  const foreign = item(0, [0.1, 0.2, 0.3], 'C', { statements: ['another', 'and another', 'a third'] });
  assert.ok(isSameItem(right, shuffled));
  assert.ok(!isSameItem(right, foreign));
  assert.ok(!isSameItem(right, item(0, [1, 2], 'A')));

  const reports = [
    named('a', report([foreign])),
    named('b', report([wrong, right])),
    named('c', report([shuffled])),
    named('d', report([wrong])),
  ];
  const open = { caption_key: 'image_0', question_type: 'OCR', item: null, from: ['b', 'c'], called: true };
  assert.deepEqual(
    resultsOf(open, reports).map(({ named: { id } }) => id),
    ['b', 'c'],
  );
  assert.deepEqual(
    resultsOf({ ...open, from: [] }, reports).map(({ named: { id } }) => id),
    ['a'],
  );
  assert.deepEqual(
    resultsOf({ ...open, from: [], item: right }, reports).map(({ named: { id } }) => id),
    ['b', 'c'],
  );
  assert.deepEqual(
    resultsOf({ ...open, from: ['gone'], item: foreign }, reports).map(({ named: { id } }) => id),
    ['a'],
  );
  assert.deepEqual(resultsOf({ ...open, caption_key: 'image_9' }, reports), []);
});

test("a report's provenance is read as a stranger's", () => {
  const of = (/** @type {any} */ provenance) => report([], provenance);
  assert.equal(origin(of({ model: { name: 'Tiny' } }), 'model', 'name'), 'Tiny');
  assert.equal(origin(of({ model: { name: 'x'.repeat(1000) } }), 'model', 'name').length, 120);
  for (const provenance of [null, {}, [], { model: null }, { model: 'Tiny' }, { model: { name: { toString: 1 } } }])
    assert.equal(origin(of(provenance), 'model', 'name'), '');
  assert.equal(origin(of({}), 'constructor', 'name'), '');
});

test("the page's run comes first, once it has items", () => {
  const imported = [named('report-1', report([right]))];
  const settings = /** @type {const} */ ({
    feature: 'last',
    pooling: 'mean',
    layer_weights: null,
    reference_precision: false,
  });
  const outcome = { report: report([right]), settings, sample: true, file: 'ted-sample.json', model: 'Tiny' };
  const ids = (/** @type {any} */ state) => reportsOf(state).map(({ id }) => id);
  assert.deepEqual(ids({ outcome, imported }), ['run', 'report-1']);
  assert.deepEqual(ids({ outcome: null, imported }), ['report-1']);
  assert.deepEqual(ids({ outcome: { ...outcome, report: report([]) }, imported }), ['report-1']);
});

test('the two to compare are those chosen, where they are there, else the first two', () => {
  const reports = ['a', 'b', 'c'].map((id) => named(id, report([])));
  const pair = (/** @type {string} */ first, /** @type {string} */ second) =>
    Object.values(pairOf({ first, second }, reports)).join('');
  assert.deepEqual(
    [pair('', ''), pair('c', ''), pair('', 'a'), pair('run', 'c'), pair('c', 'b'), pair('b', 'b')],
    ['ab', 'ca', 'ba', 'ac', 'cb', 'bb'],
  );
  assert.deepEqual(pairOf({ first: 'run', second: '' }, []), { first: '', second: '' });
});

test("Wilson's interval: the accuracies from which the one found is 1.96 standard errors away", () => {
  for (const [correct, total] of [
    [5, 10],
    [230, 388],
    [3773, PUBLISHED_ITEMS],
    [1, 3],
  ]) {
    const accuracy = correct / total;
    for (const bound of wilson(accuracy, total))
      assert.ok(Math.abs(Math.abs(accuracy - bound) / Math.sqrt((bound * (1 - bound)) / total) - 1.959964) < 1e-6);
  }
  const near = (/** @type {[number, number]} */ interval, /** @type {[number, number]} */ wanted) =>
    interval.forEach((value, at) => assert.ok(Math.abs(value - wanted[at]) < 1e-6, `${interval} is not ${wanted}`));
  near(wilson(0, 10), [0, 0.277533]);
  near(wilson(1, 10), [0.722467, 1]);
  const [low, high] = wilson(0.5681, PUBLISHED_ITEMS);
  assert.ok(low < 0.5681 && 0.5681 < high && high - low > 0.023 && high - low < 0.025);
  assert.deepEqual([formatInterval([0.371, 0.674]), formatInterval([0, 1])], ['[37.1, 67.4]', '[0.0, 100.0]']);
  assert.deepEqual([1, 0.0491, 0.0005, 0.0004].map(formatP), ['1.000', '0.049', '0.001', '<0.001']);
});

test('the published figures are whole: columns, percentages, downstream pairs', async () => {
  /** @type {import('../../www/figures/published.js').Leaderboard} */
  const board = JSON.parse(await readFile(new URL('../../www/data/leaderboard.json', import.meta.url), 'utf8'));
  assert.deepEqual(Object.keys(board.columns), [...COLUMNS]);
  assert.equal(board.rows.length, 19);
  for (const row of board.rows) {
    const figures = COLUMNS.flatMap((column) => row[column] ?? []);
    assert.ok(figures.length > 0 && figures.every((figure) => figure > 25 && figure < 100), row.model);
  }
  assert.deepEqual(
    board.rows.filter(({ provenance }) => provenance === 'log').map(({ model }) => model),
    ['Llama-3-8B-Instruct'],
  );
  const pairs = /** @type {const} */ (['T2I', 'T2V']).map((task) => downstream(board, task));
  assert.deepEqual(
    pairs.map((points) => points.length),
    [8, 5],
  );
  assert.deepEqual(
    pairs
      .flat()
      .filter(({ ted }) => ted === null)
      .map(({ layers }) => layers),
    ['two-step weighted'],
  );
});

test("Pearson's r", () => {
  assert.ok(
    Math.abs(
      pearson([
        [1, 2],
        [2, 4],
        [3, 6],
      ]) - 1,
    ) < 1e-12,
  );
  assert.ok(
    Math.abs(
      pearson([
        [1, 6],
        [2, 4],
        [3, 2],
      ]) + 1,
    ) < 1e-12,
  );
  assert.ok(
    Math.abs(
      pearson([
        [1, 1],
        [2, 3],
        [3, 2],
        [4, 5],
      ]) - 0.831522,
    ) < 1e-6,
  );
});

test('a report stands beside a column only with its items, its layers and its pooling', () => {
  const of = (/** @type {string} */ feature, /** @type {string} */ pooling, total = PUBLISHED_ITEMS) =>
    named('x', report([], { feature, pooling }, total));
  const same = /** @type {const} */ ([
    ['norm_avg', 'attention', 'norm_avg'],
    ['last', 'adapter', 'last'],
    ['weighted', 'attention', 'weighted'],
    ['norm_avg', 'mean', 'mean_pool'],
    ['last', 'mean', 'mean_pool'],
  ]);
  for (const [feature, pooling, column] of same)
    assert.deepEqual(differences(of(feature, pooling), column), [], `${feature} + ${pooling}`);

  assert.deepEqual(differences(of('norm_avg', 'mean'), 'norm_avg'), ['no trained adapter']);
  assert.deepEqual(differences(of('last', 'last_token'), 'norm_avg'), ['no trained adapter', 'layers: last']);
  assert.deepEqual(differences(of('last', 'attention'), 'norm_avg'), ['layers: last']);
  assert.deepEqual(differences(of('last', 'mean_mlp'), 'last'), ['a mean + MLP adapter, not attention pooling']);
  assert.deepEqual(differences(of('norm_avg', 'attention'), 'mean_pool'), ['a trained adapter']);
  assert.deepEqual(differences(of('norm_avg', 'last_token'), 'mean_pool'), ['last-token pooling']);
  assert.deepEqual(differences(of('norm_avg', 'mean', 388), 'mean_pool'), ['388 of 6,641 items']);
  assert.deepEqual(differences(named('x', report([], { feature: 'last', pooling: 'mean' }, 40), true), 'last'), [
    "the page's sample, not TED-6K",
    'no trained adapter',
  ]);
  assert.deepEqual(differences(named('x', report([], null, PUBLISHED_ITEMS)), 'last'), [
    'its settings are not in the report',
  ]);
});
