// What a person can do with prompts: write them, choose settings, compare them.
import { MAX_PROMPTS } from '../state/limits.js';
import { wholeSettings } from '../state/settings.js';
import { codeOf } from '../worker/errors.js';

/** @import { Settings } from '../types/wasm' */
/** @import { Layers } from './layers.js' */
/** @import { Lending } from './lending' */

export class Prompts {
  #app;
  #layers;

  /** @param {Lending} app @param {Layers} layers */
  constructor(app, layers) {
    this.#app = app;
    this.#layers = layers;
  }

  /** @param {number} index @param {string} text */
  set(index, text) {
    const { state, changed } = this.#app;
    state.prompts[index] = text;
    Object.assign(state, { hint: '', emptyPrompt: false });
    changed();
  }

  /** @param {number} index the place of the new prompt */
  add(index) {
    const { state, changed } = this.#app;
    if (state.prompts.length >= MAX_PROMPTS) return;
    state.prompts.splice(index, 0, '');
    state.hint = '';
    changed();
  }

  /** @param {number} index */
  remove(index) {
    const { state, changed } = this.#app;
    if (state.prompts.length === 1) return;
    state.prompts.splice(index, 1);
    Object.assign(state, { hint: '', emptyPrompt: false });
    changed();
  }

  /** @param {{ prompts: string[], hint: string }} example */
  useExample({ prompts, hint }) {
    const { state, changed } = this.#app;
    Object.assign(state, { prompts: [...prompts], hint, emptyPrompt: false });
    changed();
  }

  /** @param {Settings} settings */
  setSettings(settings) {
    const { state, changed } = this.#app;
    state.settings = settings;
    changed();
  }

  async compare() {
    const { state, work, call, ensureModel } = this.#app;
    await work('prompts', async (signal) => {
      state.emptyPrompt = false;
      const texts = [...state.prompts];
      await ensureModel(signal);
      const settings = wholeSettings(state);
      try {
        const embeddings = await call('embed', { texts, settings }, { signal });
        state.comparison = { texts, settings, embeddings, model: state.model.card?.name ?? '', mixed: false };
        if (state.weightsOpen) await this.#layers.readProducts();
      } catch (error) {
        state.emptyPrompt = codeOf(error) === 'EmptyPrompt';
        throw error;
      }
    });
  }
}
