// What the state says about layers: whether the matrix can follow the sliders, and which study would run now.
import { subsetOf, weightsOf } from './settings.js';

/** @import { Methods } from '../types/worker' */
/** @import { Pooling } from '../types/wasm' */
/** @import { State } from './state' */

/** Whether the matrix can follow the sliders: an adapter is not linear in the layers. @param {State} state */
export function canMix({ comparison, settings }) {
  return comparison !== null && settings.pooling !== 'adapter';
}

/** Whether it does follow them. @param {State} state */
export function mixes({ comparison, mixing, settings }) {
  return comparison !== null && mixing?.texts === comparison.texts && mixing.pooling === settings.pooling;
}

/** The parameters of a study that is begun now. @param {State} state @returns {Methods['study']['params']} */
export function studyParams(state) {
  return { subset: subsetOf(state), pooling: trainingFree(state.settings.pooling), layer_weights: weightsOf(state) };
}

/** How far the paused study is that would go on now; null: it would begin anew. @param {State} state */
export function pausedStudy(state) {
  const { studyPaused: paused } = state;
  return paused && JSON.stringify(paused.params) === JSON.stringify(studyParams(state)) ? paused.progress : null;
}

/** The pooling of a study. @param {Pooling} pooling */
export function trainingFree(pooling) {
  return pooling === 'last_token' ? 'last_token' : 'mean';
}
