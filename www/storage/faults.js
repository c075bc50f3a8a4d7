// Sentences for what can be wrong with a stored file.
import { named } from '../worker/errors.js';

/** @param {string} url @param {string} found @param {string} expected @param {boolean} stored */
export function wrongHash(url, found, expected, stored) {
  const advice = stored ? ' Delete it under Stored models, or load it from another place.' : '';
  return named(
    'WrongHash',
    `\`${url}\` is not the file that was expected: its SHA-256 is ${found}, expected ${expected}.${advice}`,
  );
}

/**
 * @param {string} name
 * @param {[number, number][]} ranges ranges of bytes
 * @param {string} [held] the reason why they can't be dropped now
 */
export function damagedText(name, ranges, held = '') {
  const [[start, end], ...rest] = ranges;
  const more = rest.length ? ` and ${rest.length} more pieces` : '';
  const next = held
    ? `They can't be dropped now (${held}): verify the file under Stored models.`
    : 'They are dropped; loading the model fetches them again.';
  return `\`${name}\` is damaged in the browser's storage: bytes ${start} to ${end - 1}${more} are no longer what was downloaded. ${next}`;
}
