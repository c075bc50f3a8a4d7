// What the state says about layers: whether the matrix can follow the sliders, and which study would run now.
import { subsetOf, weightsOf } from './settings.js';

/** @import { Pooling } from '../types/wasm' */
/** @import { Methods } from '../types/worker' */
/** @import { State } from './state' */

/**
 * Whether the matrix can follow the sliders. With an adapter it can't: an adapter is not linear in the layers.
 * @param {State} state
 */
export function canMix({ comparison, settings }) {
  return comparison !== null && settings.pooling !== 'adapter';
}

/** Whether the matrix follows the sliders: the layers of its prompts have been read. @param {State} state */
export function mixes({ comparison, mixing, settings }) {
  return comparison !== null && mixing?.texts === comparison.texts && mixing.pooling === settings.pooling;
}

/** The parameters of a study that would begin now. @param {State} state @returns {Methods['study']['params']} */
export function studyParams(state) {
  return { subset: subsetOf(state), pooling: trainingFree(state.settings.pooling), layer_weights: weightsOf(state) };
}

/** The progress of the paused study, if it would go on now; null: a study would begin anew. @param {State} state */
export function pausedStudy(state) {
  const { studyPaused: paused } = state;
  return paused && JSON.stringify(paused.params) === JSON.stringify(studyParams(state)) ? paused.progress : null;
}

/** The pooling that a study uses: one that needs no training. @param {Pooling} pooling */
export function trainingFree(pooling) {
  return pooling === 'last_token' ? 'last_token' : 'mean';
}
