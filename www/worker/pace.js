// How long cancelled work may take to end by itself. Work in steps ends with its step and then has a partial result, so
// it may take as long as its longest step so far, twice; a page that waits for more than ten seconds seems to hang.

const PATIENCE = 700; // ms, for work without steps, which has nothing to hand over
const LEAST = 1000;
const MOST = 10_000;

export class Pace {
  #at = 0;
  #longest = 0;

  begin() {
    this.#at = performance.now();
    this.#longest = 0;
  }

  /** A step is done. */
  step() {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#at);
    this.#at = now;
  }

  /** ms @param {boolean} stepwise */
  patience(stepwise) {
    return stepwise ? Math.min(Math.max(2 * this.#longest, LEAST), MOST) : PATIENCE;
  }
}
