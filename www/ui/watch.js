// The memory of a view: what it has shown already, so that it draws only what is new.

/** Makes a function that tells whether its values differ from those of the call before; the first call's always do. */
export function watch() {
  /** @type {unknown[] | null} */
  let before = null;
  return (/** @type {unknown[]} */ ...values) => {
    const same = before?.length === values.length && values.every((value, at) => value === before?.[at]);
    before = values;
    return !same;
  };
}
