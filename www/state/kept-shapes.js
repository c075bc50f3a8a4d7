// The shapes of what is kept for the next visit, by name: whatever the storage gives is compared with them.
import { MAX_URL, modelUrl } from '../sources/model.js';
import { isSha256 } from '../storage/sha256.js';
import { MAX_PROMPT, MAX_PROMPTS, MAX_REPORTS } from './limits.js';
import { readArithmetic, readDevice, readFeature, readPooling, readQuantize, readSpecialTokens } from './settings.js';
import { amount, flag, floats, list, map, maybe, number, one, readable, record, text } from './shape.js';

/** @import { DeviceKind, LoadOptions, Settings, Subset } from '../types/wasm' */
/** @import { Shape } from './shape.js' */
/** @import { ItemId, NamedReport, Outcome, PromptComparison, Study, Unfinished } from './state' */

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
  model(value) &&
  maybe(readable(readQuantize))(value.quantize) &&
  readable(readArithmetic)(value.arithmetic) &&
  readable(readSpecialTokens)(value.special_tokens);
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
const leftOut = list(record({ caption_key: text, question_type: text, reason: text }));
/** Nothing is left out where it is absent. @type {Shape} */
const leaves = ({ left_out }) => left_out === undefined || leftOut(left_out);
const summary = record({
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
});
const report = record({
  summary: (value) => summary(value) && leaves(value),
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

const isLayer = (/** @type {Study['result']['features'][0]} */ { feature }) => /^layer\(\d+\)$/.test(feature);
const features = list(record({ feature: text, accuracy, ties: amount }));

/** @type {Record<keyof Kept, Shape>} */
export const SHAPES = {
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
        special_tokens: readable(readSpecialTokens),
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
        features: (value) => features(value) && value.some(isLayer),
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
    })(value) &&
    leaves(value.result) &&
    fits(value.result),
};

/** Whether the number of products fits the items. @param {Study['result']} study */
function fits({ items, num_hidden_layers: layers, products }) {
  return !products || products.length === layers ** 2 * items.reduce((sum, { options }) => sum + 1 + 2 * options, 0);
}
