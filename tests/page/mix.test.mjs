// Mixing layers from their products gives what mixing the layers themselves gives, at once.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mixPrompts, mixStudy } from '../../www/figures/mix.js';
import { softmax } from '../../www/figures/statistics.js';

/** @import { LayerStudy } from '../../www/types/wasm' */

/** Random numbers that are equal in each run. @param {number} seed */
function noise(seed) {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed / 2 ** 32 - 0.5;
  };
}

/** The pooled layers of one text [L][D]. @param {() => number} next @param {number} layers @param {number} width */
const textOf = (next, layers, width) => Array.from({ length: layers }, () => Array.from({ length: width }, next));

/** @param {number[]} a @param {number[]} b */
const dot = (a, b) => a.reduce((sum, value, at) => sum + value * b[at], 0);

/**
 * The slow twin: mixes the layers, then compares.
 * @param {number[][]} first
 * @param {number[][]} second
 * @param {number[]} weights
 */
function cosineOf(first, second, weights) {
  const sum = weights.reduce((total, weight) => total + Math.exp(weight), 0);
  const mix = (/** @type {number[][]} */ text) =>
    text[0].map((_, at) => text.reduce((total, layer, l) => total + (Math.exp(weights[l]) / sum) * layer[at], 0));
  const [a, b] = [mix(first), mix(second)];
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** [L * L] @param {number[][]} first @param {number[][]} second */
const block = (first, second) => first.flatMap((a) => second.map((b) => dot(a, b)));

/** @param {number[][][]} texts */
function productsOf(texts) {
  const rows = texts.flat();
  return {
    prompts: texts.length,
    num_hidden_layers: texts[0].length,
    products: Float32Array.from(block(rows, rows)),
    tokens: [],
    milliseconds: 0,
  };
}

/**
 * @param {{ caption: number[][], statements: number[][][], correct: number }[]} items
 * @param {number} layers
 * @returns {LayerStudy}
 */
function studyOf(items, layers) {
  const products = items.flatMap(({ caption, statements }) => [
    ...block(caption, caption),
    ...statements.flatMap((each) => [...block(each, each), ...block(caption, each)]),
  ]);
  return {
    pooling: 'mean',
    features: [],
    num_hidden_layers: layers,
    layer_weights: null,
    products: Float32Array.from(products),
    tokens: 0,
    texts: 0,
    milliseconds: 0,
    items: items.map(({ statements, correct }) => ({
      caption_type: 'image',
      question_type: 'OCR',
      options: statements.length,
      correct,
    })),
    subset: { id: '', definition: '' },
    complete: true,
    provenance: {},
  };
}

test('softmax sums to one, whatever is added to the weights, and does not overflow', () => {
  assert.deepEqual([...softmax([0, 0])], [0.5, 0.5]);
  const [a, b] = [softmax([1, 2, 3]), softmax([1001, 1002, 1003])];
  a.forEach((value, at) => assert.ok(Math.abs(value - b[at]) < 1e-15));
  assert.ok(Math.abs(a.reduce((sum, value) => sum + value) - 1) < 1e-15);
});

test('the matrix of a mix is that of the mixed layers', () => {
  const next = noise(1);
  const texts = Array.from({ length: 5 }, () => textOf(next, 7, 11));
  for (const weights of [Array(7).fill(0), [4, -4, 0, 1, 2, -1, 0.3], [0, 0, 0, 60, 0, 0, 0]]) {
    const similarity = mixPrompts(productsOf(texts), weights);
    texts.forEach((first, row) =>
      texts.forEach((second, column) => {
        assert.ok(
          Math.abs(similarity[row * 5 + column] - cosineOf(first, second, weights)) < 1e-5,
          `${row}, ${column}`,
        );
      }),
    );
    assert.deepEqual(
      [0, 6, 12, 18, 24].map((at) => similarity[at]),
      [1, 1, 1, 1, 1],
    );
  }
});

test('a text without direction is like none', () => {
  const [zero, other] = [textOf(() => 0, 2, 3), textOf(noise(2), 2, 3)];
  assert.deepEqual([...mixPrompts(productsOf([zero, other]), [0, 1])], [1, 0, 0, 1]);
});

test('the score of a mix is that of the mixed layers, for items of different numbers of options', () => {
  const next = noise(3);
  const items = [4, 2, 8, 4, 3, 4, 4, 4].map((options, at) => ({
    caption: textOf(next, 6, 9),
    statements: Array.from({ length: options }, () => textOf(next, 6, 9)),
    correct: at % options,
  }));
  const study = studyOf(items, 6);
  for (const weights of [Array(6).fill(0), [3, -1, 0, 2, -2, 0]]) {
    const right = items.filter(({ caption, statements, correct }) => {
      const scores = statements.map((each) => cosineOf(caption, each, weights));
      return scores.indexOf(Math.max(...scores)) === correct;
    });
    assert.deepEqual(mixStudy(study, weights), { correct: right.length, total: items.length, ties: 0 });
  }
  assert.equal(mixStudy({ ...study, products: null }, Array(6).fill(0)), null);
});

test('of equal scores the first wins, and the tie is counted', () => {
  const next = noise(4);
  const [caption, same, far] = [
    textOf(next, 3, 5),
    textOf(next, 3, 5),
    textOf(next, 3, 5).map((layer) => layer.map((value) => -value)),
  ];
  const item = { caption, statements: [far, caption, caption, same], correct: 1 };
  assert.deepEqual(mixStudy(studyOf([item, { ...item, correct: 2 }], 3), [0, 1, 2]), { correct: 1, total: 2, ties: 2 });
});

test('eight prompts of 36 layers, and a study of 90 items, are mixed well within 100 ms', () => {
  const [prompts, layers] = [8, 36];
  const next = noise(5);
  const products = Float32Array.from({ length: (prompts * layers) ** 2 }, next);
  const study = studyOf([], layers);
  Object.assign(study, {
    items: Array(90).fill({ caption_type: '', question_type: '', options: 4, correct: 0 }),
    products: Float32Array.from({ length: 90 * 9 * layers ** 2 }, next),
  });
  const weights = Array.from({ length: layers }, next);
  const started = performance.now();
  mixPrompts({ prompts, num_hidden_layers: layers, products, tokens: [], milliseconds: 0 }, weights);
  mixStudy(study, weights);
  assert.ok(performance.now() - started < 100, `${performance.now() - started} ms`);
});
