// The app: the state, the worker, and one task at a time. What a person can do lies in its parts; each action changes
// the state and tells the views, and the worker does the work.
import { initialState } from '../state/initial.js';
import { restore } from '../state/keep.js';
import { whatStays } from '../state/resume.js';
import { readDevice } from '../state/settings.js';
import { Engine } from '../worker/engine.js';
import { codeOf, isAsking, isFatal, isQuiet, isRestart, messageOf } from '../worker/errors.js';
import { Pace } from '../worker/pace.js';
import { Benchmark } from './benchmark.js';
import { Evaluation } from './evaluation.js';
import { Layers } from './layers.js';
import { Library } from './library.js';
import { Model } from './model.js';
import { Prompts } from './prompts.js';
import { Reports } from './reports.js';
import { Sharing } from './sharing.js';

/** @import { DatasetSource } from '../sources/dataset.js' */
/** @import { Kept } from '../state/kept-shapes.js' */
/** @import { Section } from '../state/state' */
/** @import { DeviceKind } from '../types/wasm' */
/** @import { Methods } from '../types/worker' */
/** @import { WorkerLike } from '../worker/client.js' */
/** @import { Lending } from './lending' */

/**
 * The sections whose work goes step by step, with the message for a step that does not end: what is lost.
 * @type {Partial<Record<Section, string>>}
 */
const STEPWISE = {
  ted: 'The batch did not end in time, and the encoder was ended with it. ',
  layers: 'The batch did not end in time, and the encoder was ended with it: what the study had is lost.',
  bench: 'The measurement did not end in time, and the encoder was ended with it: its figures are lost.',
};

export class App {
  state;
  model;
  prompts;
  evaluation;
  layers;
  reports;
  benchmark;
  library;
  sharing;
  base;
  #changed;
  #engine;
  #abort = new AbortController();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #impatience;
  #pace = new Pace();
  #begin = () => {};
  /**
   * @type {Promise<void>} resolved at the start: work that is asked for earlier, while the page still reads what was
   *   kept, waits for it
   */
  #begun = new Promise((resolve) => (this.#begin = resolve));

  /**
   * @param {object} options
   * @param {string} options.base the page's address
   * @param {() => WorkerLike} options.spawn
   * @param {() => void} options.changed shows the state
   * @param {'gpu' | 'software' | null} [options.kernels] the class of kernels; null: the adapter's own
   */
  constructor({ base, spawn, changed, kernels = null }) {
    this.state = initialState(base);
    this.base = base;
    this.#changed = changed;
    this.#engine = new Engine(
      spawn,
      kernels,
      (message, code) => {
        if (code === 'OutOfMemory') return; // the model is then loaded layer by layer, in a fresh worker
        this.state.panic = message;
        changed();
      },
      (message) => {
        this.state.unstored = message;
        changed();
      },
    );
    const lending = this.#lend();
    this.library = new Library(lending);
    this.layers = new Layers(lending);
    this.reports = new Reports(lending);
    this.benchmark = new Benchmark(lending);
    this.model = new Model(lending, this.layers, this.library);
    this.prompts = new Prompts(lending, this.layers);
    this.evaluation = new Evaluation(lending, this.model, this.reports);
    this.sharing = new Sharing(lending, this.prompts);
  }

  /** @returns {Lending} */
  #lend() {
    return {
      state: this.state,
      base: this.base,
      changed: this.#changed,
      work: (section, work) => this.#work(section, work),
      stop: () => this.stop(),
      restart: () => this.restart(),
      open: () => this.#open(),
      ask: (method, params, options) => this.#engine.ask(method, params, options),
      call: (method, params, options) => this.#engine.call(method, params, options),
      paced: (method, params, options) => this.#paced(method, params, options),
      ensureModel: (signal) => this.model.ensure(signal),
      ensureDataset: () => this.evaluation.ensureDataset(),
    };
  }

  // --- start, device, panic ---

  /**
   * Takes up what was kept and the link's state, and chooses the device.
   * @param {string} fragment
   * @param {string | null} device the query's `device`
   * @param {object} [before]
   * @param {Kept} before.kept
   * @param {(name: string) => DatasetSource} before.dataset
   * @param {boolean} before.reloaded whether this is a reload: the link was taken up before it
   */
  async start(fragment, device, before) {
    const { state } = this;
    const taken = before?.reloaded && before.kept.page?.fragment === fragment;
    const linked = fragment.replace('#', '') !== '' && !taken;
    if (before) restore(state, before.kept, { ...before, base: this.base, linked });
    state.fragment = fragment;
    if (linked) this.sharing.read(fragment);
    try {
      if (device !== null) Object.assign(state, { wanted: readDevice(device), forced: true });
    } catch (error) {
      state.errors.device = messageOf(error);
    }
    const started = this.restart();
    this.#begin();
    await started;
    if (state.link?.shared.item && state.datasetSource)
      await this.#work('items', () => this.evaluation.ensureDataset());
  }

  /** @param {DeviceKind | null} wanted null: automatic */
  async useDevice(wanted) {
    Object.assign(this.state, { wanted, forced: false });
    this.state.errors.device = '';
    await this.restart();
  }

  /** Starts a fresh worker, after a panic for example. Prompts, settings and the choice of model stay. */
  async restart() {
    const { state } = this;
    state.panic = '';
    this.evaluation.closeDataset();
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

  async #open() {
    const { state } = this;
    try {
      state.device = await this.#engine.open();
    } catch (error) {
      if (!isRestart(error)) state.errors.device = messageOf(error);
      throw error;
    }
  }

  // --- work ---

  /** Asks the running task to stop; a worker that does not stop in time is ended. The work that it stored stays. */
  stop() {
    const { task, model } = this.state;
    if (!task) return;
    const again = this.#abort.signal.aborted;
    this.#abort.abort();
    const stepwise = task in STEPWISE && !model.loading;
    // a pause loses nothing, however long the batch takes; a second one ends the worker
    if (task === 'layers' && stepwise && !again) return;
    this.#impatience ??= setTimeout(
      () => this.#endWorker(stepwise ? task : null),
      this.#pace.patience(stepwise && !model.card?.streamed),
    );
  }

  /** @param {Section | null} stepwise the section whose step did not end */
  #endWorker(stepwise) {
    const { state } = this;
    state.model.note =
      'The encoder did not stop in time and was ended: the model is loaded again with the next action.';
    if (stepwise) state.errors[stepwise] = STEPWISE[stepwise] + (stepwise === 'ted' ? whatStays(state) : '');
    this.restart();
  }

  /**
   * Calls a method that reports each of its steps, and times them.
   * @template {keyof Methods} M
   * @param {M} method
   * @param {Methods[M]['params']} params
   * @param {{ progress?: (value: Methods[M]['progress']) => void, signal?: AbortSignal }} [options]
   */
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

  /**
   * The message for an error, and what to do about it. Where the device can't go on, a fresh worker is started first.
   * @param {unknown} error
   */
  async #recover(error) {
    if (!isFatal(error)) return messageOf(error);
    await this.restart();
    const next = 'A fresh one was opened, and the model is loaded again with the next action.';
    if (codeOf(error) === 'DeviceLost') return `${messageOf(error)}. ${next}`;
    return `The device ran out of memory. ${next} Give it less at a time: see Memory, packing and tokens under Model.`;
  }

  /**
   * Runs one task. A second one is refused while it runs; its buttons are off.
   * @param {Section} section
   * @param {(signal: AbortSignal) => Promise<void>} work
   */
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
      if (!isQuiet(error) && !(section === 'model' && isAsking(error)))
        state.errors[section] = await this.#recover(error);
    } finally {
      clearTimeout(this.#impatience);
      this.#impatience = undefined;
      state.task = null;
      this.#changed();
    }
  }
}
