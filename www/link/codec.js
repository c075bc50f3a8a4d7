// The share link: a state in the URL fragment, which never reaches a server. Its fields, in this order:
//   v=1
//   p=a+red+cube           a prompt; one field for each
//   feature=norm_avg&pooling=mean
//   weights=0,0.5,-1.25    before softmax; with feature=weighted
//   reference_precision=1
//   device=cpu
//   model=https://...&sha256=...    the hash is that of the model's one file
//   quantize=q8&arithmetic=int8&special_tokens=none
//   data=sample&caption_type=image&question_type=OCR&per_type=2&captions=5&seed=42&id=8f1b2c3d4e
//   item=image_0|OCR
//   result=21/40,norm_avg,mean
// A link is untrusted: every length is bounded and every value checked; what is refused is left out and said.
import { modelUrl } from '../sources/model.js';
import { MAX_PROMPT, MAX_PROMPTS } from '../state/limits.js';
import {
  quote,
  readArithmetic,
  readDevice,
  readFeature,
  readPooling,
  readQuantize,
  readSpecialTokens,
  unknown,
  wholeSubset,
} from '../state/settings.js';
import { messageOf } from '../worker/errors.js';

/** @import { Headline, ItemId, SharedState } from '../state/state' */

const MAX_FRAGMENT = 16 * 1024;
const MAX_TYPES = 32;
const MAX_TYPE = 40;
const MAX_SEED = 2 ** 32 - 1;
const MAX_ITEMS = 1_000_000;
const MAX_KEY = 1000;
const MAX_WEIGHTS = 128;

/** @returns {SharedState} */
export function emptyState() {
  return {
    prompts: [],
    feature: null,
    pooling: null,
    weights: null,
    reference_precision: false,
    device: null,
    model: null,
    sha256: null,
    quantize: null,
    arithmetic: 'f32',
    special_tokens: 'file',
    data: null,
    subset: wholeSubset(),
    subset_id: null,
    item: null,
    result: null,
  };
}

/** Writes a state as a fragment, without '#'. Throws if it is too long for a link. @param {SharedState} state */
export function encodeState(state) {
  const { subset, result } = state;
  const fields = new URLSearchParams({ v: '1' });
  const add = (/** @type {string} */ key, /** @type {string | number | null} */ value) => {
    if (value !== null) fields.append(key, String(value));
  };
  for (const prompt of state.prompts) add('p', prompt);
  add('feature', state.feature);
  add('pooling', state.pooling);
  add('weights', state.weights && writeWeights(state.weights));
  add('reference_precision', state.reference_precision ? 1 : null);
  add('device', state.device);
  add('model', state.model);
  add('sha256', state.sha256);
  add('quantize', state.quantize);
  add('arithmetic', state.arithmetic === 'f32' ? null : state.arithmetic);
  add('special_tokens', state.special_tokens === 'file' ? null : state.special_tokens);
  add('data', state.data);
  for (const type of subset.caption_types) add('caption_type', type);
  for (const type of subset.question_types) add('question_type', type);
  add('per_type', subset.per_type);
  add('captions', subset.captions);
  add('seed', subset.seed);
  add('id', state.subset_id);
  add('item', state.item && writeItem(state.item));
  if (result) add('result', `${result.correct}/${result.total},${result.feature},${result.pooling}`);

  const fragment = fields.toString();
  if (fragment.length > MAX_FRAGMENT) {
    throw new Error(
      `These prompts are too long for a link: it would have ${fragment.length} characters, at most ${MAX_FRAGMENT} work everywhere.`,
    );
  }
  return fragment;
}

/**
 * @param {string} fragment with or without '#'
 * @returns {{ state: SharedState, problems: string[] }} problems: a sentence for each thing refused
 */
export function decodeState(fragment) {
  const state = emptyState();
  /** @type {string[]} */
  const problems = [];
  const text = fragment.replace(/^#/, '');
  if (text === '') return { state, problems };
  if (text.length > MAX_FRAGMENT) {
    return { state, problems: [`The link has ${text.length} characters; at most ${MAX_FRAGMENT} are read.`] };
  }
  const fields = new URLSearchParams(text);
  if (fields.get('v') !== '1') {
    return {
      state,
      problems: [`The link is of version ${quote(fields.get('v') ?? 'none')}, this page reads version "1".`],
    };
  }
  /** @type {Set<string>} */
  const seen = new Set(['v']);
  for (const [key, value] of fields) {
    const read = READERS.get(key);
    try {
      if (key === 'v') continue;
      if (!read) throw new Error(`The link has an unknown field ${quote(key)}.`);
      if (seen.has(key) && !REPEATED.has(key)) throw new Error(`The link has the field ${quote(key)} twice.`);
      seen.add(key);
      read(state, value);
    } catch (error) {
      problems.push(messageOf(error));
    }
  }
  return { state, problems: [...new Set(problems)].slice(0, 10) };
}

const REPEATED = new Set(['p', 'caption_type', 'question_type']);

/** @type {Map<string, (state: SharedState, value: string) => void>} */
const READERS = new Map([
  [
    'p',
    (state, value) => {
      if (value.length > MAX_PROMPT)
        throw new Error(`The link has a prompt of ${value.length} characters; at most ${MAX_PROMPT} are taken.`);
      if (state.prompts.length === MAX_PROMPTS)
        throw new Error(`The link has more than ${MAX_PROMPTS} prompts: the rest is left out.`);
      state.prompts.push(value);
    },
  ],
  ['feature', (state, value) => void (state.feature = readFeature(value))],
  ['pooling', (state, value) => void (state.pooling = readPooling(value))],
  ['weights', (state, value) => void (state.weights = readWeights(value))],
  [
    'reference_precision',
    (state, value) => {
      if (value !== '1') throw unknown('reference_precision', value, '1');
      state.reference_precision = true;
    },
  ],
  ['device', (state, value) => void (state.device = readDevice(value))],
  ['model', (state, value) => void (state.model = modelUrl(value))],
  [
    'sha256',
    (state, value) => {
      if (!/^[0-9a-f]{64}$/.test(value)) throw unknown('sha256', value, '64 hexadecimal digits');
      state.sha256 = value;
    },
  ],
  ['quantize', (state, value) => void (state.quantize = readQuantize(value))],
  ['arithmetic', (state, value) => void (state.arithmetic = readArithmetic(value))],
  ['special_tokens', (state, value) => void (state.special_tokens = readSpecialTokens(value))],
  [
    'data',
    (state, value) => {
      if (value !== 'sample') throw unknown('data set', value, 'sample');
      state.data = value;
    },
  ],
  ['caption_type', (state, value) => readType(state.subset.caption_types, value)],
  ['question_type', (state, value) => readType(state.subset.question_types, value)],
  ['per_type', (state, value) => void (state.subset.per_type = readInteger('per_type', value, 1, MAX_ITEMS))],
  ['captions', (state, value) => void (state.subset.captions = readInteger('captions', value, 1, MAX_ITEMS))],
  ['seed', (state, value) => void (state.subset.seed = readInteger('seed', value, 0, MAX_SEED))],
  [
    'id',
    (state, value) => {
      if (!/^[0-9a-f]{10}$/.test(value)) throw unknown('subset id', value, 'ten hexadecimal digits');
      state.subset_id = value;
    },
  ],
  ['item', (state, value) => void (state.item = readItem(value))],
  ['result', (state, value) => void (state.result = readResult(value))],
]);

/** Writes weights with four decimals. @param {number[]} weights */
function writeWeights(weights) {
  if (weights.length > MAX_WEIGHTS)
    throw new Error(`${weights.length} layer weights are too many for a link: at most ${MAX_WEIGHTS} are taken.`);
  return weights.map((weight) => String(Number(weight.toFixed(4)))).join(',');
}

/** @param {string} value @returns {number[]} */
function readWeights(value) {
  const parts = value.split(',', MAX_WEIGHTS + 1);
  if (parts.length > MAX_WEIGHTS) throw new Error(`The link has more than ${MAX_WEIGHTS} layer weights.`);
  if (!parts.every((part) => /^-?\d{1,6}(\.\d{1,4})?$/.test(part)))
    throw unknown('weights', value, 'numbers such as 0,0.5,-1.25');
  return parts.map(Number);
}

/**
 * Adds the name of a type. Data sets have their own names: those that one lacks are refused when it is opened.
 * @param {string[]} types
 * @param {string} value
 */
function readType(types, value) {
  if (!/^[\w \-]+$/.test(value) || value.length > MAX_TYPE) throw unknown('type of item', value, 'a short name');
  if (types.length === MAX_TYPES)
    throw new Error(`The link has more than ${MAX_TYPES} types of items: the rest is left out.`);
  if (!types.includes(value)) types.push(value);
}

/** @param {ItemId} item */
function writeItem({ caption_key, question_type }) {
  const text = `${caption_key}|${question_type}`;
  if (!parseItem(text))
    throw new Error(
      `The key of this item's caption is too long for a link, or holds control characters: ` +
        `it has ${caption_key.length} characters, at most ${MAX_KEY} are taken.`,
    );
  return text;
}

/** @param {string} value @returns {ItemId} */
function readItem(value) {
  const item = parseItem(value);
  if (!item) throw unknown('item', value, 'such as image_0|OCR');
  return item;
}

/** @param {string} value @returns {ItemId | null} */
function parseItem(value) {
  if (value.length > MAX_KEY + MAX_TYPE + 1) return null;
  const [, caption_key, question_type] = /^([^\p{Cc}]+)\|([\w \-]+)$/u.exec(value) ?? [];
  return caption_key && caption_key.length <= MAX_KEY && question_type.length <= MAX_TYPE
    ? { caption_key, question_type }
    : null;
}

/** @param {string} name @param {string} value @param {number} least @param {number} most */
function readInteger(name, value, least, most) {
  const number = /^\d{1,10}$/.test(value) ? Number(value) : NaN;
  if (!(number >= least && number <= most)) throw unknown(name, value, `a whole number from ${least} to ${most}`);
  return number;
}

/** @param {string} value @returns {Headline} */
function readResult(value) {
  const parts = /^(\d{1,7})\/(\d{1,7}),([^,]+),([^,]+)$/.exec(value);
  const [correct, total] = [Number(parts?.[1]), Number(parts?.[2])];
  if (!parts || !(correct <= total && 1 <= total && total <= MAX_ITEMS))
    throw unknown('result', value, 'such as 21/40,norm_avg,mean');
  return { correct, total, feature: readFeature(parts[3]), pooling: readPooling(parts[4]) };
}
