// The state that the page begins with.
import { EXAMPLES } from '../sources/examples.js';
import { defaultSource } from '../sources/model.js';
import { RUN } from './reports.js';
import { wholeSubset } from './settings.js';

/** @import { State } from './state' */

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
