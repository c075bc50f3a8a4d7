// What a person can do with the model: choose it, say how it is held, load it. Other tasks load it when they need it.
import { defaultSource, fileSource, modelAddress, sameSource, urlSource } from '../sources/model.js';
import { codeOf, isAsking, isFatal, isQuiet, messageOf } from '../worker/errors.js';

/** @import { ModelSource } from '../sources/model.js' */
/** @import { DownloadProgress } from '../types/storage' */
/** @import { LoadOptions } from '../types/wasm' */
/** @import { Methods } from '../types/worker' */
/** @import { Layers } from './layers.js' */
/** @import { Lending } from './lending' */
/** @import { Library } from './library.js' */

export class Model {
  #app;
  #layers;
  #library;

  /** @param {Lending} app @param {Layers} layers @param {Library} library */
  constructor(app, layers, library) {
    this.#app = app;
    this.#layers = layers;
    this.#library = library;
  }

  /** @param {ModelSource} [source] the chosen one, if it is left out */
  async load(source = this.#app.state.model.source) {
    await this.#app.work('model', async (signal) => {
      this.use(source);
      this.#app.state.model.card = null;
      await this.ensure(signal);
    });
  }

  /** Chooses the model. A change forgets everything about the last one. @param {ModelSource} source */
  use(source) {
    const { state } = this.#app;
    const { file, card } = state.adapter;
    if (sameSource(source, state.model.source))
      // the person has seen the size, and so agreed to it
      source = { ...source, bytes: source.bytes ?? state.model.source.bytes };
    else {
      const { options } = state.model;
      const { streamed, out_of_memory } = options;
      Object.assign(state.model, {
        source,
        card: null,
        plan: null,
        options: { ...options, streamed: streamed && !out_of_memory, out_of_memory: false },
      });
      Object.assign(state, { comparison: null, mixing: null });
      if (file)
        this.#layers.forget(`The adapter \`${card?.name ?? file.name}\` belonged to the model before: it was dropped.`);
    }
    Object.assign(state.model, { source, missing: '', download: null, note: '' });
  }

  /**
   * Sets how models are held from the next load on. The loaded one is loaded again when it is needed.
   * @param {Omit<LoadOptions, 'out_of_memory'>} options
   */
  setOptions(options) {
    this.hold({ ...options, out_of_memory: false });
    this.#app.changed();
  }

  /** Changes some options of loading. @param {Partial<LoadOptions>} options */
  hold(options) {
    const { model } = this.#app.state;
    Object.assign(model, { options: { ...model.options, ...options }, card: null, plan: null, note: '' });
  }

  loadDefault() {
    return this.load(this.defaultSource);
  }

  get defaultSource() {
    return defaultSource(this.#app.base);
  }

  /** @param {File[]} files */
  loadFiles(files) {
    return this.load(fileSource(files));
  }

  /** @param {File[]} files dropped on the page */
  async dropFiles(files) {
    const weights = /\.(gguf|safetensors|pth)$/i;
    const parts = files.filter(({ name }) => weights.test(name) || /\.(json|model)$|^merges[^.]*\.txt$/i.test(name));
    if (parts.some(({ name }) => weights.test(name))) return this.loadFiles(parts);
    this.#app.state.errors.model =
      'No model was dropped: it would be one .gguf or .safetensors file, or that with config.json and tokenizer.json.';
    this.#app.changed();
  }

  /** @param {string} text */
  async loadUrl(text) {
    let source;
    try {
      source = urlSource(modelAddress(text.trim()));
    } catch (error) {
      this.#app.state.errors.model = messageOf(error);
      return this.#app.changed();
    }
    await this.load(source);
  }

  /** Loads the chosen model, unless it is loaded. @param {AbortSignal} signal */
  async ensure(signal) {
    const { state, changed, open } = this.#app;
    const { model, errors } = state;
    if (model.card) return;
    errors.model = '';
    Object.assign(model, { loading: true, progress: null });
    changed();
    try {
      await open();
      if (model.source.kind === 'url') this.#library.persist();
      const { card, heap_bytes, note } = await this.#load(signal);
      Object.assign(model, { card, heap: heap_bytes, note, download: null, missing: '' });
      if (state.comparison?.model !== card.name) state.comparison = null;
      await this.#layers.modelLoaded();
    } catch (error) {
      if (!isAsking(error)) model.download = null;
      if (!isQuiet(error) && !isAsking(error) && !isFatal(error) && state.device) errors.model = messageOf(error);
      throw error;
    } finally {
      Object.assign(model, { loading: false, progress: null });
      this.#library.refresh();
    }
  }

  /**
   * Loads the model. If the device has too little memory for all of it, it is loaded layer by layer in a fresh worker.
   * @param {AbortSignal} signal
   */
  async #load(signal) {
    const {
      state: { model },
      call,
      open,
      restart,
    } = this.#app;
    const load = () => {
      const {
        source: { files, bytes },
        options,
      } = model;
      return call(
        'load',
        { files, agreed: bytes !== null, options },
        { signal, progress: (progress) => this.#showLoad(progress) },
      );
    };
    try {
      return await load();
    } catch (error) {
      if (codeOf(error) !== 'OutOfMemory' || !model.plan || model.plan.streamed) throw error;
      model.options = { ...model.options, streamed: true, out_of_memory: true };
      await restart();
      await open();
      const loaded = await load();
      const why =
        'The device ran out of memory for the whole model: its layers are brought to it for each batch. Results are the same, and slower.';
      return { ...loaded, note: `${why} ${loaded.note}`.trim() };
    }
  }

  /** @param {Methods['load']['progress']} progress */
  #showLoad(progress) {
    const {
      state: { model },
      changed,
    } = this.#app;
    if ('plan' in progress) model.plan = progress.plan;
    else if ('speed' in progress) this.#showDownload(progress);
    else model.progress = progress;
    changed();
  }

  /** @param {DownloadProgress} progress */
  #showDownload(progress) {
    const { model } = this.#app.state;
    model.download = progress;
    // the size is shown from here on, so a click on Load agrees to it
    if (model.source.bytes === null) model.source = { ...model.source, bytes: progress.total };
  }
}
