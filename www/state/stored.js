// The room that the browser's storage has.

/** @import { State } from './state' */

/**
 * Bytes that the browser still grants; null where it does not tell, or keeps nothing.
 * @param {State['stored']} stored
 */
export function roomOf({ quota, usage, refused }) {
  return refused || quota === null || usage === null ? null : Math.max(0, quota - usage);
}
