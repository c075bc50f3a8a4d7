// What the page knows, in one object. app.js changes it, the views show it.
import { wholeSubset } from './settings.js';
import { EXAMPLES } from '../sources/examples.js';
import { RUN } from './reports.js';
import { defaultSource } from '../sources/model.js';

/** @import { Feature, Pooling, Arithmetic, Count, Dataset, DeviceInfo, DeviceKind, Embeddings, EvaluateProgress, LoadProgress, Methods, ModelCard, Quantize, Report, Settings, Subset, DownloadProgress, LoadOptions, ModelPlan, StoredModel, Comparison, Item, BenchProgress, BenchReport, AdapterCard, LayerProducts, LayerStudy, StudyProgress } from '../types/wasm' */
/** @import { Catalogue } from '../sources/catalogue.js' */
/** @import { Choice } from '../worker/device.js' */
/** @import { Column, Leaderboard } from '../figures/published.js' */
/** @import { DatasetSource } from '../sources/dataset.js' */
/** @import { ModelSource } from '../sources/model.js' */

/**
 * @typedef {'device' | 'model' | 'stored' | 'catalogue' | 'adapter' | 'prompts' | 'ted' | 'layers' | 'items' | 'compare' | 'leaderboard' | 'bench' | 'share'} Section
 * @typedef {{ texts: string[], settings: Settings, embeddings: Embeddings, model: string, mixed: boolean }} PromptComparison mixed: by the
 *   sliders, from the layers' products; vectors are empty then
 * @typedef {{ report: Report, settings: Settings, sample: boolean, file: string, model: string, source: HeldSource }} Outcome
 * @typedef {{ kind: ModelSource['kind'], name: string, quantize: Quantize | null, arithmetic: Arithmetic }} HeldSource where a model came from, how it was packed and computed
 * @typedef {{ progress: EvaluateProgress, elapsed: number, from: { done: number, elapsed: number } }} Run from: where the encoding
 *   began, after what was restored
 * @typedef {object} Unfinished a run that was paused, or that a reload or a fault ended
 * @property {Subset} subset
 * @property {Settings} settings
 * @property {number} texts done
 * @property {number} total_texts
 * @property {number} items scored
 * @property {number} correct
 * @property {{ name: string, sample: boolean, sha256: string }} data
 * @property {HeldSource & { card: string, sha256?: string }} model card: its name in the model card; sha256: that it should have
 * @property {{ name: string, sha256: string } | null} adapter where the settings need it
 * @property {DeviceKind} device on another one every text is encoded again
 *
 * @typedef {{ file: File | null, card: AdapterCard | null, missing: string, note: string }} Adapter missing: the name of a file that
 *   was picked before a reload
 * @typedef {{ texts: string[], products: LayerProducts, pooling: 'mean' | 'last_token' }} Mixing
 * @typedef {{ result: LayerStudy, model: string, file: string, sample: boolean, mixed: { correct: number, total: number, ties: number } | null }} Study
 *   mixed: the score under the weights of now
 * @typedef {{ correct: number, total: number, feature: Feature, pooling: Pooling }} Headline the score that a link tells
 * @typedef {object} SharedState what a link holds of the state; null: it does not say
 * @property {string[]} prompts
 * @property {Feature | null} feature
 * @property {Pooling | null} pooling
 * @property {number[] | null} weights
 * @property {boolean} reference_precision
 * @property {DeviceKind | null} device
 * @property {string | null} model its address
 * @property {string | null} sha256 of the model's one file
 * @property {Quantize | null} quantize
 * @property {Arithmetic} arithmetic
 * @property {'sample' | null} data
 * @property {Subset} subset
 * @property {string | null} subset_id
 * @property {ItemId | null} item
 * @property {Headline | null} result
 *
 * @typedef {{ shared: SharedState, problems: string[], followed: boolean }} Link
 * @typedef {{ id: string, name: string, report: Report, sample: boolean }} NamedReport sample: of this page's own items
 * @typedef {{ caption_key: string, question_type: string }} ItemId
 * @typedef {{ report: string, caption_type: string, question_type: string, outcome: '' | 'right' | 'wrong' | 'tie',
 *   sort: 'index' | 'lowest' | 'highest', page: number }} Browse sort: by the data set's order or by margin
 * @typedef {object} Stored the models in this browser's storage
 * @property {StoredModel[]} models
 * @property {number | null} usage bytes of this page's whole storage; null: the browser does not tell
 * @property {number | null} quota
 * @property {boolean} persisted the browser does not clear it by itself
 * @property {string} refused why there is no storage
 * @property {{ id: string, progress: LoadProgress } | null} checking
 * @property {Record<string, string>} verdicts what verifying found, by id
 *
 * @typedef {object} State
 * @property {string} fragment the address's
 * @property {Choice | null} choice null while the browser is being asked
 * @property {DeviceKind | null} wanted null: automatic
 * @property {DeviceInfo | null} device known once the session is open
 * @property {string} panic
 * @property {Section | null} task the section whose work runs now; one at a time
 * @property {Record<Section, string>} errors
 * @property {boolean} forced the device is the address's choice, which is not kept
 * @property {{ source: ModelSource, card: ModelCard | null, heap: number, loading: boolean, progress: LoadProgress | null,
 *   download: DownloadProgress | null, plan: ModelPlan | null, options: LoadOptions, note: string, missing: string }} model download: or what
 *   it will be, until its size is agreed to; plan: what it takes, once its header is read; options: of the next load; note: what is not as it should be; missing: the names of files that were picked before a reload
 * @property {Stored} stored
 * @property {Catalogue | null} catalogue
 * @property {Adapter} adapter
 * @property {string[]} prompts
 * @property {string} hint
 * @property {boolean} emptyPrompt a prompt without text was refused
 * @property {Settings} settings
 * @property {PromptComparison | null} comparison
 * @property {DatasetSource | null} datasetSource
 * @property {Dataset | null} dataset as the worker has it open
 * @property {Subset} subset with the types that are ticked
 * @property {Count | null} count
 * @property {Run | null} run
 * @property {Outcome | null} outcome
 * @property {Unfinished | null} unfinished while a run goes on, too: a reload finds it
 * @property {Outcome | null} partial what a paused run has so far
 * @property {Mixing | null} mixing the layers of the compared prompts
 * @property {boolean} weightsOpen
 * @property {Study | null} study
 * @property {{ progress: StudyProgress, before: number, elapsed: number } | null} studyRun before: tokens done before a pause
 * @property {{ progress: StudyProgress, params: Methods['study']['params'] } | null} studyPaused the worker has it, and goes on with it
 * @property {string} unkept why the page keeps nothing
 * @property {string} unstored why the worker keeps no vectors
 * @property {Link | null} link
 * @property {{ url: string, note: string } | null} sharing
 * @property {NamedReport[]} imported reports of files, and runs that were kept
 * @property {Browse} browse which items are listed
 * @property {ItemId & { item: Item | null, from: string[], called: boolean } | null} item the one shown at the head; item: as the data set has it;
 *   called: by a person or a link, not by a reload; from: ids of the reports it was opened from, where other reports may have another item of that name
 * @property {{ name: string, url: string, note: string } | null} itemLink
 * @property {{ first: string, second: string }} pair ids of the reports to compare
 * @property {{ first: NamedReport, second: NamedReport, comparison: Comparison } | null} compared
 * @property {{ seconds: number, tokens: number[] | null, progress: BenchProgress | null, report: BenchReport | null }} bench seconds: its budget;
 *   tokens: lengths of texts, null: the usual ones
 * @property {{ figures: Leaderboard | null, column: Column, key: Column | 'model' | 'kind', descending: boolean }} board
 */

/** @param {string} base the page's address @returns {State} */
export function initialState(base) {
  return {
    fragment: '',
    choice: null,
    wanted: null,
    device: null,
    forced: false,
    panic: '',
    task: null,
    errors: { device: '', model: '', stored: '', catalogue: '', adapter: '', prompts: '', ted: '', layers: '', items: '', compare: '', leaderboard: '', bench: '', share: '' },
    model: { source: defaultSource(base), card: null, heap: 0, loading: false, progress: null, download: null, plan: null, options: { quantize: null, arithmetic: 'f32', budget_mb: null, streamed: false, out_of_memory: false }, note: '', missing: '' },
    stored: { models: [], usage: null, quota: null, persisted: false, refused: '', checking: null, verdicts: {} },
    catalogue: null,
    adapter: { file: null, card: null, missing: '', note: '' },
    prompts: [...EXAMPLES[0].prompts],
    hint: EXAMPLES[0].hint,
    emptyPrompt: false,
    settings: { feature: 'norm_avg', pooling: 'mean', layer_weights: null, reference_precision: false },
    comparison: null,
    datasetSource: null,
    dataset: null,
    subset: wholeSubset(),
    count: null,
    run: null,
    outcome: null,
    unfinished: null,
    partial: null,
    mixing: null,
    weightsOpen: false,
    study: null,
    studyRun: null,
    studyPaused: null,
    unkept: '',
    unstored: '',
    link: null,
    sharing: null,
    imported: [],
    browse: { report: RUN, caption_type: '', question_type: '', outcome: '', sort: 'index', page: 0 },
    item: null,
    itemLink: null,
    pair: { first: RUN, second: '' },
    compared: null,
    bench: { seconds: 60, tokens: null, progress: null, report: null },
    board: { figures: null, column: 'norm_avg', key: 'norm_avg', descending: true },
  };
}
