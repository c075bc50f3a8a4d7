// What a person can do with layers: load an adapter, weigh layers, study each one. New weights are applied in the
// page, by figures/mix.js.
import { mixPrompts, mixStudy } from '../figures/mix.js';
import { canMix, mixes, pausedStudy, studyParams } from '../state/layers.js';
import { weightsOf, wholeSettings, withoutAdapter } from '../state/settings.js';
import { isEnded, messageOf } from '../worker/errors.js';

/** @import { Lending } from './lending' */

export class Layers {
  #app;

  /** @param {Lending} app */
  constructor(app) {
    this.#app = app;
  }

  // --- adapter ---

  /**
   * Reads an adapter or a list of layer weights, and uses it. The worker drops the last one even if this one is
   * refused.
   * @param {File} file
   */
  loadAdapter(file) {
    const { state, work, ensureModel } = this.#app;
    return work('adapter', async (signal) => {
      await ensureModel(signal);
      const before = state.adapter.card;
      this.forget(before ? `The adapter \`${before.name}\` was dropped.` : '');
      const card = await this.#app.call('load_adapter', { file });
      const { settings } = state;
      const pooling = card.kind === 'layer_weights' ? settings.pooling : 'adapter';
      const own = card.layer_weights !== null;
      const chosen = [own ? 'layers: weighted' : '', pooling === 'adapter' ? 'pooling: adapter' : '']
        .filter(Boolean)
        .join(', ');
      state.adapter = { file, card, missing: '', note: `Chosen below: ${chosen}.` };
      state.settings = {
        ...settings,
        pooling,
        feature: own ? 'weighted' : settings.feature,
        layer_weights: own ? null : settings.layer_weights,
      };
      if (own) this.#mixMatrix();
      this.#mixStudy();
    });
  }

  /** @param {string} [why] a sentence, unless the person asked for it */
  async dropAdapter(why = '') {
    const { work, call, state } = this.#app;
    const { card } = state.adapter;
    this.forget(why);
    if (card) await work('adapter', async () => call('drop_adapter', {}));
  }

  /** Forgets the adapter in the page: settings that need it fall back. @param {string} why */
  forget(why) {
    const { state, changed } = this.#app;
    state.adapter = { file: null, card: null, missing: '', note: why };
    state.settings = withoutAdapter(state.settings, null);
    changed();
  }

  /** Reads the adapter again after a load of its model, and drops weights for another number of layers. */
  async modelLoaded() {
    const { state, call } = this.#app;
    state.studyPaused = null; // it was a study of the last model
    const { file } = state.adapter;
    const layers = state.model.card?.num_hidden_layers;
    const { layer_weights: weights } = state.settings;
    if (weights && layers && weights.length !== layers) {
      state.settings = withoutAdapter({ ...state.settings, layer_weights: null }, state.adapter.card);
      state.adapter.note = `The ${weights.length} layer weights were left out: this model has ${layers} layers.`;
    }
    if (!file) return;
    try {
      state.adapter = { ...state.adapter, card: await call('load_adapter', { file }) };
    } catch (error) {
      if (isEnded(error)) throw error; // it is read again with the next load
      this.forget(`The adapter \`${file.name}\` could not be read again: ${messageOf(error)}`);
    }
  }

  // --- weights ---

  /**
   * Opens or closes the sliders. While they are open, the layers of the compared prompts are read, so that the matrix
   * follows.
   * @param {boolean} open
   */
  async openWeights(open) {
    const { state, changed } = this.#app;
    if (state.weightsOpen === open) return;
    state.weightsOpen = open;
    changed();
    if (open && state.model.card && canMix(state) && !mixes(state)) await this.readLayers();
  }

  readLayers() {
    return this.#app.work('prompts', async (signal) => {
      await this.#app.ensureModel(signal);
      await this.readProducts();
      if (this.#app.state.settings.feature === 'weighted') this.#mixMatrix();
    });
  }

  /** Reads the products of the compared prompts' layers; called within a task. */
  async readProducts() {
    const { state, call } = this.#app;
    const {
      comparison,
      settings: { pooling },
    } = state;
    if (!comparison || pooling === 'adapter') return;
    const products = await call('layer_products', { texts: comparison.texts, pooling });
    state.mixing = { texts: comparison.texts, pooling, products };
  }

  /**
   * Sets the weights, and mixes the matrix and the study's score anew, without a pass.
   * @param {number[] | null} weights null: the adapter's own
   */
  setWeights(weights) {
    const { state, changed } = this.#app;
    state.settings = { ...state.settings, feature: 'weighted', layer_weights: weights };
    this.#mixMatrix();
    this.#mixStudy();
    changed();
  }

  #mixMatrix() {
    const { state } = this.#app;
    const { comparison, mixing } = state;
    const weights = weightsOf(state);
    if (!comparison || !mixing || !mixes(state) || weights?.length !== mixing.products.num_hidden_layers) return;
    const similarity = mixPrompts(mixing.products, weights);
    state.comparison = {
      ...comparison,
      settings: wholeSettings(state),
      mixed: true,
      embeddings: { ...comparison.embeddings, similarity, vectors: new Float32Array() },
    };
  }

  #mixStudy() {
    const { state } = this.#app;
    const { study } = state;
    const weights = weightsOf(state);
    if (study && weights?.length === study.result.num_hidden_layers)
      state.study = { ...study, mixed: mixStudy(study.result, weights) };
  }

  // --- study ---

  /**
   * Scores every layer in one pass over the subset. A paused study shows the items that are done; run again, it goes on
   * from there.
   */
  study() {
    const { state, changed, work, paced, ensureModel, ensureDataset } = this.#app;
    return work('layers', async (signal) => {
      try {
        await ensureModel(signal);
        await ensureDataset();
        const started = performance.now();
        const params = studyParams(state);
        const before = pausedStudy(state);
        let last = before;
        state.studyPaused = null;
        const result = await paced('study', params, {
          signal,
          progress: (progress) => {
            last = progress;
            state.studyRun = { progress, before: before?.done ?? 0, elapsed: performance.now() - started };
            changed();
          },
        });
        if (!result.complete && last) state.studyPaused = { progress: last, params };
        if (result.items.length === 0) return; // stopped too soon
        const { name, sample } = state.datasetSource ?? { name: '', sample: false };
        state.study = { result, model: state.model.card?.name ?? '', file: name, sample, mixed: null };
        this.#mixStudy();
      } finally {
        state.studyRun = null;
      }
    });
  }
}
