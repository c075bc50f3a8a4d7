// SHA-256 as 64 hexadecimal digits. Large pieces are hashed by hasher.js, in a worker.

/**
 * Hashes something small.
 * @see https://developer.mozilla.org/docs/Web/API/SubtleCrypto/digest
 * @param {Uint8Array} bytes */
export async function sha256(bytes) {
  return hex(await crypto.subtle.digest('SHA-256', /** @type {Uint8Array<ArrayBuffer>} */ (bytes)));
}

/** Bytes as hexadecimal digits. @param {ArrayBuffer} bytes */
export function hex(bytes) {
  return [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Whether it is a SHA-256 of 64 hexadecimal digits. @param {unknown} value @returns {value is string} */
export function isSha256(value) {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value);
}
