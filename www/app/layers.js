// What a person can do with layers: load an adapter, weigh layers, study each one. Mixing anew is done in the page, by mix.js.
import { canMix, mixes, pausedStudy, studyParams } from '../state/layers.js';
import { weightsOf, wholeSettings, withoutAdapter } from '../state/settings.js';
import { isEnded, messageOf } from '../worker/errors.js';
import { mixPrompts, mixStudy } from '../figures/mix.js';

/** @import { Methods } from '../types/wasm' */
/** @import { Section, State } from '../state/state.js' */

/**
 * @typedef {object} Bench what the app lends
 * @property {State} state
 * @property {() => void} changed
 * @property {(section: Section, work: (signal: AbortSignal) => Promise<void>) => Promise<void>} work one task at a time
 * @property {<M extends keyof Methods>(method: M, params: Methods[M]['params'], options?: { progress?: (value: Methods[M]['progress']) => void, signal?: AbortSignal }) => Promise<Methods[M]['result']>} call
 * @property {(signal: AbortSignal) => Promise<void>} ensureModel
 * @property {() => Promise<void>} ensureDataset
 */

export class Layers {
  #bench;

  /** @param {Bench} bench */
  constructor(bench) {
    this.#bench = bench;
  }

  // --- adapter ---

  /** Read an adapter or a list of layer weights, and use it. The worker drops the one before, whatever comes of it. @param {File} file */
  loadAdapter(file) {
    const { state, work, ensureModel } = this.#bench;
    return work('adapter', async (signal) => {
      await ensureModel(signal);
      const before = state.adapter.card;
      this.forget(before ? `The adapter \`${before.name}\` was dropped.` : '');
      const card = await this.#bench.call('load_adapter', { file });
      const { settings } = state;
      const pooling = card.kind === 'layer_weights' ? settings.pooling : 'adapter';
      const own = card.layer_weights !== null;
      const chosen = [own ? 'layers: weighted' : '', pooling === 'adapter' ? 'pooling: adapter' : ''].filter(Boolean).join(', ');
      state.adapter = { file, card, missing: '', note: `Chosen below: ${chosen}.` };
      state.settings = { ...settings, pooling, feature: own ? 'weighted' : settings.feature, layer_weights: own ? null : settings.layer_weights };
      if (own) this.#mixMatrix();
      this.#mixStudy();
    });
  }

  /** @param {string} [why] a sentence, where it is not the person's own doing */
  async dropAdapter(why = '') {
    const { work, call, state } = this.#bench;
    const { card } = state.adapter;
    this.forget(why);
    if (card) await work('adapter', async () => call('drop_adapter', {}));
  }

  /** The page's side of dropping it: settings that need it fall back. @param {string} why */
  forget(why) {
    const { state, changed } = this.#bench;
    state.adapter = { file: null, card: null, missing: '', note: why };
    state.settings = withoutAdapter(state.settings, null);
    changed();
  }

  /** After a load: read the adapter again, if it belongs to this model; weights for another number of layers go. */
  async modelLoaded() {
    const { state, call } = this.#bench;
    state.studyPaused = null; // was of the model before
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

  /** With them open, the layers of the compared prompts are read, so that the matrix follows the sliders. @param {boolean} open */
  async openWeights(open) {
    const { state, changed } = this.#bench;
    if (state.weightsOpen === open) return;
    state.weightsOpen = open;
    changed();
    if (open && state.model.card && canMix(state) && !mixes(state)) await this.readLayers();
  }

  readLayers() {
    return this.#bench.work('prompts', async (signal) => {
      await this.#bench.ensureModel(signal);
      await this.readProducts();
      if (this.#bench.state.settings.feature === 'weighted') this.#mixMatrix();
    });
  }

  /** Within a task: the products of the compared prompts' layers. */
  async readProducts() {
    const { state, call } = this.#bench;
    const { comparison, settings: { pooling } } = state;
    if (!comparison || pooling === 'adapter') return;
    const products = await call('layer_products', { texts: comparison.texts, pooling });
    state.mixing = { texts: comparison.texts, pooling, products };
  }

  /** Matrix and score of the study at once, without a pass. @param {number[] | null} weights null: the adapter's own */
  setWeights(weights) {
    const { state, changed } = this.#bench;
    state.settings = { ...state.settings, feature: 'weighted', layer_weights: weights };
    this.#mixMatrix();
    this.#mixStudy();
    changed();
  }

  #mixMatrix() {
    const { state } = this.#bench;
    const { comparison, mixing } = state;
    const weights = weightsOf(state);
    if (!comparison || !mixing || !mixes(state) || weights?.length !== mixing.products.num_hidden_layers) return;
    const similarity = mixPrompts(mixing.products, weights);
    state.comparison = { ...comparison, settings: wholeSettings(state), mixed: true, embeddings: { ...comparison.embeddings, similarity, vectors: new Float32Array() } };
  }

  #mixStudy() {
    const { state } = this.#bench;
    const { study } = state;
    const weights = weightsOf(state);
    if (study && weights?.length === study.result.num_hidden_layers) state.study = { ...study, mixed: mixStudy(study.result, weights) };
  }

  // --- study ---

  /** One pass over the subset scores every layer. Paused, it has the items done; the same study goes on where it was. */
  study() {
    const { state, changed, work, call, ensureModel, ensureDataset } = this.#bench;
    return work('layers', async (signal) => {
      try {
        await ensureModel(signal);
        await ensureDataset();
        const started = performance.now();
        const params = studyParams(state);
        const before = pausedStudy(state);
        let last = before;
        state.studyPaused = null;
        const result = await call('study', params, {
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
