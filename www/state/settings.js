// The settings of a run and the subset of the data set: how they are read, and how the worker takes them.

/** @import { Arithmetic, DeviceKind, Feature, Pooling, Quantize, SpecialTokens, Subset } from '../types/wasm' */
/** @import { State } from './state' */

/**
 * The weights of `weighted`: those of the sliders, otherwise the adapter's.
 * @param {Pick<State, 'settings' | 'adapter'>} state
 */
export function weightsOf({ settings, adapter }) {
  return settings.layer_weights ?? adapter.card?.layer_weights ?? null;
}

/**
 * The settings with their weights written out, wherever these come from.
 * @param {Pick<State, 'settings' | 'adapter'>} state
 * @returns {State['settings']}
 */
export function wholeSettings(state) {
  return { ...state.settings, layer_weights: state.settings.feature === 'weighted' ? weightsOf(state) : null };
}

/**
 * Settings that this adapter cannot serve fall back to ones that always run.
 * @param {State['settings']} settings
 * @param {State['adapter']['card']} card
 */
export function withoutAdapter(settings, card) {
  const pools = card !== null && card.kind !== 'layer_weights';
  return {
    ...settings,
    pooling: settings.pooling === 'adapter' && !pools ? /** @type {const} */ ('mean') : settings.pooling,
    feature:
      settings.feature === 'weighted' && !weightsOf({ settings, adapter: { file: null, card, missing: '', note: '' } })
        ? /** @type {const} */ ('norm_avg')
        : settings.feature,
  };
}

/** The subset of all items. @returns {Subset} */
export function wholeSubset() {
  return { caption_types: [], question_types: [], per_type: null, captions: null, seed: 42 };
}

/**
 * The subset as the worker, links and the storage take it: an empty list where every type is ticked.
 * @param {Pick<State, 'subset' | 'dataset'>} state
 * @returns {Subset}
 */
export function subsetOf({ subset, dataset }) {
  const all = (/** @type {string[]} */ types, /** @type {object} */ of) => types.length === Object.keys(of).length;
  return {
    ...subset,
    caption_types: dataset && all(subset.caption_types, dataset.caption_types) ? [] : subset.caption_types,
    question_types: dataset && all(subset.question_types, dataset.question_types) ? [] : subset.question_types,
  };
}

// --- readers of what a link, a field or the storage says; each throws if the value is not known ---

const FEATURES = /** @type {const} */ (['last', 'last_prenorm', 'penultimate', 'norm_avg', 'weighted']);

/** @param {string} value @returns {Feature} */
export function readFeature(value) {
  const plain = FEATURES.find((feature) => feature === value);
  if (plain) return plain;
  const layer = /^layer\(([1-9]\d{0,2})\)$/.exec(value);
  if (!layer) throw unknown('feature', value, `${FEATURES.join(', ')}, layer(1) to layer(999)`);
  return `layer(${Number(layer[1])})`;
}

/** @param {string} value @returns {Pooling} */
export function readPooling(value) {
  if (value !== 'mean' && value !== 'last_token' && value !== 'adapter')
    throw unknown('pooling', value, 'mean, last_token, adapter');
  return value;
}

/** @param {string} value @returns {DeviceKind} */
export function readDevice(value) {
  if (value !== 'webgpu' && value !== 'cpu') throw unknown('device', value, 'webgpu, cpu');
  return value;
}

/** @param {string} value @returns {Quantize} */
export function readQuantize(value) {
  if (value !== 'q8' && value !== 'q4') throw unknown('quantize', value, 'q8, q4');
  return value;
}

/** @param {string} value @returns {Arithmetic} */
export function readArithmetic(value) {
  if (value !== 'f32' && value !== 'f16' && value !== 'int8') throw unknown('arithmetic', value, 'f32, f16, int8');
  return value;
}

/** @param {string} value @returns {SpecialTokens} */
export function readSpecialTokens(value) {
  if (value !== 'file' && value !== 'none') throw unknown('special_tokens', value, 'file, none');
  return value;
}

/** The error for a value that is not known. @param {string} what @param {string} value @param {string} expected */
export function unknown(what, value, expected) {
  return new Error(`The link's ${what} ${quote(value)} is not known here; expected: ${expected}.`);
}

/** Untrusted text in quotation marks, cut where it is long. @param {string} text */
export function quote(text) {
  return `"${text.length > 40 ? `${text.slice(0, 40)}…` : text}"`;
}
