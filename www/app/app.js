// What a person can do on the page. Each action changes the state and tells the views; the worker does the work.
import { Benchmark } from './benchmark.js';
import { codeOf, isAsking, isFatal, isQuiet, isRestart, messageOf } from '../worker/errors.js';
import { Engine } from '../worker/engine.js';
import { restore } from '../state/keep.js';
import { Layers } from './layers.js';
import { wholeSettings, withoutAdapter, readDevice, subsetOf } from '../state/settings.js';
import { Models } from './models.js';
import { Pace } from '../worker/pace.js';
import { advance, dataOf, heldSource, modelOf, obstacle, unfinishedRun, whatStays } from '../state/resume.js';
import { Review } from './reports.js';
import { decodeState, encodeState } from '../link/codec.js';
import { MAX_PROMPTS } from '../state/limits.js';
import { sharedState } from '../link/link.js';
import { fileSource, modelAddress, sameSource, urlSource, defaultSource } from '../sources/model.js';
import { initialState } from '../state/state.js';
import { fileDataset, sampleDataset } from '../sources/dataset.js';

/** @import { Dataset, DeviceKind, DownloadProgress, LoadOptions, Methods, Settings, Subset } from '../types/wasm' */
/** @import { WorkerLike } from '../worker/client.js' */
/** @import { Kept } from '../state/keep.js' */
/** @import { DatasetSource } from '../sources/dataset.js' */
/** @import { Outcome, Section } from '../state/state.js' */
/** @import { ModelSource } from '../sources/model.js' */

/** Work that ends with a step of its own, and what is lost where it can't. @type {Partial<Record<Section, string>>} */
const STEPWISE = {
  ted: 'The batch did not end in time, and the encoder was ended with it. ',
  layers: 'The batch did not end in time, and the encoder was ended with it: what the study had is lost.',
  bench: 'The measurement did not end in time, and the encoder was ended with it: its figures are lost.',
};

export class App {
  state;
  review;
  layers;
  models;
  benchmark;
  base;
  #changed;
  #engine;
  #abort = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #impatience;
  #pace = new Pace();
  #pausing = false;
  #begin = () => {};
  /** @type {Promise<void>} work that is asked for while the page still reads what was kept waits for the start */
  #begun = new Promise((resolve) => (this.#begin = resolve));

  /**
   * @param {object} options
   * @param {string} options.base the page's address
   * @param {() => WorkerLike} options.spawn
   * @param {() => void} options.changed show the state
   * @param {'gpu' | 'software' | null} [options.kernels] of another class than the adapter's
   */
  constructor({ base, spawn, changed, kernels = null }) {
    this.state = initialState(base);
    this.base = base;
    this.#changed = changed;
    this.#engine = new Engine(spawn, kernels, (message, code) => {
      if (code === 'OutOfMemory') return; // whoever asked for the work goes on in a fresh worker
      this.state.panic = message;
      changed();
    }, (message) => {
      this.state.unstored = message;
      changed();
    });
    this.review = new Review({
      state: this.state,
      changed,
      work: (section, work) => this.#work(section, work),
      call: async (method, params) => {
        await this.#ensureOpen();
        return this.#engine.call(method, params);
      },
      subset: () => this.#subset(),
    });
    this.models = new Models({
      state: this.state,
      changed,
      work: (section, work) => this.#work(section, work),
      ask: (method, params, options) => this.#engine.ask(method, params, options),
    });
    this.benchmark = new Benchmark({
      state: this.state,
      changed,
      work: (section, work) => this.#work(section, work),
      call: (method, params, options) => this.#paced(method, params, options),
      ensureModel: (signal) => this.#ensureModel(signal),
    });
    this.layers = new Layers({
      state: this.state,
      changed,
      work: (section, work) => this.#work(section, work),
      call: (method, params, options) => this.#paced(method, params, options),
      ensureModel: (signal) => this.#ensureModel(signal),
      ensureDataset: () => this.#ensureDataset(),
    });
  }

  // --- start, device, panic ---

  /**
   * Take up what was kept and the link's state, and choose the device.
   * @param {string} fragment
   * @param {string | null} device the query's `device`
   * @param {{ kept: Kept, dataset: (name: string) => DatasetSource, reloaded: boolean }} [before] reloaded: the link was taken up before
   */
  async start(fragment, device, before) {
    const { state } = this;
    const taken = before?.reloaded && before.kept.page?.fragment === fragment;
    const linked = fragment.replace('#', '') !== '' && !taken;
    if (before) restore(state, before.kept, { ...before, base: this.base, linked });
    state.fragment = fragment;
    if (linked) this.#readLink(fragment);
    try {
      if (device !== null) Object.assign(state, { wanted: readDevice(device), forced: true });
    } catch (error) {
      state.errors.device = messageOf(error);
    }
    const started = this.#startEngine();
    this.#begin();
    await started;
    if (state.link?.shared.item && state.datasetSource) await this.#work('items', () => this.#ensureDataset());
  }

  /** @param {DeviceKind | null} wanted null: automatic */
  async useDevice(wanted) {
    Object.assign(this.state, { wanted, forced: false });
    this.state.errors.device = '';
    await this.#startEngine();
  }

  /** After a panic: a fresh worker; prompts, settings and the choice of model stay. */
  async restart() {
    await this.#startEngine();
  }

  async #startEngine() {
    const { state } = this;
    state.panic = '';
    this.#closeDataset();
    state.choice = state.device = state.model.card = null;
    const starting = this.#engine.start(state.wanted);
    this.#changed();
    try {
      state.choice = await starting;
    } catch (error) {
      if (!isRestart(error)) state.errors.device = messageOf(error);
    }
    this.#changed();
  }

  /** @param {string} fragment */
  #readLink(fragment) {
    const { state } = this;
    const { state: shared, problems } = decodeState(fragment);
    state.link = { shared, problems, followed: false };
    if (shared.prompts.length) Object.assign(state, { prompts: shared.prompts, hint: '' });
    const { feature, pooling, weights, reference_precision } = shared;
    state.settings = withoutAdapter({ feature: feature ?? state.settings.feature, pooling: pooling ?? state.settings.pooling, layer_weights: weights, reference_precision }, null);
    if (pooling === 'adapter') problems.push('The link was made with an adapter, whose file is not in it: pick it under Model. Until then pooling is mean.');
    if (feature === 'weighted' && !weights) problems.push('The link asks for weighted layers and holds no weights: norm_avg is used.');
    state.wanted = shared.device;
    state.subset = shared.subset;
    if (shared.model) state.model.source = urlSource(shared.model, shared.sha256 ?? '');
    state.model.options = { ...state.model.options, quantize: shared.quantize, arithmetic: shared.arithmetic };
    if (shared.data) state.datasetSource = sampleDataset(this.base);
    if (shared.item) state.item = { ...shared.item, item: null, from: [], called: true };
  }

  /** Do what the link is for: load its model, compare its prompts, open its data set. */
  async followLink() {
    if (this.state.link) this.state.link.followed = true;
    await this.compare();
    if (this.state.datasetSource && !this.state.errors.prompts) await this.#work('ted', () => this.#ensureDataset());
  }

  // --- model ---

  /** @param {ModelSource} [source] without: the one chosen before */
  async loadModel(source = this.state.model.source) {
    await this.#work('model', async (signal) => {
      this.#useSource(source);
      this.state.model.card = null;
      await this.#ensureModel(signal);
    });
  }

  /** Another model leaves nothing of the one before. @param {ModelSource} source */
  #useSource(source) {
    const { state, layers } = this;
    const { file, card } = state.adapter;
    if (sameSource(source, state.model.source)) source = { ...source, bytes: source.bytes ?? state.model.source.bytes }; // seen before, and so agreed to
    else {
      const { options } = state.model;
      const { streamed, out_of_memory } = options;
      Object.assign(state.model, { source, card: null, plan: null, options: { ...options, streamed: streamed && !out_of_memory, out_of_memory: false } });
      Object.assign(state, { comparison: null, mixing: null });
      if (file) layers.forget(`The adapter \`${card?.name ?? file.name}\` belonged to the model before: it was dropped.`);
    }
    Object.assign(state.model, { source, missing: '', download: null, note: '' });
  }

  /** How models are held from the next load on; the loaded one is loaded again when it is needed. @param {Omit<LoadOptions, 'out_of_memory'>} options */
  setLoadOptions(options) {
    this.#holdAs({ ...options, out_of_memory: false });
    this.#changed();
  }

  /** @param {Partial<LoadOptions>} options */
  #holdAs(options) {
    const { model } = this.state;
    Object.assign(model, { options: { ...model.options, ...options }, card: null, plan: null, note: '' });
  }

  loadDefault() {
    return this.loadModel(this.defaultModel);
  }

  get defaultModel() {
    return defaultSource(this.base);
  }

  /** @param {File[]} files */
  loadFiles(files) {
    return this.loadModel(fileSource(files));
  }

  /** @param {File[]} files dropped on the page */
  async dropFiles(files) {
    const weights = /\.(gguf|safetensors)$/i;
    const parts = files.filter(({ name }) => weights.test(name) || /\.json$/i.test(name));
    if (parts.some(({ name }) => weights.test(name))) return this.loadFiles(parts);
    this.state.errors.model = 'No model was dropped: it would be one .gguf file, or config.json, tokenizer.json and .safetensors together.';
    this.#changed();
  }

  /** @param {string} text */
  async loadUrl(text) {
    let source;
    try {
      source = urlSource(modelAddress(text.trim()));
    } catch (error) {
      this.state.errors.model = messageOf(error);
      return this.#changed();
    }
    await this.loadModel(source);
  }

  /** @param {AbortSignal} signal */
  async #ensureModel(signal) {
    const { model, errors } = this.state;
    if (model.card) return;
    errors.model = '';
    Object.assign(model, { loading: true, progress: null });
    this.#changed();
    try {
      await this.#ensureOpen();
      if (model.source.kind === 'url') this.models.persist();
      const { card, heap_bytes, note } = await this.#load(signal);
      Object.assign(model, { card, heap: heap_bytes, note, download: null, missing: '' });
      if (this.state.comparison?.model !== card.name) this.state.comparison = null;
      await this.layers.modelLoaded();
    } catch (error) {
      if (!isAsking(error)) model.download = null;
      if (!isQuiet(error) && !isAsking(error) && !isFatal(error) && this.state.device) errors.model = messageOf(error);
      throw error;
    } finally {
      Object.assign(model, { loading: false, progress: null });
      this.models.refresh();
    }
  }

  /** Load it; where the device has too little memory for the whole of it, layer by layer in a fresh worker. @param {AbortSignal} signal */
  async #load(signal) {
    const { model } = this.state;
    const load = () => {
      const { source: { files, bytes }, options } = model;
      return this.#engine.call('load', { files, agreed: bytes !== null, options }, { signal, progress: (progress) => this.#showLoad(progress) });
    };
    try {
      return await load();
    } catch (error) {
      if (codeOf(error) !== 'OutOfMemory' || !model.plan || model.plan.streamed) throw error;
      model.options = { ...model.options, streamed: true, out_of_memory: true };
      await this.#startEngine();
      await this.#ensureOpen();
      const loaded = await load();
      const why = 'The device ran out of memory for the whole model: its layers are brought to it for each batch. Results are the same, and slower.';
      return { ...loaded, note: `${why} ${loaded.note}`.trim() };
    }
  }

  /** @param {Methods['load']['progress']} progress */
  #showLoad(progress) {
    const { model } = this.state;
    if ('plan' in progress) model.plan = progress.plan;
    else if ('speed' in progress) this.#showDownload(progress);
    else model.progress = progress;
    this.#changed();
  }

  /** @param {DownloadProgress} progress */
  #showDownload(progress) {
    const { model } = this.state;
    model.download = progress;
    if (model.source.bytes === null) model.source = { ...model.source, bytes: progress.total }; // seen from here on, and so agreed to by Load
  }

  async #ensureOpen() {
    const { state } = this;
    try {
      state.device = await this.#engine.open();
    } catch (error) {
      if (!isRestart(error)) state.errors.device = messageOf(error);
      throw error;
    }
  }

  // --- prompts ---

  /** @param {number} index @param {string} text */
  setPrompt(index, text) {
    this.state.prompts[index] = text;
    Object.assign(this.state, { hint: '', emptyPrompt: false });
    this.#changed();
  }

  /** @param {number} index where it goes */
  addPrompt(index) {
    if (this.state.prompts.length >= MAX_PROMPTS) return;
    this.state.prompts.splice(index, 0, '');
    this.state.hint = '';
    this.#changed();
  }

  /** @param {number} index */
  removePrompt(index) {
    if (this.state.prompts.length === 1) return;
    this.state.prompts.splice(index, 1);
    Object.assign(this.state, { hint: '', emptyPrompt: false });
    this.#changed();
  }

  /** @param {{ prompts: string[], hint: string }} example */
  useExample({ prompts, hint }) {
    Object.assign(this.state, { prompts: [...prompts], hint, emptyPrompt: false });
    this.#changed();
  }

  /** @param {Settings} settings */
  setSettings(settings) {
    this.state.settings = settings;
    this.#changed();
  }

  async compare() {
    const { state } = this;
    await this.#work('prompts', async (signal) => {
      state.emptyPrompt = false;
      const texts = [...state.prompts];
      await this.#ensureModel(signal);
      const settings = wholeSettings(state);
      try {
        const embeddings = await this.#engine.call('embed', { texts, settings }, { signal });
        state.comparison = { texts, settings, embeddings, model: state.model.card?.name ?? '', mixed: false };
        if (state.weightsOpen) await this.layers.readProducts();
      } catch (error) {
        state.emptyPrompt = codeOf(error) === 'EmptyPrompt';
        throw error;
      }
    });
  }

  // --- TED-6K ---

  openSample() {
    return this.#openDataset(sampleDataset(this.base));
  }

  /** @param {File} file */
  openFile(file) {
    return this.#openDataset(fileDataset(file));
  }

  /** Open the data set that a link or the visit before chose. */
  openDataset() {
    return this.#work('ted', () => this.#ensureDataset());
  }

  /** @param {DatasetSource} source */
  #openDataset(source) {
    return this.#work('ted', async () => {
      this.#closeDataset();
      this.state.datasetSource = null;
      await this.#ensureDataset(source);
    });
  }

  #closeDataset() {
    Object.assign(this.state, { subset: this.#subset(), dataset: null, count: null, studyPaused: null });
  }

  /** Open the data set in the worker, unless it is; the types that the subset names and the file lacks are said. */
  async #ensureDataset(source = this.state.datasetSource) {
    const { state } = this;
    if (state.dataset || !source) return;
    const bytes = await source.read();
    await this.#ensureOpen();
    const dataset = await this.#engine.call('open_dataset', { name: source.name, bytes });
    const { subset } = state;
    const lacking = [...subset.caption_types.filter((type) => !Object.hasOwn(dataset.caption_types, type)),
      ...subset.question_types.filter((type) => !Object.hasOwn(dataset.question_types, type))];
    Object.assign(state, { dataset, datasetSource: source, subset: withTicks(subset, dataset) });
    if (lacking.length) state.errors.ted = `\`${dataset.file}\` has no items of the type ${lacking.join(', ')}.`;
    await this.#count();
    if (!lacking.length) this.#checkLink();
    await this.review.fillItem();
  }

  /** Whether the link's subset, if that is the one in use, has the same items here. */
  #checkLink() {
    const { link, count, errors, dataset } = this.state;
    const id = link?.shared.subset_id;
    if (!id || !count?.id || count.id === id || JSON.stringify(this.#subset()) !== JSON.stringify(link.shared.subset)) return;
    errors.ted = `The link's subset (id ${id}) is of another data set: \`${dataset?.file}\` gives id ${count.id}.`;
  }

  /** @param {Subset} subset */
  async setSubset(subset) {
    this.state.subset = subset;
    this.state.errors.ted = '';
    this.#changed();
    try {
      await this.#count();
    } catch (error) {
      this.state.count = null;
      if (!isRestart(error)) this.state.errors.ted = messageOf(error);
    }
    this.#changed();
  }

  async #count() {
    const { state } = this;
    const { subset } = state;
    const none = subset.caption_types.length === 0 || subset.question_types.length === 0;
    const count = none ? { items: 0, texts: 0, id: '' } : await this.#engine.call('count', { subset: this.#subset() });
    if (state.subset === subset) state.count = count; // else a later choice is being counted
  }

  /** The subset as the worker and links take it: an empty list where every type is ticked. */
  #subset() {
    return subsetOf(this.state);
  }

  /** Start a run; the texts that another one finished are not encoded again. */
  evaluate() {
    return this.#work('ted', (signal) => this.#evaluate(signal, () => {}));
  }

  /** Go on with the run that was paused, or that a reload ended. */
  async resume() {
    const { state } = this;
    const { unfinished } = state;
    if (!unfinished || state.task) return;
    const missing = obstacle(unfinished, state);
    if (missing) {
      state.errors.ted = missing;
      return this.#changed();
    }
    const { subset, settings, model, data } = unfinished;
    await this.#work('ted', async (signal) => {
      const source = modelOf(model, this.base);
      if (source) this.#useSource(source);
      const { quantize, arithmetic } = model;
      if (state.model.options.quantize !== quantize || state.model.options.arithmetic !== arithmetic) this.#holdAs({ quantize, arithmetic });
      if (data.sample && !state.datasetSource?.sample) Object.assign(state, { dataset: null, datasetSource: sampleDataset(this.base) });
      Object.assign(state, { settings, subset: state.dataset ? withTicks(subset, state.dataset) : subset });
      if (state.dataset) await this.#count();
      await this.#evaluate(signal, (sha256) => {
        if (data.sha256 && sha256 !== data.sha256) throw new Error(`\`${data.name}\` is another file than the one of the unfinished run (SHA-256 ${sha256.slice(0, 12)}…, not ${data.sha256.slice(0, 12)}…).`);
      });
    });
  }

  /** @param {AbortSignal} signal @param {(sha256: string) => void} check the data set's; throws where it is not the one wanted */
  async #evaluate(signal, check) {
    const { state } = this;
    this.#pausing = false;
    state.partial = null;
    try {
      await this.#ensureModel(signal);
      await this.#ensureDataset();
      check(state.dataset?.sha256 ?? '');
      const settings = wholeSettings(state);
      const subset = this.#subset();
      const started = performance.now();
      const report = await this.#paced('evaluate', { subset, settings }, {
        signal,
        progress: (progress) => {
          state.run = advance(state.run, progress, performance.now() - started);
          state.unfinished = unfinishedRun(state, subset, settings, progress);
          this.#changed();
        },
      });
      const { sample, name } = dataOf(state);
      /** @type {Outcome} */
      const outcome = { report, settings, sample, file: name, model: state.model.card?.name ?? '', source: heldSource(state.model) };
      const paused = this.#pausing && !report.summary.complete;
      Object.assign(state, paused ? { partial: outcome } : { outcome, unfinished: null, partial: null });
    } finally {
      state.run = null;
    }
  }

  /** Stop the run and keep what it has done, to go on later. */
  pause() {
    this.#pausing = true;
    this.stop();
  }

  /** Give the unfinished run up: what it has so far is shown, where that is at hand. Its vectors stay. */
  abandon() {
    const { state } = this;
    Object.assign(state, { outcome: state.partial ?? state.outcome, unfinished: null, partial: null });
    this.#changed();
  }

  // --- share ---

  /** The link to this state. @param {string} page its address without query and fragment @param {(url: string) => Promise<void>} copy */
  async share(page, copy) {
    const { state } = this;
    state.errors.share = '';
    try {
      const fragment = encodeState(sharedState(state, this.#subset()));
      const url = `${page}#${fragment}`;
      const copied = await copy(url).then(() => 'Copied.', () => 'Copy it from the field below.');
      const local = state.model.source.kind === 'files' ? ' Your model file is not in it: it opens with the default model.' : '';
      const adapter = state.settings.pooling === 'adapter' ? ' Your adapter file is not in it.' : '';
      state.sharing = { url, note: copied + local + adapter };
    } catch (error) {
      state.errors.share = messageOf(error);
    }
    this.#changed();
  }

  // --- work ---

  /** Ask the running task to stop; a worker that does not in time is ended. What is stored of its work stays. */
  stop() {
    const { task, model } = this.state;
    if (!task) return;
    const again = this.#abort.signal.aborted;
    this.#abort.abort();
    const stepwise = task in STEPWISE && !model.loading;
    if (task === 'layers' && stepwise && !again) return; // a pause loses nothing, however long the batch takes; a second one ends the worker
    this.#impatience ??= setTimeout(() => this.#endWorker(stepwise ? task : null), this.#pace.patience(stepwise && !model.card?.streamed));
  }

  /** @param {Section | null} stepwise the section whose step did not end */
  #endWorker(stepwise) {
    const { state } = this;
    state.model.note = 'The encoder did not stop in time and was ended: the model is loaded again with the next action.';
    if (stepwise) state.errors[stepwise] = STEPWISE[stepwise] + (stepwise === 'ted' ? whatStays(state) : '');
    this.#startEngine();
  }

  /** A call whose progress comes step by step. @template {keyof Methods} M @param {M} method @param {Methods[M]['params']} params @param {{ progress?: (value: Methods[M]['progress']) => void, signal?: AbortSignal }} [options] */
  #paced(method, params, options) {
    this.#pace.begin();
    return this.#engine.call(method, params, {
      ...options,
      progress: (progress) => {
        this.#pace.step();
        options?.progress?.(progress);
      },
    });
  }

  /** A fresh worker where this one's device can't go on; then the message, and what to do. @param {unknown} error */
  async #recover(error) {
    if (!isFatal(error)) return messageOf(error);
    await this.#startEngine();
    const next = 'A fresh one was opened, and the model is loaded again with the next action.';
    if (codeOf(error) === 'DeviceLost') return `${messageOf(error)}. ${next}`;
    return `The device ran out of memory. ${next} Give it less at a time: see Memory and packing under Model.`;
  }

  /** Run one task; a second one is refused while it runs (its buttons are off). @param {Section} section @param {(signal: AbortSignal) => Promise<void>} work */
  async #work(section, work) {
    const { state } = this;
    if (state.task) return;
    this.#abort = new AbortController();
    state.task = section;
    state.errors[section] = '';
    this.#changed();
    try {
      await this.#begun;
      await work(this.#abort.signal);
    } catch (error) {
      if (!isQuiet(error) && !(section === 'model' && isAsking(error))) state.errors[section] = await this.#recover(error);
    } finally {
      clearTimeout(this.#impatience);
      this.#impatience = undefined;
      state.task = null;
      this.#changed();
    }
  }
}

/** The subset as its boxes show it. @param {Subset} subset @param {Dataset} dataset @returns {Subset} */
function withTicks(subset, dataset) {
  return {
    ...subset,
    caption_types: ticked(dataset.caption_types, subset.caption_types),
    question_types: ticked(dataset.question_types, subset.question_types),
  };
}

/** All types of the file, or those of them that the subset names. @param {Record<string, number>} types @param {string[]} named */
function ticked(types, named) {
  const all = Object.keys(types);
  return named.length === 0 ? all : all.filter((type) => named.includes(type));
}
