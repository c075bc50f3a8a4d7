// What a person can do with finished reports: import them, look at their items, compare two, save one.
import { origin } from '../figures/provenance.js';
import { emptyState, encodeState } from '../link/codec.js';
import { SAMPLE } from '../sources/dataset.js';
import { MAX_REPORTS } from '../state/limits.js';
import { findItem, itemName, pairOf, reportBytes, reportsOf, RUN } from '../state/reports.js';
import { subsetOf, wholeSubset } from '../state/settings.js';
import { isEnded, messageOf } from '../worker/errors.js';

/** @import { Column, Leaderboard } from '../figures/published.js' */
/** @import { Browse, ItemId, NamedReport, Section, State } from '../state/state' */
/** @import { Report } from '../types/wasm' */
/** @import { Lending } from './lending' */

export class Reports {
  #app;
  #named = 0;

  /** @param {Lending} app */
  constructor(app) {
    this.#app = app;
  }

  // --- reports ---

  /** Imports report files. Those that can't be read are named in the error. @param {File[]} files */
  importReports(files) {
    const { state, work, open, call } = this.#app;
    return work('compare', async () => {
      const problems = [];
      for (const file of files) {
        try {
          if (state.imported.length >= MAX_REPORTS)
            throw new Error(`\`${file.name}\` is left out: ${MAX_REPORTS} reports are kept at most.`);
          const bytes = await reportBytes(file);
          await open();
          const report = await call('import_report', { name: file.name, bytes });
          this.#add({ name: file.name, report, sample: origin(report, 'dataset', 'file') === SAMPLE });
        } catch (error) {
          if (isEnded(error)) throw error;
          problems.push(messageOf(error));
        }
      }
      if (problems.length) throw new Error(problems.join(' '));
    });
  }

  /** Adds this page's run to the reports, so that the next run does not replace it. */
  keepRun() {
    const { state, changed } = this.#app;
    const run = reportsOf(state)[0];
    if (run?.id !== RUN || state.imported.some(({ report }) => report === run.report)) return;
    if (state.imported.length >= MAX_REPORTS)
      state.errors.compare = `${MAX_REPORTS} reports are kept at most: remove one first.`;
    else this.#add({ ...run, name: run.name.replace(/^This run: /, '') });
    changed();
  }

  /** @param {Omit<NamedReport, 'id'>} named */
  #add(named) {
    const { state } = this.#app;
    state.imported = [...state.imported, { ...named, id: `report-${++this.#named}` }];
  }

  /** @param {string} id */
  removeReport(id) {
    const { state, changed } = this.#app;
    state.imported = state.imported.filter((named) => named.id !== id);
    if (state.compared?.first.id === id || state.compared?.second.id === id) state.compared = null;
    changed();
  }

  /** @param {string} id */
  #find(id) {
    return reportsOf(this.#app.state).find((named) => named.id === id) ?? null;
  }

  /** @param {State['pair']} pair the ids of two reports */
  setPair(pair) {
    const { state, changed } = this.#app;
    Object.assign(state, { pair, compared: null });
    state.errors.compare = '';
    changed();
  }

  compareReports() {
    const { state, work, open, call } = this.#app;
    return work('compare', async () => {
      state.compared = null;
      const pair = pairOf(state.pair, reportsOf(state));
      const [first, second] = [this.#find(pair.first), this.#find(pair.second)];
      if (!first || !second || first.report === second.report) throw new Error('Choose two different reports.');
      await open();
      const comparison = await call('compare_reports', { first: first.report, second: second.report });
      state.compared = { first, second, comparison };
    });
  }

  /**
   * Writes a report as text and hands it to `save`.
   * @param {Section} section the section of the button, where an error is shown
   * @param {Report} report @param {'json' | 'csv' | 'jsonl'} format @param {(text: string) => void} save
   */
  exportReport(section, report, format, save) {
    const { work, open, call } = this.#app;
    return work(section, async () => {
      if (format === 'json') return save(JSON.stringify(report, null, 1));
      await open();
      save(await call('export_report', { report, format }));
    });
  }

  // --- items ---

  /** @param {Partial<Browse>} change filters and page; a new filter returns to the first page */
  browse(change) {
    const { state, changed } = this.#app;
    state.browse = { ...state.browse, page: 0, ...change };
    changed();
  }

  /**
   * Shows one item at the head of its section.
   * @param {ItemId} item
   * @param {string[]} from ids of the reports that have it
   */
  async openItem({ caption_key, question_type }, from) {
    const { state, changed, work } = this.#app;
    state.item = { caption_key, question_type, item: null, from, called: true };
    state.errors.items = '';
    changed();
    const described = from.some(
      (id) => findItem(this.#find(id)?.report ?? { results: [] }, { caption_key, question_type })?.caption,
    );
    if (!described && state.dataset && !state.task) await work('items', () => this.fillItem());
  }

  /** Fills in the shown item from the open data set. An error is shown in the item's section. */
  async fillItem() {
    const { state, open, call } = this.#app;
    const { item: shown } = state;
    if (!shown || shown.item || !state.dataset) return;
    try {
      await open();
      const item = await call('item', { caption_key: shown.caption_key, question_type: shown.question_type });
      if (state.item === shown) state.item = { ...shown, item };
    } catch (error) {
      state.errors.items = messageOf(error);
    }
  }

  closeItem() {
    const { state, changed } = this.#app;
    state.item = null;
    state.errors.items = '';
    changed();
  }

  /**
   * Makes the link to one item and copies it.
   * @param {string} page the page's address without query and fragment
   * @param {ItemId} item
   * @param {boolean} sample
   * @param {(url: string) => Promise<void>} copy
   */
  async shareItem(page, { caption_key, question_type }, sample, copy) {
    const { state, changed } = this.#app;
    const { model, settings, dataset, datasetSource, count } = state;
    const open = dataset !== null && datasetSource?.sample === sample;
    state.errors.items = '';
    try {
      const url = `${page}#${encodeState({
        ...emptyState(),
        feature: settings.feature,
        pooling: settings.pooling,
        weights: settings.feature === 'weighted' ? settings.layer_weights : null,
        reference_precision: settings.reference_precision,
        model: model.source.kind === 'url' ? model.source.name : null,
        data: sample ? 'sample' : null,
        subset: open ? subsetOf(state) : wholeSubset(),
        subset_id: open ? count?.id || null : null,
        item: { caption_key, question_type },
      })}`;
      const copied = await copy(url).then(
        () => 'Copied.',
        () => '',
      );
      state.itemLink = {
        name: itemName({ caption_key, question_type }),
        url,
        note: `${copied}${sample ? '' : " Whoever opens it picks the data set's file first."}`.trim(),
      };
    } catch (error) {
      state.errors.items = messageOf(error);
    }
    changed();
  }

  // --- leaderboard ---

  /** Reads the published figures, once. @param {() => Promise<Leaderboard>} read */
  async openLeaderboard(read) {
    const { state, changed } = this.#app;
    if (state.board.figures) return;
    state.errors.leaderboard = '';
    try {
      state.board = { ...state.board, figures: await read() };
    } catch (error) {
      state.errors.leaderboard = messageOf(error);
    }
    changed();
  }

  /** Chooses the column of the chart and sorts by it, best first. @param {Column} column */
  setColumn(column) {
    const { state, changed } = this.#app;
    state.board = { ...state.board, column, key: column, descending: true };
    changed();
  }

  /** Sorts by a column; the same column again reverses the order. @param {Column | 'model' | 'kind'} key */
  sortBoard(key) {
    const { state, changed } = this.#app;
    const { board } = state;
    const text = key === 'model' || key === 'kind';
    const descending = board.key === key ? !board.descending : !text;
    state.board = { ...board, key, descending, column: text ? board.column : key };
    changed();
  }
}
