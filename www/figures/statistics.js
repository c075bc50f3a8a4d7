// The statistics that the page computes itself; those of reports come from the wasm module.

const Z = 1.959963984540054; // the normal distribution's 97.5 % point

/**
 * Wilson's 95 % interval of an accuracy over n items; reports of this page carry their own.
 * @param {number} accuracy
 * @param {number} n
 * @returns {[number, number]}
 */
export function wilson(accuracy, n) {
  const middle = (accuracy + Z ** 2 / (2 * n)) / (1 + Z ** 2 / n);
  const half = (Z / (1 + Z ** 2 / n)) * Math.sqrt((accuracy * (1 - accuracy)) / n + Z ** 2 / (4 * n ** 2));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}

/** Pearson's correlation r of pairs. @param {[number, number][]} pairs */
export function pearson(pairs) {
  const mean = (/** @type {number} */ at) => pairs.reduce((sum, pair) => sum + pair[at], 0) / pairs.length;
  const [mx, my] = [mean(0), mean(1)];
  const product = (/** @type {(dx: number, dy: number) => number} */ of) =>
    pairs.reduce((sum, [x, y]) => sum + of(x - mx, y - my), 0);
  return product((dx, dy) => dx * dy) / Math.sqrt(product((dx) => dx * dx) * product((_, dy) => dy * dy));
}

/** The softmax of weights. @param {number[]} weights w [L] @returns {Float64Array} alpha [L], with the sum 1 */
export function softmax(weights) {
  const most = Math.max(...weights);
  const exponentials = Float64Array.from(weights, (weight) => Math.exp(weight - most));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}
