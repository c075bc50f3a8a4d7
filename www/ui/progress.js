// How far work is: the bar, the stage of a load, the time that is left.
import { formatBytes } from '../figures/format.js';

/** @import { CheckProgress } from '../types/storage' */
/** @import { LoadProgress } from '../types/wasm' */

/**
 * Shows how far the work is. Without a total the bar only shows that something happens.
 * @param {HTMLProgressElement} bar
 * @param {{ done: number, total: number } | null | undefined} progress
 */
export function showProgress(bar, progress) {
  if (progress?.total) Object.assign(bar, { max: progress.total, value: progress.done });
  else bar.removeAttribute('value');
}

/**
 * How far the load is, in a sentence; '' if none runs.
 * @param {{ loading: boolean, progress: LoadProgress | CheckProgress | null }} model
 */
export function loadStage({ loading, progress }) {
  if (!loading) return '';
  if (!progress) return 'Starting the encoder…';
  if (progress.stage === 'check')
    return `Checking what is stored of it: ${formatBytes(progress.done)} of ${formatBytes(progress.total)}`;
  if (progress.stage === 'self_test')
    return `Making the kernels, and comparing them with the CPU's: ${progress.done} of ${progress.total}`;
  if (progress.stage === 'tuning')
    return `Checking, and once measuring, which kernels this adapter runs fastest: ${progress.done} of ${progress.total}`;
  return `Loading the model: ${formatBytes(progress.done)} of ${formatBytes(progress.total)}`;
}

/**
 * The milliseconds that are left, if the remaining tokens take as long as those that are done.
 * @param {{ done: number, total: number }} progress
 * @param {number} elapsed
 */
export function timeLeft({ done, total }, elapsed) {
  return done > 0 ? (elapsed * (total - done)) / done : null;
}
