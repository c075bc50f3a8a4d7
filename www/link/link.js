// Chooses what of the state goes into a link. A result goes with it only if the receiver would run the same: the same
// model, settings and items.
import { origin } from '../figures/provenance.js';
import { dataOf } from '../state/resume.js';
import { wholeSettings } from '../state/settings.js';

/** @import { SharedState, State } from '../state/state' */
/** @import { Subset } from '../types/wasm' */

/** @param {State} state @param {Subset} subset with empty lists where every type is ticked @returns {SharedState} */
export function sharedState(state, subset) {
  const { feature, pooling, layer_weights, reference_precision } = wholeSettings(state);
  const { source, options } = state.model;
  return {
    prompts: state.prompts.filter((prompt) => prompt.trim() !== ''),
    feature,
    pooling,
    weights: layer_weights,
    reference_precision,
    device: state.wanted,
    model: source.kind === 'url' ? source.name : null,
    sha256: sharedSha256(state.model),
    quantize: options.quantize,
    arithmetic: options.arithmetic,
    special_tokens: options.special_tokens,
    data: state.datasetSource?.sample ? 'sample' : null,
    subset,
    subset_id: state.count?.id || null,
    item: null,
    result: sharedResult(state),
  };
}

/**
 * The SHA-256 of a model in one GGUF file, so that the receiver gets the same bytes or is told.
 * @param {State['model']} model
 */
function sharedSha256({ source, card }) {
  const { kind, files, sha256 } = source;
  return kind !== 'url' || files.length > 1
    ? null
    : (sha256 ?? (/\.gguf$/.test(new URL(source.name).pathname) && card?.sha256)) || null;
}

/**
 * The last run's score, if it is a result of what the link holds. Picked models are not in links.
 * @param {State} state
 * @returns {SharedState['result']}
 */
function sharedResult(state) {
  const {
    outcome,
    count,
    model: { source, options },
    adapter,
  } = state;
  if (!outcome?.report.summary.complete || source.kind === 'files') return null;
  const { report, settings, sample, source: from } = outcome;
  const same =
    from?.kind === source.kind &&
    from.name === source.name &&
    from.quantize === options.quantize &&
    from.arithmetic === options.arithmetic &&
    from.special_tokens === options.special_tokens &&
    sample === dataOf(state).sample &&
    origin(report, 'subset', 'id') === count?.id &&
    JSON.stringify(settings) === JSON.stringify(wholeSettings(state)) &&
    (settings.pooling !== 'adapter' || origin(report, 'adapter', 'sha256') === adapter.card?.sha256);
  const { total_correct: correct, total_samples: total } = report.summary.accuracy_statistics;
  return same && total > 0 ? { correct, total, feature: settings.feature, pooling: settings.pooling } : null;
}
