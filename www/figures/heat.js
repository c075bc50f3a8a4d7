// The scale of the heat map. It is stretched over the values off the diagonal, which lie close together for a text
// encoder.

/**
 * @typedef {{ low: number, high: number, digits: number }} Scale
 * @typedef {{ first: number, second: number, value: number }} Pair
 */

/**
 * The pairs of different prompts that are most and least alike.
 * @param {Float32Array} similarity [B * B]
 * @param {number} count B, at least 2
 */
export function extremes(similarity, count) {
  /** @type {Pair[]} */
  const pairs = [];
  for (let first = 0; first < count; first++) {
    for (let second = first + 1; second < count; second++)
      pairs.push({ first, second, value: similarity[first * count + second] });
  }
  pairs.sort((a, b) => a.value - b.value);
  return { least: pairs[0], most: pairs[pairs.length - 1] };
}

/** @param {Pair} least @param {Pair} most @returns {Scale} with four digits where three would hide the differences */
export function scaleOf(least, most) {
  return { low: least.value, high: most.value, digits: most.value - least.value < 0.02 ? 4 : 3 };
}

/**
 * The place of `value` on the scale, 0 to 1; 0.5 if all values are the same.
 * @param {Scale} scale
 * @param {number} value
 */
export function position({ low, high }, value) {
  if (high === low) return 0.5;
  return Math.min(Math.max((value - low) / (high - low), 0), 1);
}
