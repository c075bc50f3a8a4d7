// What a person can do on the page. Each action changes the state and tells the views; the worker does the work.
import { WorkerError } from './client.js';
import { Engine } from './engine.js';
import { decodeState, encodeState, MAX_PROMPTS, readDevice } from './share.js';
import { fileSource, modelUrl, urlSource, defaultSource } from './source.js';
import { initialState } from './state.js';
import { fileDataset, sampleDataset } from './dataset.js';

/** @import { DeviceKind, Settings, Subset } from './types' */
/** @import { WorkerLike } from './client.js' */
/** @import { DatasetSource, Section } from './state.js' */
/** @import { ModelSource } from './source.js' */

export class App {
  state;
  #base;
  #changed;
  #engine;
  #abort = new AbortController();

  /** @param {{ base: string, spawn: () => WorkerLike, changed: () => void }} options base: the page's address; changed: show the state */
  constructor({ base, spawn, changed }) {
    this.state = initialState(base);
    this.#base = base;
    this.#changed = changed;
    this.#engine = new Engine(spawn, (message) => {
      this.state.panic = message;
      changed();
    });
  }

  // --- start, device, panic ---

  /** Take up the link's state and choose the device. @param {string} fragment @param {string | null} device the query's `device` */
  async start(fragment, device) {
    const { state } = this;
    this.#readLink(fragment);
    try {
      if (device !== null) state.wanted = readDevice(device);
    } catch (error) {
      state.errors.device = messageOf(error);
    }
    await this.#startEngine();
  }

  /** @param {DeviceKind | null} wanted null: automatic */
  async useDevice(wanted) {
    this.state.wanted = wanted;
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
    if (!fragment.replace('#', '')) return;
    state.link = { shared, problems, followed: false };
    if (shared.prompts.length) Object.assign(state, { prompts: shared.prompts, hint: '' });
    state.settings = { feature: shared.feature ?? state.settings.feature, pooling: shared.pooling ?? state.settings.pooling };
    state.wanted = shared.device;
    state.subset = shared.subset;
    if (shared.model) state.model.source = urlSource(shared.model);
    if (shared.data) state.datasetSource = sampleDataset(this.#base);
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
      Object.assign(this.state.model, { source, card: null });
      await this.#ensureModel(signal);
    });
  }

  loadDefault() {
    return this.loadModel(defaultSource(this.#base));
  }

  /** @param {File[]} files */
  loadFiles(files) {
    return this.loadModel(fileSource(files));
  }

  /** @param {string} text */
  async loadUrl(text) {
    let source;
    try {
      source = urlSource(modelUrl(text.trim()));
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
      const { card, heap_bytes } = await this.#engine.call('load', { files: model.source.files }, {
        signal,
        progress: (progress) => {
          model.progress = progress;
          this.#changed();
        },
      });
      Object.assign(model, { card, heap: heap_bytes });
      Object.assign(this.state, { comparison: null, outcome: null });
    } catch (error) {
      if (!isQuiet(error) && this.state.device) errors.model = messageOf(error);
      throw error;
    } finally {
      Object.assign(model, { loading: false, progress: null });
    }
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
      const [texts, settings] = [[...state.prompts], state.settings];
      await this.#ensureModel(signal);
      try {
        const embeddings = await this.#engine.call('embed', { texts, settings });
        state.comparison = { texts, settings, embeddings };
      } catch (error) {
        state.emptyPrompt = error instanceof WorkerError && error.code === 'EmptyPrompt';
        throw error;
      }
    });
  }

  // --- TED-6K ---

  openSample() {
    return this.#openDataset(sampleDataset(this.#base));
  }

  /** @param {File} file */
  openFile(file) {
    return this.#openDataset(fileDataset(file));
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
    Object.assign(this.state, { subset: this.#subset(), dataset: null, count: null });
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
    state.subset = {
      ...subset,
      caption_types: ticked(dataset.caption_types, subset.caption_types),
      question_types: ticked(dataset.question_types, subset.question_types),
    };
    Object.assign(state, { dataset, datasetSource: source });
    if (lacking.length) state.errors.ted = `\`${dataset.file}\` has no items of the type ${lacking.join(', ')}.`;
    await this.#count();
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
    const count = none ? { items: 0, texts: 0 } : await this.#engine.call('count', { subset: this.#subset() });
    if (state.subset === subset) state.count = count; // else a later choice is being counted
  }

  /** The subset as the worker and links take it: an empty list where every type is ticked. */
  #subset() {
    const { subset, dataset } = this.state;
    const all = (/** @type {string[]} */ types, /** @type {object} */ of) => types.length === Object.keys(of).length;
    return {
      ...subset,
      caption_types: dataset && all(subset.caption_types, dataset.caption_types) ? [] : subset.caption_types,
      question_types: dataset && all(subset.question_types, dataset.question_types) ? [] : subset.question_types,
    };
  }

  async evaluate() {
    const { state } = this;
    await this.#work('ted', async (signal) => {
      const { settings } = state;
      try {
        await this.#ensureModel(signal);
        await this.#ensureDataset();
        const started = performance.now();
        const report = await this.#engine.call('evaluate', { subset: this.#subset(), settings }, {
          signal,
          progress: (progress) => {
            state.run = { progress, elapsed: performance.now() - started };
            this.#changed();
          },
        });
        const { sample, name } = /** @type {DatasetSource} */ (state.datasetSource);
        state.outcome = { report, settings, sample, file: name, model: state.model.card?.name ?? '' };
      } finally {
        state.run = null;
      }
    });
  }

  // --- share ---

  /** The link to this state. @param {string} page its address without query and fragment @param {(url: string) => Promise<void>} copy */
  async share(page, copy) {
    const { state } = this;
    const { report, settings } = state.outcome ?? {};
    const statistics = report?.summary.accuracy_statistics;
    state.errors.share = '';
    try {
      const fragment = encodeState({
        prompts: state.prompts.filter((prompt) => prompt.trim() !== ''),
        ...state.settings,
        device: state.wanted,
        model: state.model.source.kind === 'url' ? state.model.source.name : null,
        data: state.datasetSource?.sample ? 'sample' : null,
        subset: this.#subset(),
        result: statistics?.total_samples && settings ? { correct: statistics.total_correct, total: statistics.total_samples, ...settings } : null,
      });
      const url = `${page}#${fragment}`;
      const copied = await copy(url).then(() => 'Copied.', () => 'Copy it from the field below.');
      const local = state.model.source.kind === 'files' ? ' Your model file is not in it: it opens with the default model.' : '';
      state.sharing = { url, note: copied + local };
    } catch (error) {
      state.errors.share = messageOf(error);
    }
    this.#changed();
  }

  // --- work ---

  /** Ask the running task to stop. */
  stop() {
    this.#abort.abort();
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
      await work(this.#abort.signal);
    } catch (error) {
      if (!isQuiet(error)) state.errors[section] = messageOf(error);
    } finally {
      state.task = null;
      this.#changed();
    }
  }
}

/** All types of the file, or those of them that the subset names. @param {Record<string, number>} types @param {string[]} named */
function ticked(types, named) {
  const all = Object.keys(types);
  return named.length === 0 ? all : all.filter((type) => named.includes(type));
}

/** The person's own doing, which needs no message. @param {unknown} error */
function isQuiet(error) {
  return isRestart(error) || (error instanceof WorkerError && error.code === 'Cancelled');
}

/** @param {unknown} error */
function isRestart(error) {
  return error instanceof WorkerError && error.code === 'Restarted';
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
