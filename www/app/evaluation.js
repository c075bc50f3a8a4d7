// What a person can do with TED-6K: open a data set, choose a subset of it, run it, pause, resume.
import { fileDataset, sampleDataset } from '../sources/dataset.js';
import { advance, dataOf, heldSource, modelOf, obstacle, unfinishedRun } from '../state/resume.js';
import { subsetOf, wholeSettings } from '../state/settings.js';
import { isRestart, messageOf } from '../worker/errors.js';

/** @import { DatasetSource } from '../sources/dataset.js' */
/** @import { Outcome } from '../state/state' */
/** @import { Dataset, Subset } from '../types/wasm' */
/** @import { Lending } from './lending' */
/** @import { Model } from './model.js' */
/** @import { Reports } from './reports.js' */

export class Evaluation {
  #app;
  #model;
  #reports;
  #pausing = false;

  /** @param {Lending} app @param {Model} model @param {Reports} reports */
  constructor(app, model, reports) {
    this.#app = app;
    this.#model = model;
    this.#reports = reports;
  }

  openSample() {
    return this.#open(sampleDataset(this.#app.base));
  }

  /** @param {File} file */
  openFile(file) {
    return this.#open(fileDataset(file));
  }

  /** Opens the data set that a link or the last visit chose. */
  openDataset() {
    return this.#app.work('ted', () => this.ensureDataset());
  }

  /** @param {DatasetSource} source */
  #open(source) {
    const { state, work } = this.#app;
    return work('ted', async () => {
      this.closeDataset();
      state.datasetSource = null;
      await this.ensureDataset(source);
    });
  }

  /** Forgets the open data set: the worker that had it is gone, or another one is opened. */
  closeDataset() {
    const { state } = this.#app;
    Object.assign(state, { subset: subsetOf(state), dataset: null, count: null, studyPaused: null });
  }

  /** Opens the data set in the worker, unless it is open. Names the types of the subset that the file lacks. */
  async ensureDataset(source = this.#app.state.datasetSource) {
    const { state, open, call } = this.#app;
    if (state.dataset || !source) return;
    const bytes = await source.read();
    await open();
    const dataset = await call('open_dataset', { name: source.name, bytes });
    const { subset } = state;
    const lacking = [
      ...subset.caption_types.filter((type) => !Object.hasOwn(dataset.caption_types, type)),
      ...subset.question_types.filter((type) => !Object.hasOwn(dataset.question_types, type)),
    ];
    Object.assign(state, { dataset, datasetSource: source, subset: withTicks(subset, dataset) });
    if (lacking.length) state.errors.ted = `\`${dataset.file}\` has no items of the type ${lacking.join(', ')}.`;
    await this.#count();
    if (!lacking.length) this.#checkLink();
    await this.#reports.fillItem();
  }

  /** Tells where the link's subset, if it is the one in use, has other items here. */
  #checkLink() {
    const { state } = this.#app;
    const { link, count, errors, dataset } = state;
    const id = link?.shared.subset_id;
    if (!id || !count?.id || count.id === id || JSON.stringify(subsetOf(state)) !== JSON.stringify(link.shared.subset))
      return;
    errors.ted = `The link's subset (id ${id}) is of another data set: \`${dataset?.file}\` gives id ${count.id}.`;
  }

  /** @param {Subset} subset */
  async setSubset(subset) {
    const { state, changed } = this.#app;
    state.subset = subset;
    state.errors.ted = '';
    changed();
    try {
      await this.#count();
    } catch (error) {
      state.count = null;
      if (!isRestart(error)) state.errors.ted = messageOf(error);
    }
    changed();
  }

  async #count() {
    const { state, call } = this.#app;
    const { subset } = state;
    const none = subset.caption_types.length === 0 || subset.question_types.length === 0;
    const count = none ? { items: 0, texts: 0, id: '' } : await call('count', { subset: subsetOf(state) });
    if (state.subset === subset) state.count = count; // otherwise a later choice is being counted
  }

  /** Starts a run. Texts that another run finished are not encoded again. */
  run() {
    return this.#app.work('ted', (signal) => this.#run(signal, () => {}));
  }

  /** Resumes the run that was paused, or that a reload ended. */
  async resume() {
    const { state, base, changed, work } = this.#app;
    const { unfinished } = state;
    if (!unfinished || state.task) return;
    const missing = obstacle(unfinished, state);
    if (missing) {
      state.errors.ted = missing;
      return changed();
    }
    const { subset, settings, model, data } = unfinished;
    await work('ted', async (signal) => {
      const source = modelOf(model, base);
      if (source) this.#model.use(source);
      const { quantize, arithmetic, special_tokens } = model;
      const now = state.model.options;
      if (now.quantize !== quantize || now.arithmetic !== arithmetic || now.special_tokens !== special_tokens)
        this.#model.hold({ quantize, arithmetic, special_tokens });
      if (data.sample && !state.datasetSource?.sample)
        Object.assign(state, { dataset: null, datasetSource: sampleDataset(base) });
      Object.assign(state, { settings, subset: state.dataset ? withTicks(subset, state.dataset) : subset });
      if (state.dataset) await this.#count();
      await this.#run(signal, (sha256) => {
        if (data.sha256 && sha256 !== data.sha256)
          throw new Error(
            `\`${data.name}\` is another file than the one of the unfinished run (SHA-256 ${sha256.slice(0, 12)}…, not ${data.sha256.slice(0, 12)}…).`,
          );
      });
    });
  }

  /**
   * @param {AbortSignal} signal
   * @param {(sha256: string) => void} check given the data set's hash; throws where it is not the wanted one
   */
  async #run(signal, check) {
    const { state, changed, ensureModel, paced } = this.#app;
    this.#pausing = false;
    state.partial = null;
    try {
      await ensureModel(signal);
      await this.ensureDataset();
      check(state.dataset?.sha256 ?? '');
      const settings = wholeSettings(state);
      const subset = subsetOf(state);
      const started = performance.now();
      const report = await paced(
        'evaluate',
        { subset, settings },
        {
          signal,
          progress: (progress) => {
            state.run = advance(state.run, progress, performance.now() - started);
            state.unfinished = unfinishedRun(state, subset, settings, progress);
            changed();
          },
        },
      );
      const { sample, name } = dataOf(state);
      /** @type {Outcome} */
      const outcome = {
        report,
        settings,
        sample,
        file: name,
        model: state.model.card?.name ?? '',
        source: heldSource(state.model),
      };
      const paused = this.#pausing && !report.summary.complete;
      Object.assign(state, paused ? { partial: outcome } : { outcome, unfinished: null, partial: null });
    } finally {
      state.run = null;
    }
  }

  /** Stops the run and keeps its work, so that it can be resumed. */
  pause() {
    this.#pausing = true;
    this.#app.stop();
  }

  /** Gives the unfinished run up and shows its partial report, if there is one. Its vectors stay in the storage. */
  abandon() {
    const { state, changed } = this.#app;
    Object.assign(state, { outcome: state.partial ?? state.outcome, unfinished: null, partial: null });
    changed();
  }
}

/**
 * The subset with every type ticked that its empty lists stand for.
 * @param {Subset} subset
 * @param {Dataset} dataset
 * @returns {Subset}
 */
function withTicks(subset, dataset) {
  return {
    ...subset,
    caption_types: ticked(dataset.caption_types, subset.caption_types),
    question_types: ticked(dataset.question_types, subset.question_types),
  };
}

/**
 * The types that are ticked: those of the file that the subset names, or all where it names none.
 * @param {Record<string, number>} types
 * @param {string[]} named
 */
function ticked(types, named) {
  const all = Object.keys(types);
  return named.length === 0 ? all : all.filter((type) => named.includes(type));
}
