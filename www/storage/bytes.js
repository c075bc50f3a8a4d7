// Pieces of bytes put together.

/**
 * Joins parts into one array.
 * @param {Uint8Array[]} parts
 * @param {number} size the sum of their lengths
 */
export function joined(parts, size) {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
