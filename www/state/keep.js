// Keeps the state for the next visit: each part under its name in IndexedDB (`kept` in database.js). What is read from
// there is validated like untrusted input: a value of another shape is left out. If two tabs write, the last one wins.
import { sampleDataset } from '../sources/dataset.js';
import { urlSource } from '../sources/model.js';
import { reason } from '../storage/database.js';
import { initialState } from './initial.js';
import { SHAPES } from './kept-shapes.js';
import { reportsOf } from './reports.js';
import { subsetOf, weightsOf, withoutAdapter } from './settings.js';
import { one, record } from './shape.js';

/** @import { DatasetSource } from '../sources/dataset.js' */
/** @import { Database } from '../storage/database.js' */
/** @import { Kept, KeptPage } from './kept-shapes.js' */
/** @import { Shape } from './shape.js' */
/** @import { State } from './state' */

const VERSION = 1;
const DELAY = 200; // ms during which changes gather into one write
const DEADLINE = 3000; // ms after which a storage that does not answer is given up
const MAX_PRODUCTS = 16e6; // floats of a study, 64 MB

/**
 * Adds to values what had no choice when they were kept: the arithmetic, f32, and the special tokens, the file's.
 * @param {string} name
 * @param {any} stored
 */
function completed(name, stored) {
  const value = stored?.value;
  const held = { page: value?.options, unfinished: value?.model, outcome: value?.source }[name];
  if (held && typeof held === 'object') {
    held.arithmetic ??= 'f32';
    held.special_tokens ??= 'file';
  }
  return stored;
}

export class Keeper {
  #database;
  #told;
  #refused = false;
  /** @type {State | null} null until `begin` */
  #state = null;
  /** @type {Map<string, unknown>} parallel to `contents`: what the storage has, or what the page began with */
  #written = new Map();
  #held = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {() => Promise<Database>} open
   * @param {(message: string) => void} told called with the reason why nothing is kept, at most once
   */
  constructor(open, told) {
    this.#told = told;
    this.#database = open();
    this.#database.catch((error) => this.#refuse(error));
  }

  /** Reads what the last visit kept. Never rejects. @returns {Promise<Kept>} */
  async read() {
    /** @type {Kept} */
    const kept = { page: null, unfinished: null, outcome: null, imported: null, comparison: null, study: null };
    const names = /** @type {(keyof Kept)[]} */ (Object.keys(kept));
    try {
      const values = await soon(this.#database.then((database) => database.get('kept', names)));
      names.forEach((name, at) => (kept[name] = checked(completed(name, values[at]), SHAPES[name])));
    } catch (error) {
      this.#refuse(error);
    }
    return kept;
  }

  /**
   * The data set that the last visit had open; its file is read when it is needed.
   * @param {string} name
   * @returns {DatasetSource}
   */
  dataset(name) {
    return {
      name,
      sample: false,
      read: async () => {
        const [value] = await (await this.#database).get('kept', ['dataset']);
        const kept = checked(value, record({ name: one(name), bytes: (bytes) => bytes instanceof Uint8Array }));
        if (!kept) throw new Error(`\`${name}\` is not kept here any more: pick the file again.`);
        return kept.bytes;
      },
    };
  }

  /**
   * Keeps the state from now on. A state that came from a link is kept only after the person does something.
   * @param {State} state
   */
  begin(state) {
    this.#state = state;
    this.#written = new Map(Object.entries(contents(state)));
    this.#held = state.link !== null;
  }

  /** Called after each change of the state: schedules a write. */
  save() {
    const task = this.#state?.task;
    if (this.#held && task && task !== 'items') this.#release(); // the item of a link is read without the person asking
    if (this.#state && !this.#refused) this.#timer ??= setTimeout(() => this.flush(), DELAY);
  }

  #release() {
    this.#held = false;
    this.#written.delete('page');
  }

  /** Writes the parts that have changed. Never rejects. */
  async flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const state = this.#state;
    if (!state || this.#refused) return;
    const changed = () => Object.entries(contents(state)).filter(([name, value]) => this.#written.get(name) !== value);
    if (this.#held && changed().length) this.#release();
    try {
      for (const [name, value] of changed()) {
        this.#written.set(name, value);
        await this.#write(name, value);
      }
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** @param {string} name @param {unknown} value a value of `contents` */
  async #write(name, value) {
    const database = await this.#database;
    const stored = await storable(name, value);
    if (stored === null) await database.remove('kept', [name]);
    else await database.put('kept', [[name, { version: VERSION, value: stored }]]);
  }

  /** Forgets everything, vectors too. What the person does from now on is kept again. */
  async forget() {
    try {
      const database = await this.#database;
      await database.clear('kept');
      await database.clear('vectors');
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** The number of kept vectors; null if it cannot be told. */
  async vectors() {
    try {
      return await (await this.#database).count('vectors');
    } catch {
      return null;
    }
  }

  /** @param {unknown} error */
  #refuse(error) {
    if (this.#refused) return;
    this.#refused = true;
    this.#told(`Nothing is kept for the next visit: ${reason(error)}.`);
  }
}

/**
 * The parts of the state that are kept, by name. A part has changed if its value is another object.
 * @param {State} state
 */
function contents(state) {
  const { datasetSource: dataset, unfinished, outcome, imported, comparison, study } = state;
  return { page: JSON.stringify(pageOf(state)), dataset, unfinished, outcome, imported, comparison, study };
}

/** @param {State} state @returns {KeptPage} */
function pageOf(state) {
  const { prompts, hint, model, adapter, datasetSource, item, fragment } = state;
  return {
    prompts,
    hint,
    fragment,
    settings: { ...state.settings, layer_weights: weightsOf(state) }, // an adapter's own weights outlive its file
    subset: subsetOf(state),
    wanted: state.forced ? null : state.wanted,
    model: model.missing ? { kind: 'files', name: model.missing } : keptSource(model.source),
    options: {
      quantize: model.options.quantize,
      arithmetic: model.options.arithmetic,
      special_tokens: model.options.special_tokens,
      budget_mb: model.options.budget_mb,
      streamed: model.options.streamed && !model.options.out_of_memory,
    },
    adapter: (adapter.file?.name ?? adapter.missing) || null,
    data: datasetSource && { name: datasetSource.name, sample: datasetSource.sample },
    item: item && { caption_key: item.caption_key, question_type: item.question_type },
  };
}

/** @param {State['model']['source']} source */
function keptSource({ kind, name, sha256 }) {
  return sha256 ? { kind, name, sha256 } : { kind, name };
}

/** The value that is stored for a part; null: none. @param {string} name @param {any} value */
async function storable(name, value) {
  if (name === 'page') return JSON.parse(value);
  if (value === null || value.length === 0) return null;
  if (name === 'dataset')
    return value.sample
      ? null
      : value.read().then(
          (/** @type {Uint8Array} */ bytes) => ({ name: value.name, bytes }),
          () => null,
        );
  const { result } = value;
  return name === 'study' && result.products?.length > MAX_PRODUCTS
    ? { ...value, mixed: null, result: { ...result, products: null } }
    : value;
}

/**
 * Puts back what was kept. A link brings its own prompts, settings and model: these stay as they are.
 * @param {State} state the state that the page begins with
 * @param {Kept} kept
 * @param {{ base: string, linked: boolean, dataset: (name: string) => DatasetSource }} options
 */
export function restore(state, kept, { base, linked, dataset }) {
  const { page, unfinished, outcome, imported, comparison, study } = kept;
  const touched = JSON.stringify(pageOf(state)) !== JSON.stringify(pageOf(initialState(base)));
  Object.assign(state, {
    unfinished,
    outcome,
    study,
    imported: imported?.map((named, at) => ({ ...named, id: `kept-${at + 1}` })) ?? [],
  });
  const [first, second] = reportsOf(state);
  if (first) state.pair = { first: first.id, second: second?.id ?? '' };
  if (page?.data) state.datasetSource ??= page.data.sample ? sampleDataset(base) : dataset(page.data.name);
  if (!page || linked || touched) return;
  const { prompts, hint, settings, subset, wanted, model, options, adapter, item } = page;
  Object.assign(state, {
    prompts,
    hint,
    subset,
    wanted,
    comparison,
    settings: withoutAdapter(settings, null),
    item: item && { ...item, item: null, from: [], called: false },
  });
  state.model.options = { ...options, out_of_memory: false };
  if (model.kind === 'url') state.model.source = urlSource(model.name, model.sha256);
  if (model.kind === 'files') state.model.missing = model.name;
  if (adapter) state.adapter.missing = adapter;
}

/** The stored value, if it has this version and shape; otherwise null. @param {any} stored @param {Shape} shape */
function checked(stored, shape) {
  return stored?.version === VERSION && shape(stored.value) ? stored.value : null;
}

/** @template T @param {Promise<T>} promise @returns {Promise<T>} rejects if it takes too long */
async function soon(promise) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise(
    (_, reject) => (timer = setTimeout(() => reject(new Error('it does not answer')), DEADLINE)),
  );
  try {
    return await /** @type {Promise<T>} */ (Promise.race([promise, late]));
  } finally {
    clearTimeout(timer);
  }
}
