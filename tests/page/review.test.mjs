// What a person does with finished reports: www/app/reports.js on a worker whose methods the test gives.
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { decodeState, emptyState, encodeState } from '../../www/link/codec.js';
import { pairOf, reportsOf } from '../../www/state/reports.js';
import { failure, setUp as setUpApp } from '../support/app.mjs';

/** @import { Method } from '../../www/worker/requests.js' */

const PAGE = 'https://example.org/demo/';
const ITEM = {
  caption_key: 'image_0',
  caption_type: 'image',
  question_type: 'OCR',
  caption: 'A shop.',
  question: 'What is on the sign?',
  statements: ['Open', 'Shut'],
  correct_answer: 'A',
};
const RESULT = {
  ...ITEM,
  index: 0,
  caption: '',
  question: '',
  options: '',
  predicted_answer: 'B',
  confidence_score: 0.5,
  all_scores: [0.25, 0.5],
  is_correct: false,
};
const DATASET = {
  file: 'ted-sample.json',
  sha256: '',
  captions: 1,
  items: 1,
  skipped: 0,
  caption_types: { image: 1 },
  question_types: { OCR: 1 },
};
const COMPARISON = { shared: 1, only_first: 0, only_second: 0, differing: 0, groups: [], changed: [] };
const ID = '0123456789';

/** @param {object[]} results @param {object | null} [provenance] */
function report(results, provenance = null) {
  const overall = { accuracy: 0, correct: 0, total: results.length, interval: [0, 0.8], chance: 0.5 };
  return {
    summary: { accuracy_statistics: { total_correct: 0, total_samples: results.length, overall } },
    results,
    provenance,
  };
}

const fetched = globalThis.fetch;
afterEach(() => void (globalThis.fetch = fetched));

/**
 * An app whose worker has one item and any reports, and the calls that it got.
 * @param {Record<string, Method>} [methods]
 */
function setUp(methods = {}) {
  globalThis.fetch = async () => new Response('{}'); // the page's sample
  const world = setUpApp({
    open_dataset: ({ name }) => ({ ...DATASET, file: name }),
    count: () => ({ items: 1, texts: 3, id: ID }),
    evaluate: () => report([RESULT]),
    item: () => ITEM,
    import_report: ({ name, bytes }) =>
      bytes[0] === 0x7b ? report([RESULT]) : failure('NotReport', `\`${name}\` is not a report`)(),
    compare_reports: () => COMPARISON,
    export_report: ({ format }) => `${format}!`,
    ...methods,
  });
  const callsOf = (/** @type {string} */ method) =>
    world.calls.filter(([name]) => name === method).map(([, params]) => params);
  return { ...world, reports: world.app.reports, callsOf };
}

const jsonFile = (name = 'report.json', text = '{}') => new File([text], name);

/** @param {Partial<import('../../www/state/state').SharedState>} shared */
const linkOf = (shared) => `#${encodeState({ ...emptyState(), ...shared })}`;
const item = { caption_key: 'image_0', question_type: 'OCR' };

test('reports are imported without a model; what is none is said, and the others come in', async () => {
  const { app, reports, state, callsOf } = setUp();
  await app.start('', null);
  await reports.importReports([jsonFile('a.json'), jsonFile('notes.txt', 'notes'), jsonFile('b.json')]);
  assert.deepEqual(
    state.imported.map(({ name }) => name),
    ['a.json', 'b.json'],
  );
  assert.equal(state.errors.compare, '`notes.txt` is not a report');
  assert.deepEqual(pairOf(state.pair, reportsOf(state)), { first: state.imported[0].id, second: state.imported[1].id });
  assert.deepEqual(callsOf('load'), []);
  assert.equal(state.task, null);
});

test('a file too large for a report is not read, and at most twelve are kept', async () => {
  const { app, reports, state, callsOf } = setUp();
  await app.start('', null);
  const large = Object.defineProperty(jsonFile('large.json'), 'size', { value: 1e9 });
  await reports.importReports([large]);
  assert.match(state.errors.compare, /`large\.json` is too large/);
  assert.deepEqual(callsOf('import_report'), []);
  await reports.importReports(Array.from({ length: 14 }, (_, at) => jsonFile(`${at}.json`)));
  assert.equal(state.imported.length, 12);
  assert.match(state.errors.compare, /`12\.json` is left out.*`13\.json`/);
  reports.removeReport(state.imported[0].id);
  await reports.importReports([jsonFile('12.json')]);
  assert.equal(state.errors.compare, '');
  assert.equal(state.imported.at(-1)?.name, '12.json');
});

test("the page's run is kept beside the next, and both are compared", async () => {
  const { app, reports, state, callsOf } = setUp();
  await app.start('', null);
  reports.keepRun();
  assert.equal(state.imported.length, 0);
  await app.evaluation.openSample();
  await app.evaluation.run();
  reports.keepRun();
  reports.keepRun();
  assert.deepEqual(
    state.imported.map(({ name, sample }) => [name, sample]),
    [['Tiny, norm_avg + mean', true]],
  );
  app.prompts.setSettings({ ...state.settings, feature: 'last' });
  await app.evaluation.run();
  assert.deepEqual(
    reportsOf(state).map(({ name }) => name),
    ['This run: Tiny, last + mean', 'Tiny, norm_avg + mean'],
  );
  assert.deepEqual(pairOf(state.pair, reportsOf(state)), { first: 'run', second: state.imported[0].id });
  await reports.compareReports();
  assert.equal(callsOf('compare_reports').length, 1);
  assert.deepEqual(state.compared?.comparison, COMPARISON);
  reports.removeReport(state.imported[0].id);
  assert.equal(state.compared, null);
});

test('reports of different data sets are refused in their own section, and the page goes on', async () => {
  const { app, reports, state } = setUp({ compare_reports: failure('NothingShared', 'the reports share no item') });
  await app.start('', null);
  await reports.compareReports();
  assert.match(state.errors.compare, /two different reports/);
  await reports.importReports([jsonFile('a.json'), jsonFile('b.json')]);
  reports.setPair({ first: state.imported[0].id, second: state.imported[0].id });
  await reports.compareReports();
  assert.match(state.errors.compare, /two different reports/);
  reports.setPair({ first: state.imported[0].id, second: state.imported[1].id });
  assert.equal(state.errors.compare, '');
  await reports.compareReports();
  assert.equal(state.errors.compare, 'the reports share no item');
  assert.equal(state.compared, null);
  assert.equal(state.errors.ted, '');
  await app.prompts.compare();
  assert.ok(state.comparison);
});

test("a panic while a report is read is the panic's, and the reports survive it", async () => {
  const world = setUp({
    import_report: ({ name }) =>
      name === 'bad.json' ? (world.workers[0].panic('panicked at x'), new Promise(() => {})) : report([RESULT]),
  });
  const { app, reports, state } = world;
  await app.start('', null);
  await reports.importReports([jsonFile('good.json')]);
  await reports.importReports([jsonFile('bad.json'), jsonFile('never.json')]);
  assert.equal(state.panic, 'panicked at x');
  await app.restart();
  assert.deepEqual(
    state.imported.map(({ name }) => name),
    ['good.json'],
  );
  await reports.importReports([jsonFile('again.json')]);
  assert.equal(state.imported.length, 2);
});

test('a report is saved as JSON by the page, as CSV and JSONL by the worker', async () => {
  const { app, reports, state, callsOf } = setUp();
  await app.start('', null);
  await reports.importReports([jsonFile()]);
  const { report: imported } = state.imported[0];
  /** @type {string[]} */
  const saved = [];
  for (const format of /** @type {const} */ (['json', 'csv', 'jsonl']))
    await reports.exportReport('compare', imported, format, (text) => void saved.push(text));
  assert.deepEqual([JSON.parse(saved[0]), ...saved.slice(1)], [imported, 'csv!', 'jsonl!']);
  assert.deepEqual(
    callsOf('export_report').map(({ format }) => format),
    ['csv', 'jsonl'],
  );
});

test('a filter takes the list back to its first page', async () => {
  const { reports, state } = setUp();
  reports.browse({ page: 3 });
  assert.equal(state.browse.page, 3);
  reports.browse({ outcome: 'tie' });
  assert.deepEqual([state.browse.page, state.browse.outcome], [0, 'tie']);
});

test("an item's link opens its data set and shows it, without model or scores", async () => {
  const { app, state, callsOf } = setUp();
  await app.start(linkOf({ data: 'sample', item }), null);
  assert.deepEqual(callsOf('item'), [item]);
  assert.deepEqual(state.item?.item, ITEM);
  assert.deepEqual(callsOf('load'), []);
  assert.equal(state.errors.items, '');
  app.reports.closeItem();
  assert.equal(state.item, null);
});

test('a linked item that the data set lacks is said in its section', async () => {
  const { app, state } = setUp({ item: failure('NoItem', '`ted-sample.json` has no item image_0, OCR') });
  await app.start(linkOf({ data: 'sample', item }), null);
  assert.equal(state.errors.items, '`ted-sample.json` has no item image_0, OCR');
  assert.equal(state.item?.item, null);
  assert.ok(state.dataset);
  assert.equal(state.task, null);
});

test('a linked item of a local file waits for the file', async () => {
  const { app, state, callsOf } = setUp();
  await app.start(linkOf({ item }), null);
  assert.deepEqual(state.item, { ...item, item: null, from: [], called: true });
  assert.deepEqual(callsOf('open_dataset'), []);
  await app.evaluation.openFile(jsonFile('TED-6k.json'));
  assert.deepEqual(state.item?.item, ITEM);
});

test('an item without a caption in its report is looked up in the open data set', async () => {
  const { app, reports, state, callsOf } = setUp();
  await app.start('', null);
  await reports.importReports([jsonFile()]);
  const from = [state.imported[0].id];
  await reports.openItem(item, from);
  assert.deepEqual(state.item, { ...item, item: null, from, called: true });
  assert.deepEqual(callsOf('item'), []);
  await app.evaluation.openSample();
  assert.deepEqual(state.item?.item, ITEM);
});

test('the link to an item brings it back, with the subset and its id', async () => {
  const { app, reports, state } = setUp();
  await app.start('', null);
  await app.evaluation.openSample();
  await reports.shareItem(PAGE, item, true, async () => {});
  assert.equal(state.itemLink?.note, 'Copied.');
  const { state: shared, problems } = decodeState(new URL(state.itemLink?.url ?? '').hash);
  assert.deepEqual(problems, []);
  assert.deepEqual([shared.item, shared.data, shared.subset_id, shared.prompts], [item, 'sample', ID, []]);

  await reports.shareItem(PAGE, item, false, () => Promise.reject(new Error('denied')));
  assert.match(state.itemLink?.note ?? '', /picks the data set's file first/);
  assert.equal(decodeState(new URL(state.itemLink?.url ?? '').hash).state.data, null);
  await reports.shareItem(PAGE, { ...item, caption_key: 'x'.repeat(20_000) }, true, async () => {});
  assert.match(state.errors.items, /too long for a link/);
});

test("a link's subset of another data set is said once the data set is open, and only while it is the link's", async () => {
  const same = setUp();
  await same.app.start(linkOf({ data: 'sample', subset_id: ID }), null);
  await same.app.evaluation.openSample();
  assert.equal(same.state.errors.ted, '');

  const other = setUp();
  await other.app.start(linkOf({ data: 'sample', subset_id: 'ffffffffff' }), null);
  await other.app.evaluation.openSample();
  assert.match(other.state.errors.ted, /id ffffffffff.*`ted-sample\.json` gives id 0123456789/);
  await other.app.evaluation.setSubset({ ...other.state.subset, per_type: 1 });
  assert.equal(other.state.errors.ted, '');
  await other.app.evaluation.openSample();
  assert.equal(other.state.errors.ted, '');
});

test('the share link names the subset by its id', async () => {
  const { app, state } = setUp();
  await app.start('', null);
  await app.evaluation.openSample();
  await app.sharing.share(PAGE, async () => {});
  assert.equal(decodeState(new URL(state.sharing?.url ?? '').hash).state.subset_id, ID);
});

test('the leaderboard is read once, sorted by each column both ways, and its failure is its own', async () => {
  const { reports, state } = setUp();
  await reports.openLeaderboard(() => Promise.reject(new Error('The server answered 404')));
  assert.equal(state.errors.leaderboard, 'The server answered 404');
  const figures = /** @type {any} */ ({ rows: [] });
  await reports.openLeaderboard(async () => figures);
  await reports.openLeaderboard(async () => assert.fail('it was read again'));
  assert.equal(state.errors.leaderboard, '');
  const sort = () => [state.board.key, state.board.descending, state.board.column];
  reports.sortBoard('last');
  assert.deepEqual(sort(), ['last', true, 'last']);
  reports.sortBoard('last');
  assert.deepEqual(sort(), ['last', false, 'last']);
  reports.sortBoard('model');
  assert.deepEqual(sort(), ['model', false, 'last']);
  reports.setColumn('mean_pool');
  assert.deepEqual(sort(), ['mean_pool', true, 'mean_pool']);
});
