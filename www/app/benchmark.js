// The benchmark: the worker measures within a budget of seconds. `?bench` in the address begins it, `?bench=20` with 20
// seconds, `?bench=20&tokens=64,2048` with texts of these lengths. The model of a link or of the last visit is not
// fetched for that: it waits for a click.
import { formatBytes } from '../figures/format.js';
import { messageOf } from '../worker/errors.js';

/** @import { State } from '../state/state' */
/** @import { Lending } from './lending' */

const MOST_SECONDS = 3600;
const MOST_TOKENS = 32_768;
const MOST_LENGTHS = 8;

export class Benchmark {
  #app;

  /** @param {Lending} app */
  constructor(app) {
    this.#app = app;
  }

  /**
   * Runs the benchmark that the address asks for, with the model that comes with the page; with another one it is only
   * prepared, and the page says from where that model would come.
   * @param {string} seconds '': as many as on the page
   * @param {string} [tokens]
   */
  async begin(seconds, tokens = '') {
    if (seconds !== '') this.setSeconds(seconds);
    const { changed, state } = this.#app;
    const { bench, errors, model } = state;
    if (!errors.bench) this.setTokens(tokens);
    if (errors.bench) return;
    const { kind, name, bytes } = model.source;
    if (kind === 'default') return this.run();
    const host = kind === 'url' ? new URL(name).host : 'this machine';
    const size = bytes === null ? `its size is not known before ${host} is asked` : formatBytes(bytes);
    bench.waiting =
      `The address of this page asks for a benchmark of another model: ${name}. ` +
      `It would come from ${host} (${size}), and nothing was asked there yet. Measure begins it.`;
    changed();
  }

  /** @param {string} text the text of the field */
  setSeconds(text) {
    this.#set(() => ({ seconds: readSeconds(text) }));
  }

  /** @param {string} text the text of the field; '': the usual lengths */
  setTokens(text) {
    this.#set(() => ({ tokens: readTokens(text) }));
  }

  /** @param {() => Partial<State['bench']>} read throws where the field is wrong */
  #set(read) {
    const { state, changed } = this.#app;
    state.errors.bench = '';
    try {
      Object.assign(state.bench, read());
    } catch (error) {
      state.errors.bench = messageOf(error);
    }
    changed();
  }

  /** Loads the model, unless it is loaded, and measures. After an early stop the figures so far are shown. */
  run() {
    const { state, changed, work, paced, ensureModel } = this.#app;
    return work('bench', async (signal) => {
      const { seconds, tokens } = state.bench;
      Object.assign(state.bench, { report: null, progress: null, waiting: '' });
      try {
        await ensureModel(signal);
        state.bench.report = await paced(
          'bench',
          { seconds, tokens },
          {
            signal,
            progress: (progress) => {
              state.bench.progress = progress;
              changed();
            },
          },
        );
      } finally {
        state.bench.progress = null;
      }
    });
  }
}

/** @param {string} text */
export function readSeconds(text) {
  const seconds = text.trim() === '' ? NaN : Number(text);
  if (!(seconds >= 1 && seconds <= MOST_SECONDS))
    throw new Error(`\`${text.slice(0, 20)}\` is no budget of the benchmark, expected 1 to ${MOST_SECONDS} seconds.`);
  return seconds;
}

/**
 * Reads lengths of texts, such as `64, 2048`; null where none is named.
 * @param {string} text
 * @returns {number[] | null}
 */
export function readTokens(text) {
  if (text.trim() === '') return null;
  const lengths = text.split(',').map((part) => (/^\s*\d+\s*$/.test(part) ? Number(part) : NaN));
  if (lengths.length > MOST_LENGTHS || !lengths.every((length) => length >= 1 && length <= MOST_TOKENS)) {
    throw new Error(
      `\`${text.slice(0, 40)}\` is no list of lengths, expected at most ${MOST_LENGTHS} numbers of tokens from 1 to ${MOST_TOKENS}, such as 64,2048.`,
    );
  }
  return [...new Set(lengths)];
}
