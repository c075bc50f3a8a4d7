// The benchmark: the worker measures within a budget of seconds. `?bench` in the address begins it, `?bench=20` with 20 seconds.

/** @import { Methods } from './types' */
/** @import { Section, State } from './state.js' */

export const SECONDS = 60;
const MOST_SECONDS = 3600;

/**
 * @typedef {object} Lent what the app lends
 * @property {State} state
 * @property {() => void} changed
 * @property {(section: Section, work: (signal: AbortSignal) => Promise<void>) => Promise<void>} work one task at a time
 * @property {<M extends keyof Methods>(method: M, params: Methods[M]['params'], options?: { progress?: (value: Methods[M]['progress']) => void, signal?: AbortSignal }) => Promise<Methods[M]['result']>} call
 * @property {(signal: AbortSignal) => Promise<void>} ensureModel
 */

export class Benchmark {
  #app;

  /** @param {Lent} app */
  constructor(app) {
    this.#app = app;
  }

  /** As the address asks for. @param {string} seconds '': as many as on the page */
  async begin(seconds) {
    const { state, changed } = this.#app;
    if (seconds === '') return this.run();
    try {
      state.bench.seconds = readSeconds(seconds);
    } catch (error) {
      state.errors.bench = error instanceof Error ? error.message : String(error);
      return changed();
    }
    await this.run();
  }

  /** @param {string} text of the field */
  setSeconds(text) {
    const { state, changed } = this.#app;
    state.errors.bench = '';
    try {
      state.bench.seconds = readSeconds(text);
    } catch (error) {
      state.errors.bench = error instanceof Error ? error.message : String(error);
    }
    changed();
  }

  /** Load the model, where it is not, and measure; stopped early, the figures so far are shown. */
  run() {
    const { state, changed, work, call, ensureModel } = this.#app;
    return work('bench', async (signal) => {
      const { seconds } = state.bench;
      Object.assign(state.bench, { report: null, progress: null });
      try {
        await ensureModel(signal);
        state.bench.report = await call('bench', { seconds }, {
          signal,
          progress: (progress) => {
            state.bench.progress = progress;
            changed();
          },
        });
      } finally {
        state.bench.progress = null;
      }
    });
  }
}

/** @param {string} text */
export function readSeconds(text) {
  const seconds = text.trim() === '' ? NaN : Number(text);
  if (!(seconds >= 1 && seconds <= MOST_SECONDS)) throw new Error(`\`${text.slice(0, 20)}\` is no budget of the benchmark, expected 1 to ${MOST_SECONDS} seconds.`);
  return seconds;
}
