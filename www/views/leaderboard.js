// The published figures as a table and a dot plot with intervals, together with the reports of this page; and how
// TED-6K accuracy relates to downstream scores of image and video models.
import { formatInterval } from '../figures/format.js';
import { COLUMNS, differences, downstream, PUBLISHED_ITEMS, readFigures } from '../figures/published.js';
import { pearson, wilson } from '../figures/statistics.js';
import { reportsOf } from '../state/reports.js';
import { add, byId, element, fill, option, showText } from '../ui/dom.js';
import { chart } from '../ui/plot.js';
import { numbersFrom, scrolling, table, tbody } from '../ui/table.js';
import { watch } from '../ui/watch.js';

/** @import { App } from '../app/app.js' */
/** @import { Column, Leaderboard, Row } from '../figures/published.js' */
/** @import { NamedReport, State } from '../state/state' */

/**
 * @typedef {object} Entry
 * @property {string} name
 * @property {string} kind
 * @property {boolean} log
 * @property {boolean} own whether it is a report of this page
 * @property {string[]} reasons the reasons why it is not comparable
 * @property {number | null} value
 * @property {[number, number] | null} interval
 * @property {Row | null} row
 */

const HEADS = {
  last: 'last',
  penultimate: 'penultimate',
  norm_avg: 'norm_avg',
  weighted: 'weighted',
  mean_pool: 'mean pool',
};

/** @param {App} app */
export function leaderboardView(app) {
  const section = byId('leaderboard', HTMLElement);
  const error = byId('leaderboard-error', HTMLParagraphElement);
  const column = byId('leaderboard-column', HTMLSelectElement);
  const meaning = byId('leaderboard-meaning', HTMLElement);
  const plot = byId('leaderboard-chart', HTMLElement);
  const area = byId('leaderboard-table', HTMLElement);
  const source = byId('leaderboard-source', HTMLParagraphElement);
  const scatters = byId('leaderboard-downstream', HTMLElement);

  fill(column, ...COLUMNS.map((key) => option(HEADS[key], key)));
  column.addEventListener('change', () => app.reports.setColumn(/** @type {Column} */ (column.value)));
  const seen = new IntersectionObserver(
    (entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      seen.disconnect();
      app.reports.openLeaderboard(readFigures);
    },
    { rootMargin: '600px' },
  );
  seen.observe(section);

  /** @type {Entry[]} */
  let entries = [];
  const dots = chart(
    'Published accuracies on TED-6K and the reports of this page, with 95 % intervals',
    (Plot, width) => dotPlot(Plot, width, entries, app.state.board.column),
  );
  const isNew = watch();
  let first = true;
  return (/** @type {State} */ state) => {
    const { board, imported, outcome } = state;
    const { figures } = board;
    showText(error, state.errors.leaderboard);
    column.value = board.column;
    if (!figures || !isNew(board, imported, outcome?.report)) return;

    entries = entriesOf(figures, reportsOf(state), board.column);
    showText(
      meaning,
      `${HEADS[board.column]}: ${figures.columns[board.column]}${board.column === 'mean_pool' ? '; of which layers, our source does not say' : ''}.`,
    );
    const focused = document.activeElement?.closest('#leaderboard-table [data-key]')?.getAttribute('data-key');
    fill(area, boardTable(app, state, entries));
    if (focused) area.querySelector(`[data-key="${focused}"]`)?.querySelector('button')?.focus();
    if (!first) return void dots.draw();
    first = false;
    add(plot, dots.node);
    showText(
      source,
      `Published: ${figures.source}. Unit: ${figures.unit}. ` +
        `Their intervals are Wilson's over ${PUBLISHED_ITEMS.toLocaleString('en-US')} items. ` +
        'TED-6K itself is not on this page: open your copy above to measure on it.',
    );
    fill(scatters, ...downstreamParts(figures));
  };
}

/** @param {Leaderboard} figures @param {NamedReport[]} reports @param {Column} column @returns {Entry[]} */
function entriesOf({ rows }, reports, column) {
  const published = rows.map((row) => {
    const percent = row[column];
    const value = percent === undefined ? null : percent / 100;
    return {
      name: row.model,
      kind: row.kind,
      log: row.provenance === 'log',
      own: false,
      reasons: [],
      value,
      interval: value === null ? null : wilson(value, PUBLISHED_ITEMS),
      row,
    };
  });
  const own = reports.map((named) => {
    const { accuracy, interval } = named.report.summary.accuracy_statistics.overall;
    return {
      name: named.name,
      kind: 'this page',
      log: false,
      own: true,
      reasons: differences(named, column),
      value: accuracy,
      interval,
      row: null,
    };
  });
  return [...published, ...own];
}

/** @param {App} app @param {State} state @param {Entry[]} entries */
function boardTable(app, { board }, entries) {
  const { key, descending, column } = board;
  const sign = descending ? -1 : 1;
  /** @param {Entry} entry */
  const number = ({ row, value }) => (key === column ? value : (row?.[/** @type {Column} */ (key)] ?? null));
  const sorted = [...entries].sort((a, b) => {
    if (key === 'model' || key === 'kind')
      return (
        sign *
        (key === 'model' ? a.name.localeCompare(b.name) : a.kind.localeCompare(b.kind) || a.name.localeCompare(b.name))
      );
    const [x, y] = [number(a), number(b)];
    return x === null || y === null ? Number(x === null) - Number(y === null) : sign * (x - y);
  });
  const head = (/** @type {Column | 'model' | 'kind'} */ name, /** @type {string} */ text) => {
    const button = element('button', { type: 'button' }, text);
    button.addEventListener('click', () => app.reports.sortBoard(name));
    const th = element(
      'th',
      {
        scope: 'col',
        className: name === 'model' || name === 'kind' ? '' : 'number',
        ariaSort: name !== key ? 'none' : descending ? 'descending' : 'ascending',
      },
      button,
    );
    th.dataset.key = name;
    if (name !== 'model') th.classList.toggle('aside', name !== column);
    return th;
  };
  const columns = [head('model', 'Model'), head('kind', 'Kind'), ...COLUMNS.map((name) => head(name, HEADS[name]))];
  return table('board', columns, [tbody(sorted.map((entry) => boardRow(entry, column)))]);
}

/** @param {Entry} entry @param {Column} column */
function boardRow({ name, kind, log, own, reasons, value, interval, row }, column) {
  const remarks = [
    ...(log ? [element('small', {}, 'from a log, not in the paper')] : []),
    ...(own
      ? [
          element(
            'small',
            { className: reasons.length ? 'differs' : 'same' },
            reasons.length ? `not comparable: ${reasons.join('; ')}` : 'comparable by its settings',
          ),
        ]
      : []),
  ];
  return element(
    'tr',
    { className: own ? 'own' : '' },
    element('th', { scope: 'row' }, name, ...remarks),
    element('td', { className: 'aside' }, kind),
    ...COLUMNS.map((key) => {
      const className = key === column ? 'number' : 'number aside';
      if (own)
        return element(
          'td',
          { className },
          ...(key === column && value !== null && interval
            ? [
                reasons.length ? `(${(100 * value).toFixed(1)})` : (100 * value).toFixed(1),
                element('small', {}, ` ${formatInterval(interval)}`),
              ]
            : []),
        );
      const percent = row?.[key];
      return element(
        'td',
        { className },
        percent === undefined ? '' : percent.toFixed(2),
        ...(key === column && interval ? [element('small', {}, ` ${formatInterval(interval)}`)] : []),
      );
    }),
  );
}

const KINDS = ['published', 'published log', 'this page, comparable', 'this page, not comparable'];

/**
 * @param {import('../ui/plot.js').Plot} Plot
 * @param {number} width
 * @param {Entry[]} entries
 * @param {Column} column
 * @returns {import('../ui/plot.js').PlotOptions}
 */
function dotPlot(Plot, width, entries, column) {
  const narrow = width < 560;
  const letters = narrow ? 18 : 38;
  const points = entries
    .flatMap(({ name, value, interval, own, log, reasons }, at) =>
      value === null || !interval
        ? []
        : [
            {
              at: String(at),
              name: name.length > letters ? `${name.slice(0, letters - 1)}…` : name,
              value: 100 * value,
              low: 100 * interval[0],
              high: 100 * interval[1],
              kind: KINDS[own ? (reasons.length ? 3 : 2) : log ? 1 : 0],
            },
          ],
    )
    .sort((a, b) => b.value - a.value);
  const names = new Map(points.map(({ at, name }) => [at, name]));
  const color = { domain: KINDS, range: ['var(--published)', 'var(--published)', 'var(--own)', 'var(--own)'] };
  const at = { y: 'at', stroke: 'kind' };
  const dot = {
    ...at,
    x: 'value',
    r: 4,
    strokeWidth: 1.75,
    symbol: (/** @type {{ kind: string }} */ { kind }) => (kind.startsWith('this page') ? 'diamond' : 'circle'),
  };
  const solid = (/** @type {{ kind: string }} */ { kind }) => kind === KINDS[0] || kind === KINDS[2];
  return {
    marginLeft: narrow ? 140 : 270,
    marginRight: 16,
    marginTop: 10,
    marginBottom: 36,
    height: 56 + 22 * points.length,
    x: {
      domain: [Math.min(25, ...points.map(({ low }) => low)) - 1, Math.max(60, ...points.map(({ high }) => high)) + 1],
      label: `${HEADS[column]} accuracy, %`,
      labelAnchor: 'center',
      grid: true,
      ticks: narrow ? 4 : 8,
    },
    y: {
      domain: points.map((point) => point.at),
      label: null,
      tickSize: 0,
      tickFormat: (/** @type {string} */ key) => names.get(key) ?? '',
    },
    color,
    marks: [
      Plot.ruleX([25], { stroke: 'currentColor', strokeOpacity: 0.5, strokeDasharray: '3 3' }),
      Plot.ruleY(points, { ...at, x1: 'low', x2: 'high', strokeWidth: 1.5 }),
      Plot.dot(points.filter(solid), { ...dot, fill: 'kind' }),
      Plot.dot(
        points.filter((point) => !solid(point)),
        { ...dot, fill: 'var(--pico-card-background-color)' },
      ),
    ],
  };
}

/** @param {Leaderboard} figures */
function downstreamParts(figures) {
  const { metric, pearson_r } = figures.downstream;
  const tasks = /** @type {const} */ (['T2I', 'T2V']);
  const points = tasks.flatMap((task) => downstream(figures, task));
  const shown = points.filter(({ ted }) => ted !== null);
  const correlations = tasks.map((task) => {
    const pairs = /** @type {[number, number][]} */ (
      shown.filter((point) => point.task === task).map(({ ted, score }) => [ted, score])
    );
    return element(
      'li',
      {},
      `${task}: r = ${pearson_r[task]} as printed; r = ${pearson(pairs).toFixed(4)} over the ${pairs.length} pairs shown here.`,
    );
  });
  const rows = points.map(({ model, layers, task, ted, score }) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, model),
      element('td', {}, layers),
      element('td', {}, task),
      element('td', { className: 'number' }, ted === null ? 'not published' : ted.toFixed(2)),
      element('td', { className: 'number' }, score.toFixed(2)),
    ),
  );
  const pairTable = table('', numbersFrom(['Model', 'Layers', 'Task', 'TED-6K', metric], 3), [tbody(rows)]);
  return [
    element(
      'div',
      { className: 'charts' },
      ...tasks.map(
        (task) =>
          chart(`${metric} of ${task} models against TED-6K accuracy of their text encoders`, (Plot, width) =>
            scatter(
              Plot,
              width,
              shown.filter((point) => point.task === task),
              `${metric}, ${task}`,
            ),
          ).node,
      ),
    ),
    element('ul', { className: 'note' }, ...correlations),
    element(
      'p',
      { className: 'note' },
      `A handful of encoders, chosen by the authors; the r of so few points is uncertain. Note in our data file on the paper's r: ${pearson_r.note}.`,
    ),
    element('details', {}, element('summary', {}, 'The pairs as a table'), scrolling(pairTable)),
  ];
}

/**
 * @param {import('../ui/plot.js').Plot} Plot
 * @param {number} width
 * @param {ReturnType<typeof downstream>} points
 * @param {string} label
 * @returns {import('../ui/plot.js').PlotOptions}
 */
function scatter(Plot, width, points, label) {
  // alternately right and left of the dot, because neighbors are close
  const labels = [...points].sort((a, b) => b.score - a.score || (b.ted ?? 0) - (a.ted ?? 0));
  const text = {
    x: 'ted',
    y: 'score',
    text: (/** @type {typeof points[0]} */ { model, layers }) => (width < 400 ? model : `${model}, ${layers}`),
    fill: 'currentColor',
    stroke: 'var(--pico-card-background-color)',
    strokeWidth: 3,
    fontSize: 10,
  };
  return {
    height: 340,
    marginLeft: 44,
    marginBottom: 36,
    grid: true,
    x: {
      domain: [43, width < 400 ? 68 : 64],
      label: 'TED-6K accuracy, %',
      labelAnchor: 'center',
      ticks: width < 400 ? 4 : 8,
    },
    y: { label, nice: true },
    marks: [
      Plot.dot(points, { x: 'ted', y: 'score', r: 4, fill: 'var(--published)' }),
      Plot.text(
        labels.filter((_, at) => at % 2 === 0),
        { ...text, textAnchor: 'start', dx: 8 },
      ),
      Plot.text(
        labels.filter((_, at) => at % 2 === 1),
        { ...text, textAnchor: 'end', dx: -8 },
      ),
    ],
  };
}
