// Two reports, item by item: the list of reports, both accuracies by type, McNemar's test, and the items that changed.
import { formatCount, formatInterval, formatP, formatPercent, plural } from '../figures/format.js';
import { origin } from '../figures/provenance.js';
import { PAGE_SIZE, pairOf, reportsOf, RUN } from '../state/reports.js';
import { byId, element, fill, option, showText } from '../ui/dom.js';
import { pager } from '../ui/pager.js';
import { chart } from '../ui/plot.js';
import { numbersFrom, scrolling, table, tbody } from '../ui/table.js';
import { watch } from '../ui/watch.js';
import { leftOutCount } from './left-out.js';
import { saveReport } from './save.js';

/** @import { App } from '../app/app.js' */
/** @import { NamedReport, State } from '../state/state' */
/** @import { Comparison, ComparisonGroup } from '../types/wasm' */

/** @param {App} app */
export function compareView(app) {
  const { reports } = app;
  const files = byId('compare-files', HTMLInputElement);
  const keep = byId('compare-keep', HTMLButtonElement);
  const error = byId('compare-error', HTMLParagraphElement);
  const list = byId('compare-reports', HTMLElement);
  const fields = byId('compare-fields', HTMLElement);
  const first = byId('compare-first', HTMLSelectElement);
  const second = byId('compare-second', HTMLSelectElement);
  const run = byId('compare-run', HTMLButtonElement);
  const result = byId('compare-result', HTMLElement);

  files.addEventListener('change', async () => {
    if (files.files?.length) await reports.importReports([...files.files]);
    files.value = '';
  });
  keep.addEventListener('click', () => reports.keepRun());
  for (const select of [first, second])
    select.addEventListener('change', () => reports.setPair({ first: first.value, second: second.value }));
  run.addEventListener('click', () => reports.compareReports());

  const isOtherList = watch();
  const isNew = watch();
  return (/** @type {State} */ state) => {
    const { task, pair, compared, imported, outcome } = state;
    const reports = reportsOf(state);
    files.disabled = keep.disabled = run.disabled = task !== null;
    keep.hidden = reports[0]?.id !== RUN || imported.some(({ report }) => report === outcome?.report);
    showText(error, state.errors.compare);

    if (isOtherList(imported, outcome?.report)) {
      fill(list, ...(reports.length ? [reportTable(app, reports)] : []));
      for (const select of [first, second]) fill(select, ...reports.map(({ id, name }) => option(name, id)));
    }
    fields.hidden = run.hidden = reports.length < 2;
    const chosen = pairOf(pair, reports);
    first.value = chosen.first;
    second.value = chosen.second;

    result.hidden = compared === null;
    if (isNew(compared) && compared) fill(result, ...comparison(app, compared));
  };
}

/** @param {App} app @param {NamedReport[]} reports */
function reportTable(app, reports) {
  const columns = [
    'Report',
    'Model',
    'Settings',
    { text: 'Right', className: 'number' },
    { text: 'Accuracy, 95 % interval', className: 'number' },
    { text: '', ariaLabel: 'Save, remove' },
  ];
  return scrolling(
    table('reports', columns, [
      tbody(
        reports.map((named) => {
          const { report, id, name } = named;
          const { overall } = report.summary.accuracy_statistics;
          const left = leftOutCount(report.summary.left_out);
          const settings = [origin(report, 'feature'), origin(report, 'pooling')].filter(Boolean).join(' + ');
          const remove = element('button', {
            type: 'button',
            className: 'quiet',
            textContent: 'Remove',
            ariaLabel: `Remove ${name}`,
          });
          remove.addEventListener('click', () => app.reports.removeReport(id));
          const saves = /** @type {const} */ (['json', 'csv', 'jsonl']).map((format) => {
            const button = element('button', {
              type: 'button',
              className: 'quiet',
              textContent: format.toUpperCase(),
              ariaLabel: `Save ${name} as ${format.toUpperCase()}`,
            });
            button.addEventListener('click', () =>
              saveReport(app, 'compare', report, origin(report, 'model', 'name') || name, format),
            );
            return button;
          });
          return element(
            'tr',
            {},
            element('th', { scope: 'row' }, name),
            element('td', {}, origin(report, 'model', 'name') || 'not stated'),
            element('td', {}, settings || 'not stated'),
            element(
              'td',
              { className: 'number' },
              `${formatCount(overall.correct)} / ${formatCount(overall.total)}`,
              ...(left ? [element('small', {}, ` ${left}`)] : []),
            ),
            element(
              'td',
              { className: 'number' },
              `${formatPercent(overall.accuracy)} ${formatInterval(overall.interval)}`,
            ),
            element('td', { className: 'saves' }, ...saves, ...(id === RUN ? [] : [remove])),
          );
        }),
      ),
    ]),
  );
}

/** @param {App} app @param {NonNullable<State['compared']>} compared */
function comparison(app, { first, second, comparison: found }) {
  const { groups, shared } = found;
  const all = groups[0];
  const names = element(
    'dl',
    { className: 'pair' },
    ...[
      ['first', 'First', first],
      ['second', 'Second', second],
    ].map(([key, label, named]) => {
      const accuracy = key === 'first' ? all.first : all.second;
      return element(
        'div',
        { className: String(key) },
        element('dt', {}, String(label)),
        element(
          'dd',
          {},
          /** @type {NamedReport} */ (named).name,
          ': ',
          element('strong', {}, formatPercent(accuracy.accuracy)),
          ` ${formatInterval(accuracy.interval)}`,
        ),
      );
    }),
  );
  return [
    names,
    element('p', {}, verdictText(all)),
    ...remarks(found),
    ...(shared
      ? [
          chart(
            `Accuracy of both reports by type, with 95 % intervals, on ${plural(shared, 'shared item')}`,
            (Plot, width) => dots(Plot, width, found),
          ).node,
          groupTable(groups),
        ]
      : []),
    element(
      'p',
      { className: 'note' },
      'p: two-sided, on the items that one report alone has right. By type it is not corrected for the number of types.',
    ),
    ...changedItems(app, found, [first.id, second.id]),
  ];
}

/**
 * Which report is ahead, and whether the difference is significant.
 * @param {ComparisonGroup} all
 */
function verdictText({ first_only: first, second_only: second, p }) {
  if (first + second === 0) return 'Both are right on the same items.';
  const ahead = first === second ? 'Neither is ahead' : `${first > second ? 'The first' : 'The second'} is ahead`;
  const counts = `${formatCount(first)} items are right in the first alone, ${formatCount(second)} in the second alone`;
  const test = `McNemar's exact test gives p\u00a0${p < 0.0005 ? '' : '=\u00a0'}${formatP(p)}`;
  return `${ahead}: ${counts}; ${test}${p < 0.05 ? '.' : ', no significant difference at the 5 % level.'}`;
}

/** Remarks on what the two reports do not share. @param {Comparison} comparison */
function remarks({ note, shared, only_first, only_second, differing }) {
  const parts = [
    note ?? '',
    `${plural(shared, 'shared item')}.`,
    only_first ? `${plural(only_first, 'item')} only in the first.` : '',
    only_second ? `${plural(only_second, 'item')} only in the second.` : '',
    differing
      ? `${plural(differing, 'shared item')} with other statements in the one than in the other: the same key, another question. Compare with care.`
      : '',
  ];
  return [element('p', { className: differing ? 'error' : 'note' }, parts.filter(Boolean).join(' '))];
}

const SERIES = /** @type {const} */ (['first', 'second']);

/**
 * @param {import('../ui/plot.js').Plot} Plot
 * @param {number} width
 * @param {Comparison} comparison
 * @returns {import('../ui/plot.js').PlotOptions}
 */
function dots(Plot, width, { groups }) {
  const name = (/** @type {ComparisonGroup} */ { group, name }) => (group === 'all' ? 'All' : name);
  const names = groups.map(name);
  const points = groups.flatMap((group) =>
    SERIES.map((series) => {
      const {
        accuracy,
        interval: [low, high],
        chance,
      } = group[series];
      return {
        name: name(group),
        series,
        accuracy: 100 * accuracy,
        low: 100 * low,
        high: 100 * high,
        chance: 100 * chance,
      };
    }),
  );
  const place = { fy: 'name', y: 'series', stroke: 'series' };
  return {
    marginLeft: width < 500 ? 132 : 150,
    marginRight: 12,
    height: 50 + 30 * names.length,
    x: { domain: [0, 100], label: 'Accuracy, %', labelAnchor: 'center', grid: true, ticks: width < 500 ? 5 : 10 },
    y: { domain: SERIES, axis: null },
    fy: { domain: names, label: null, padding: 0.15 },
    marginBottom: 36,
    symbol: { domain: SERIES, range: ['circle', 'square'] },
    color: { domain: SERIES, range: ['var(--first)', 'var(--second)'] },
    marks: [
      Plot.ruleY(points, { ...place, x1: 'low', x2: 'high', strokeWidth: 1.5 }),
      Plot.dot(points, { ...place, x: 'accuracy', fill: 'series', r: 4, symbol: 'series' }),
      Plot.tickX(
        points.filter(({ series }) => series === 'first'),
        { fy: 'name', x: 'chance', stroke: 'currentColor', strokeOpacity: 0.5, strokeDasharray: '2 2' },
      ),
    ],
  };
}

/** @param {ComparisonGroup[]} groups */
function groupTable(groups) {
  const accuracy = (/** @type {ComparisonGroup['first']} */ { accuracy, interval }) =>
    element(
      'td',
      { className: 'number' },
      formatPercent(accuracy),
      element('small', {}, ` ${formatInterval(interval)}`),
    );
  const row = (/** @type {ComparisonGroup} */ group) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, group.group === 'all' ? 'All' : group.name),
      element('td', { className: 'number' }, formatCount(group.total)),
      accuracy(group.first),
      accuracy(group.second),
      ...[formatCount(group.first_only), formatCount(group.second_only), formatP(group.p)].map((text) =>
        element('td', { className: 'number' }, text),
      ),
    );
  const bodies = /** @type {const} */ (['all', 'caption_type', 'question_type']).map((kind) =>
    tbody(groups.filter(({ group }) => group === kind).map(row)),
  );
  const head = ['Type', 'Items', 'First', 'Second', 'First alone', 'Second alone', 'p'];
  return scrolling(table('groups', numbersFrom(head, 1), bodies));
}

/**
 * @param {App} app
 * @param {Comparison} comparison
 * @param {string[]} from the ids of both reports
 * @returns {HTMLElement[]}
 */
function changedItems(app, { changed }, from) {
  if (changed.length === 0) return [];
  const winner = element(
    'select',
    {},
    option(`either (${formatCount(changed.length)})`, ''),
    ...SERIES.map((series) =>
      option(`the ${series} (${formatCount(changed.filter((item) => item.winner === series).length)})`, series),
    ),
  );
  const list = element('ul', { className: 'changed' });
  const area = element('p', { className: 'actions' });
  const turn = (/** @type {number} */ page) => {
    const chosen = changed.filter((item) => !winner.value || item.winner === winner.value);
    fill(
      list,
      ...chosen.slice(page * PAGE_SIZE, (page + 1) * PAGE_SIZE).map((item) => {
        const button = element('button', {
          type: 'button',
          className: 'quiet',
          textContent: `${item.question_type}, ${item.caption_key}`,
        });
        button.addEventListener('click', () => app.reports.openItem(item, from));
        return element(
          'li',
          { className: item.winner },
          element('span', {}, item.winner === 'first' ? 'First' : 'Second'),
          button,
          element('span', { className: 'question' }, item.caption),
        );
      }),
    );
    showPager(page, Math.max(1, Math.ceil(chosen.length / PAGE_SIZE)));
  };
  const showPager = pager(area, turn);
  winner.addEventListener('change', () => turn(0));
  turn(0);
  return [element('h3', {}, 'Changed items'), element('label', {}, 'Right only in ', winner), list, area];
}
