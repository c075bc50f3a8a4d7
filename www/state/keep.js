// Keeps the state for the next visit: each part under its name in IndexedDB (`kept` in database.js). What is read from
// there is validated like untrusted input: a value of another shape is left out. If two tabs write, the last one wins.
import { sampleDataset } from '../sources/dataset.js';
import { MAX_URL, modelUrl, urlSource } from '../sources/model.js';
import { reason } from '../storage/database.js';
import { isSha256 } from '../storage/sha256.js';
import { initialState } from './initial.js';
import { MAX_PROMPT, MAX_PROMPTS, MAX_REPORTS } from './limits.js';
import { reportsOf } from './reports.js';
import {
  readArithmetic,
  readDevice,
  readFeature,
  readPooling,
  readQuantize,
  subsetOf,
  weightsOf,
  withoutAdapter,
} from './settings.js';
import { amount, flag, floats, list, map, maybe, number, one, readable, record, text } from './shape.js';

/** @import { DatasetSource } from '../sources/dataset.js' */
/** @import { Database } from '../storage/database.js' */
/** @import { DeviceKind, LoadOptions, Settings, Subset } from '../types/wasm' */
/** @import { Shape } from './shape.js' */
/** @import { ItemId, NamedReport, Outcome, PromptComparison, State, Study, Unfinished } from './state' */

/**
 * @typedef {object} KeptPage
 * @property {string[]} prompts
 * @property {string} hint
 * @property {Settings} settings
 * @property {Subset} subset with empty lists where every type is ticked
 * @property {DeviceKind | null} wanted
 * @property {{ kind: 'default' | 'url' | 'files', name: string, sha256?: string }} model
 * @property {Omit<LoadOptions, 'out_of_memory'>} options
 * @property {string | null} adapter the name of the adapter's file
 * @property {{ name: string, sample: boolean } | null} data
 * @property {ItemId | null} item
 * @property {string} fragment the link that the page was opened by
 *
 * @typedef {object} Kept the kept parts by name; the data set's file is kept too, as `dataset`
 * @property {KeptPage | null} page
 * @property {Unfinished | null} unfinished
 * @property {Outcome | null} outcome
 * @property {NamedReport[] | null} imported
 * @property {PromptComparison | null} comparison
 * @property {Study | null} study
 */

const VERSION = 1;
const DELAY = 200; // ms during which changes gather into one write
const DEADLINE = 3000; // ms after which a storage that does not answer is given up
const MAX_PRODUCTS = 16e6; // floats of a study, 64 MB

/** @type {Shape} */
const word = (value) => text(value) && value.length <= MAX_URL;
/** @type {Shape} */
const strings = list(word, 32);
const settings = record({
  feature: readable(readFeature),
  pooling: readable(readPooling),
  layer_weights: maybe(list(number, 1024)),
  reference_precision: flag,
});
const subset = record({
  caption_types: strings,
  question_types: strings,
  per_type: maybe(amount),
  captions: maybe(amount),
  seed: amount,
});
const model = record({ kind: one('default', 'url', 'files'), name: word }); // and optionally a sha256
const held = (/** @type {any} */ value) =>
  model(value) && maybe(readable(readQuantize))(value.quantize) && readable(readArithmetic)(value.arithmetic);
const accuracy = record({
  accuracy: number,
  correct: amount,
  total: amount,
  interval: (value) => list(number, 2)(value) && value.length === 2,
  chance: number,
});
const item = record({
  index: amount,
  caption_key: text,
  caption_type: text,
  question_type: text,
  caption: text,
  question: text,
  options: text,
  statements: list(text, 8),
  correct_answer: text,
  predicted_answer: text,
  confidence_score: number,
  all_scores: list(number, 8),
  is_correct: flag,
});
/** Whether an item has a score for each statement and for both letters. @type {Shape} */
const scored = ({ statements, all_scores: scores, correct_answer: right, predicted_answer: said }) =>
  (statements.length === 0 || statements.length === scores.length) &&
  [right, said].every((letter) => letter.length === 1 && 'ABCDEFGH'.slice(0, scores.length).includes(letter));
const report = record({
  summary: record({
    accuracy_statistics: record({
      overall_accuracy: number,
      total_correct: amount,
      total_samples: amount,
      overall: accuracy,
      caption_type_accuracy: map(accuracy),
      question_type_accuracy: map(accuracy),
      combined_accuracy: map(accuracy),
    }),
    average_confidence: number,
    ties: amount,
    complete: flag,
  }),
  results: list((value) => item(value) && scored(value)),
  provenance: maybe(record({})),
});
const embeddings = record({
  dimension: amount,
  vectors: floats,
  similarity: floats,
  tokens: list(amount),
  truncated: list(flag),
  milliseconds: number,
});

/** @type {Record<keyof Kept, Shape>} */
const SHAPES = {
  page: (value) =>
    record({
      prompts: list((prompt) => text(prompt) && prompt.length <= MAX_PROMPT, MAX_PROMPTS),
      hint: word,
      settings,
      subset,
      wanted: maybe(readable(readDevice)),
      model,
      options: record({
        quantize: maybe(readable(readQuantize)),
        arithmetic: readable(readArithmetic),
        budget_mb: maybe(amount),
        streamed: flag,
      }),
      adapter: maybe(word),
      data: maybe(record({ name: word, sample: flag })),
      item: maybe(record({ caption_key: word, question_type: word })),
      fragment: text,
    })(value) &&
    value.prompts.length > 0 &&
    (value.model.kind !== 'url' || readable(modelUrl)(value.model.name)) &&
    (value.model.sha256 === undefined || isSha256(value.model.sha256)),
  unfinished: record({
    device: readable(readDevice),
    subset,
    settings,
    texts: amount,
    total_texts: amount,
    items: amount,
    correct: amount,
    data: record({ name: word, sample: flag, sha256: word }),
    model: (value) =>
      held(value) &&
      word(value.card) &&
      (value.kind !== 'url' || readable(modelUrl)(value.name)) &&
      (value.sha256 === undefined || isSha256(value.sha256)),
    adapter: maybe(record({ name: word, sha256: word })),
  }),
  outcome: record({ report, settings, sample: flag, file: text, model: text, source: held }),
  imported: list(record({ name: text, report, sample: flag }), MAX_REPORTS),
  comparison: (value) =>
    record({ texts: list(text, MAX_PROMPTS), settings, embeddings, model: text, mixed: flag })(value) &&
    value.texts.length > 0 &&
    value.embeddings.similarity.length === value.texts.length ** 2 &&
    value.embeddings.tokens.length === value.texts.length,
  study: (value) =>
    record({
      result: record({
        pooling: one('mean', 'last_token'),
        features: list(record({ feature: text, accuracy, ties: amount })),
        num_hidden_layers: amount,
        layer_weights: maybe(list(number)),
        items: list(record({ caption_type: text, question_type: text, options: amount, correct: amount })),
        products: maybe(floats),
        tokens: amount,
        texts: amount,
        milliseconds: number,
        subset: record({ id: text, definition: text }),
        complete: flag,
      }),
      model: text,
      file: text,
      sample: flag,
      mixed: maybe(record({ correct: amount, total: amount, ties: amount })),
    })(value) && fits(value.result),
};

/** Whether the number of products fits the items. @param {Study['result']} study */
function fits({ items, num_hidden_layers: layers, products }) {
  return !products || products.length === layers ** 2 * items.reduce((sum, { options }) => sum + 1 + 2 * options, 0);
}

/**
 * Adds the arithmetic to values that were kept before there was a choice: f32.
 * @param {string} name
 * @param {any} stored
 */
function completed(name, stored) {
  const value = stored?.value;
  const held = { page: value?.options, unfinished: value?.model, outcome: value?.source }[name];
  if (held && typeof held === 'object') held.arithmetic ??= 'f32';
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
