// Random numbers from a seed, equal on every machine (mulberry32).

/** @param {number} seed @returns {() => number} from 0 to 1 */
export function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let bits = Math.imul(state ^ (state >>> 15), 1 | state);
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits;
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Random bytes from a seed. @param {number} seed @param {number} size */
export function randomBytes(seed, size) {
  const next = random(seed);
  return Uint8Array.from({ length: size }, () => 256 * next());
}
