// What the state says about the storage of models.

/** @import { State } from './state' */

/**
 * The bytes that the browser still grants; null if it does not tell, or keeps nothing.
 * @param {State['stored']} stored
 */
export function roomOf({ quota, usage, refused }) {
  return refused || quota === null || usage === null ? null : Math.max(0, quota - usage);
}
