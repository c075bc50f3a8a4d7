// The run that can be gone on with: what it is, how far it is, and what stands in the way.
import { defaultSource, urlSource, modelUrl } from '../sources/model.js';

/** @import { EvaluateProgress, Settings, Subset } from '../types/wasm' */
/** @import { HeldSource, Run, State, Unfinished } from './state' */
/** @import { ModelSource } from '../sources/model.js' */

/**
 * Where the model comes from and how it is packed and computed: what a run depends on.
 * @param {State['model']} model
 * @returns {HeldSource}
 */
export function heldSource({ source: { kind, name }, options: { quantize, arithmetic } }) {
  return { kind, name, quantize, arithmetic };
}

/**
 * The run as it stands. The pace is that of encoding: what was restored took no time.
 * @param {Run | null} run
 * @param {EvaluateProgress} progress
 * @param {number} elapsed ms
 * @returns {Run}
 */
export function advance(run, progress, elapsed) {
  const restoring = progress.restored !== (run?.progress.restored ?? 0);
  const from = restoring ? { done: progress.done, elapsed } : (run?.from ?? { done: 0, elapsed: 0 });
  return { progress, elapsed, from };
}

/**
 * @param {State} state
 * @param {Subset} subset
 * @param {Settings} settings
 * @param {EvaluateProgress} progress
 * @returns {Unfinished}
 */
export function unfinishedRun(state, subset, settings, { texts, total_texts, items, correct }) {
  const { source, card } = state.model;
  const { name, sample } = dataOf(state);
  const { card: adapter } = state.adapter;
  return {
    subset,
    settings,
    texts,
    total_texts,
    items,
    correct,
    device: state.device?.kind ?? 'cpu',
    data: { name, sample, sha256: state.dataset?.sha256 ?? '' },
    model: { ...heldSource(state.model), card: card?.name ?? '', ...(source.sha256 ? { sha256: source.sha256 } : {}) },
    adapter: settings.pooling === 'adapter' && adapter ? { name: adapter.name, sha256: adapter.sha256 } : null,
  };
}

/** Of a run whose worker was ended. @param {State} state */
export function whatStays({ unfinished, unstored }) {
  if (!unfinished?.texts) return 'No text was done yet.';
  return unstored
    ? 'Its partial report is lost.'
    : 'Its partial report is lost; finished texts are stored, and Resume goes on from them.';
}

/**
 * What has to be picked before the run can go on; '' where nothing.
 * @param {Unfinished} unfinished
 * @param {State} state
 */
export function obstacle({ model, adapter, data }, state) {
  const { source } = state.model;
  if (model.kind === 'files' && (source.kind !== 'files' || source.name !== model.name)) {
    return `Pick \`${model.name}\` under Model first: the page cannot keep a picked model.`;
  }
  if (adapter && state.adapter.card?.sha256 !== adapter.sha256) {
    return `Pick the adapter \`${adapter.name}\` under Model first: the page cannot keep a picked file.`;
  }
  const open = dataOf(state);
  return data.sample || (open.name === data.name && !open.sample)
    ? ''
    : `Open \`${data.name}\` first: another data set is open.`;
}

/**
 * The source of its model, where the page can open that by itself.
 * @param {Unfinished['model']} model
 * @param {string} base
 * @returns {ModelSource | null}
 */
export function modelOf({ kind, name, sha256 }, base) {
  if (kind === 'files') return null;
  return kind === 'default' ? defaultSource(base) : urlSource(modelUrl(name), sha256);
}

/** @param {State} state */
export function dataOf({ datasetSource }) {
  return datasetSource ?? { name: '', sample: false };
}
