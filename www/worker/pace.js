// How long cancelled work may take to end by itself. Work in steps ends with its current step and then has a partial
// result: it may take twice as long as its longest step so far. After ten seconds a page seems to hang.

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

  /** Records that a step is done. */
  step() {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#at);
    this.#at = now;
  }

  /** The ms that cancelled work may take. @param {boolean} stepwise whether it goes in steps */
  patience(stepwise) {
    return stepwise ? Math.min(Math.max(2 * this.#longest, LEAST), MOST) : PATIENCE;
  }
}
