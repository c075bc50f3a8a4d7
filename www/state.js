// What the page knows, in one object. app.js changes it, the views show it.
import { EXAMPLES } from './examples.js';
import { emptyState } from './share.js';
import { defaultSource } from './source.js';

/** @import { Count, Dataset, DeviceInfo, DeviceKind, Embeddings, EvaluateProgress, LoadProgress, ModelCard, Report, Settings, Subset } from './types' */
/** @import { Choice } from './device.js' */
/** @import { SharedState } from './share.js' */
/** @import { ModelSource } from './source.js' */

/**
 * @typedef {'device' | 'model' | 'prompts' | 'ted' | 'share'} Section
 * @typedef {{ texts: string[], settings: Settings, embeddings: Embeddings }} Comparison
 * @typedef {{ name: string, sample: boolean, read: () => Promise<Uint8Array> }} DatasetSource
 * @typedef {{ report: Report, settings: Settings, sample: boolean, file: string, model: string }} Outcome
 * @typedef {{ progress: EvaluateProgress, elapsed: number }} Run
 * @typedef {{ shared: SharedState, problems: string[], followed: boolean }} Link
 *
 * @typedef {object} State
 * @property {Choice | null} choice null while the browser is being asked
 * @property {DeviceKind | null} wanted null: automatic
 * @property {DeviceInfo | null} device known once the session is open
 * @property {string} panic
 * @property {Section | null} task the section whose work runs now; one at a time
 * @property {Record<Section, string>} errors
 * @property {{ source: ModelSource, card: ModelCard | null, heap: number, loading: boolean, progress: LoadProgress | null }} model
 * @property {string[]} prompts
 * @property {string} hint
 * @property {boolean} emptyPrompt a prompt without text was refused
 * @property {Settings} settings
 * @property {Comparison | null} comparison
 * @property {DatasetSource | null} datasetSource
 * @property {Dataset | null} dataset as the worker has it open
 * @property {Subset} subset with the types that are ticked
 * @property {Count | null} count
 * @property {Run | null} run
 * @property {Outcome | null} outcome
 * @property {Link | null} link
 * @property {{ url: string, note: string } | null} sharing
 */

/** @param {string} base the page's address @returns {State} */
export function initialState(base) {
  return {
    choice: null,
    wanted: null,
    device: null,
    panic: '',
    task: null,
    errors: { device: '', model: '', prompts: '', ted: '', share: '' },
    model: { source: defaultSource(base), card: null, heap: 0, loading: false, progress: null },
    prompts: [...EXAMPLES[0].prompts],
    hint: EXAMPLES[0].hint,
    emptyPrompt: false,
    settings: { feature: 'norm_avg', pooling: 'mean' },
    comparison: null,
    datasetSource: null,
    dataset: null,
    subset: emptyState().subset,
    count: null,
    run: null,
    outcome: null,
    link: null,
    sharing: null,
  };
}
