// Mixes layers in the page, from the products of pooled, normalized layers P (types/wasm.d.ts: LayerProducts,
// LayerStudy):
//   alpha = softmax(w)                                                        [L]
//   dot(i, j) = alpha' P_ij alpha,  cosine = dot(i, j) / sqrt(dot(i, i) dot(j, j))
// Pooling without an adapter is linear in the layers, so these are the encoder's results for `weighted`, without a
// pass.
import { softmax } from './statistics.js';

/** @import { LayerProducts, LayerStudy } from '../types/wasm' */

/**
 * The cosines of the prompts under `weights`.
 * @param {LayerProducts} products
 * @param {number[]} weights w [L]
 * @returns {Float32Array} [B * B]
 */
export function mixPrompts({ prompts, num_hidden_layers: layers, products }, weights) {
  const alpha = softmax(weights);
  const dots = new Float64Array(prompts * prompts);
  for (let first = 0; first < prompts; first++) {
    for (let second = first; second < prompts; second++) {
      dots[first * prompts + second] = dots[second * prompts + first] = quadratic(
        products,
        (first * prompts * layers + second) * layers,
        prompts * layers,
        alpha,
      );
    }
  }
  return Float32Array.from(dots, (dot, at) => {
    const [first, second] = [Math.floor(at / prompts), at % prompts];
    return first === second ? 1 : cosine(dot, dots[first * (prompts + 1)], dots[second * (prompts + 1)]);
  });
}

/**
 * Scores the study's items under `weights`. The first maximum wins, as in the evaluator.
 * @param {LayerStudy} study
 * @param {number[]} weights w [L]
 * @returns {{ correct: number, total: number, ties: number } | null} null where the study has no products
 */
export function mixStudy({ items, num_hidden_layers: layers, products }, weights) {
  if (!products) return null;
  const alpha = softmax(weights);
  const block = layers * layers;
  let [start, correct, ties] = [0, 0, 0];
  for (const item of items) {
    const dot = (/** @type {number} */ at) => quadratic(products, start + at * block, layers, alpha);
    const caption = dot(0);
    const scores = Array.from({ length: item.options }, (_, option) =>
      Math.fround(cosine(dot(2 + 2 * option), dot(1 + 2 * option), caption)),
    );
    const best = Math.max(...scores);
    if (scores.indexOf(best) === item.correct) correct++;
    if (scores.filter((score) => score === best).length > 1) ties++;
    start += (1 + 2 * item.options) * block;
  }
  return { correct, total: items.length, ties };
}

/**
 * alpha' P alpha of the block [L, L] that begins at `start`, rows `stride` apart.
 * @param {Float32Array} P
 * @param {number} start
 * @param {number} stride
 * @param {Float64Array} alpha
 */
function quadratic(P, start, stride, alpha) {
  let sum = 0;
  for (let row = 0; row < alpha.length; row++) {
    let inner = 0;
    for (let column = 0; column < alpha.length; column++) inner += P[start + row * stride + column] * alpha[column];
    sum += alpha[row] * inner;
  }
  return sum;
}

/** @param {number} dot @param {number} first |a|^2 @param {number} second |b|^2 */
function cosine(dot, first, second) {
  const square = first * second;
  return square > 0 ? dot / Math.sqrt(square) : 0;
}
