// The interrupted run that can be resumed: what it is, how far it is, and what stands in the way.
import { defaultSource, modelUrl, urlSource } from '../sources/model.js';

/** @import { ModelSource } from '../sources/model.js' */
/** @import { EvaluateProgress, Settings, Subset } from '../types/wasm' */
/** @import { HeldSource, Run, State, Unfinished } from './state' */

/**
 * The facts about a model that a run depends on: its source, how it is packed and computes, and what it adds to texts.
 * @param {State['model']} model
 * @returns {HeldSource}
 */
export function heldSource({ source: { kind, name }, options: { quantize, arithmetic, special_tokens } }) {
  return { kind, name, quantize, arithmetic, special_tokens };
}

/**
 * The run after another step. `from` moves along while texts are restored, so that the pace is that of encoding.
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

/** What remains of a run whose worker was ended, in a sentence. @param {State} state */
export function whatStays({ unfinished, unstored }) {
  if (!unfinished?.texts) return 'No text was done yet.';
  return unstored
    ? 'Its partial report is lost.'
    : 'Its partial report is lost; finished texts are stored, and Resume goes on from them.';
}

/**
 * What the person has to pick before the run can be resumed, in a sentence; '' if nothing.
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
 * The source of the run's model; null if the page cannot open it by itself.
 * @param {Unfinished['model']} model
 * @param {string} base
 * @returns {ModelSource | null}
 */
export function modelOf({ kind, name, sha256 }, base) {
  if (kind === 'files') return null;
  return kind === 'default' ? defaultSource(base) : urlSource(modelUrl(name), sha256);
}

/** The chosen data set, or an empty name. @param {Pick<State, 'datasetSource'>} state */
export function dataOf({ datasetSource }) {
  return datasetSource ?? { name: '', sample: false };
}
