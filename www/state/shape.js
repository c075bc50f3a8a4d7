// Shapes: small checks that are put together to validate what comes out of the browser's storage.
//   record({ name: text, layers: list(number) })(value)

/** @typedef {(value: any) => boolean} Shape */

/** @type {Shape} */
export const text = (value) => typeof value === 'string';
/** @type {Shape} */
export const flag = (value) => typeof value === 'boolean';
/** @type {Shape} */
export const number = (value) => Number.isFinite(value);
/** @type {Shape} */
export const floats = (value) => value instanceof Float32Array;
/** A whole number from 0 on. @type {Shape} */
export const amount = (value) => Number.isSafeInteger(value) && value >= 0;

/** @param {Shape} shape @returns {Shape} */
export const maybe = (shape) => (value) => value === null || shape(value);

/** @param {...unknown} values @returns {Shape} */
export const one =
  (...values) =>
  (value) =>
    values.includes(value);

/** A text that `read` takes without throwing. @param {(value: string) => unknown} read @returns {Shape} */
export const readable = (read) => (value) => {
  try {
    return typeof value === 'string' && read(value) !== undefined;
  } catch {
    return false;
  }
};

/** @param {Shape} shape @param {number} [most] @returns {Shape} */
export const list =
  (shape, most = Infinity) =>
  (value) =>
    Array.isArray(value) && value.length <= most && Array.from(value).every(shape); // `every` passes over holes

/** An object with these fields; others are allowed. @param {Record<string, Shape>} fields @returns {Shape} */
export const record = (fields) => (value) =>
  isObject(value) && Object.entries(fields).every(([name, shape]) => Object.hasOwn(value, name) && shape(value[name]));

/** An object whose every value has the shape. @param {Shape} shape @returns {Shape} */
export const map = (shape) => (value) => isObject(value) && Object.values(value).every(shape);

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
