// Reads where a report came from.

/** @import { Report } from '../types/wasm' */

/**
 * The value at a path of the report's provenance, as bounded text: a report may come from anybody. '' where there is
 * none.
 * @param {Report} report
 * @param {...string} path
 */
export function origin({ provenance }, ...path) {
  let value = /** @type {any} */ (provenance);
  for (const key of path)
    value = value !== null && typeof value === 'object' && Object.hasOwn(value, key) ? value[key] : null;
  return typeof value === 'string' || Number.isFinite(value) ? String(value).slice(0, 120) : '';
}
