// The items of a report, filtered and sorted, a page at a time; and the item that a link or a comparison opened.
import { formatCount, plural } from '../figures/format.js';
import {
  countOutcomes,
  isSameItem,
  itemName,
  margin,
  optionIndex,
  outcomeOf,
  PAGE_SIZE,
  reportsOf,
  resultsOf,
  selectItems,
} from '../state/reports.js';
import { add, byId, element, fill, option, showText } from '../ui/dom.js';
import { pager } from '../ui/pager.js';
import { scrolling, table, tbody } from '../ui/table.js';
import { watch } from '../ui/watch.js';

/** @import { App } from '../app/app.js' */
/** @import { Browse, NamedReport, State } from '../state/state' */
/** @import { Item, ItemResult } from '../types/wasm' */

const BADGES = { right: 'Right', wrong: 'Wrong', tie: 'Tie' };

/** @param {App} app */
export function itemsView(app) {
  const section = byId('items', HTMLElement);
  const error = byId('items-error', HTMLParagraphElement);
  const opened = byId('item', HTMLElement);
  const list = byId('items-list', HTMLOListElement);
  const area = byId('items-browse', HTMLElement);
  const count = byId('items-count', HTMLSpanElement);
  const showPager = pager(byId('items-pager', HTMLElement), (page) => {
    app.reports.browse({ page });
    area.scrollIntoView({ block: 'start' });
  });
  const expand = byId('items-expand', HTMLButtonElement);
  const showFilters = filtersView(app);

  expand.addEventListener('click', () => {
    const closed = [...list.querySelectorAll('details')].filter((item) => !item.open);
    for (const item of closed.length ? closed : list.querySelectorAll('details')) item.open = closed.length > 0;
  });

  const [isOtherItem, isOtherCall, isFiltered, isTurned] = [watch(), watch(), watch(), watch()];
  /** @type {ItemResult[]} */
  let selected = [];

  return (/** @type {State} */ state) => {
    const { browse, item, dataset, datasetSource, imported, outcome, task } = state;
    const reports = reportsOf(state);
    const named = reports.find(({ id }) => id === browse.report) ?? reports[0];
    section.hidden = reports.length === 0 && item === null;
    showText(error, state.errors.items);

    const unknown = item?.item === null;
    if (isOtherItem(item, imported, outcome, ...(unknown ? [dataset, datasetSource, task !== null] : []))) {
      opened.hidden = item === null;
      const focused = opened.contains(document.activeElement);
      fill(opened, ...(item ? openedItem(app, state, reports) : []));
      if (focused) opened.querySelector('h3')?.focus({ preventScroll: true });
    }
    if (isOtherCall(item?.from) && item?.called) reveal(opened);

    area.hidden = !named;
    if (!named) return;
    const { results } = named.report;
    showFilters(state, reports, named);
    const filtered = isFiltered(results, browse.caption_type, browse.question_type, browse.outcome, browse.sort);
    if (filtered) selected = selectItems(results, browse);
    const pages = Math.max(1, Math.ceil(selected.length / PAGE_SIZE));
    const page = Math.min(browse.page, pages - 1);
    const turned = isTurned(page, named.id);
    if (filtered || turned) {
      const from = page * PAGE_SIZE;
      const rows = selected.slice(from, from + PAGE_SIZE);
      list.start = from + 1;
      fill(list, ...rows.map((result) => row(app, result, named)));
      showText(
        count,
        `${selected.length === results.length ? plural(results.length, 'item') : `${formatCount(selected.length)} of ${plural(results.length, 'item')}`}.`,
      );
    }
    expand.hidden = selected.length === 0;
    showPager(page, pages);
  };
}

/** The filters: report, types, outcome, order. @param {App} app */
function filtersView(app) {
  const report = byId('items-report', HTMLSelectElement);
  const selects = {
    caption_type: byId('items-caption-type', HTMLSelectElement),
    question_type: byId('items-question-type', HTMLSelectElement),
    outcome: byId('items-outcome', HTMLSelectElement),
    sort: byId('items-sort', HTMLSelectElement),
  };
  report.addEventListener('change', () =>
    app.reports.browse({ report: report.value, caption_type: '', question_type: '' }),
  );
  for (const [key, select] of Object.entries(selects))
    select.addEventListener('change', () =>
      app.reports.browse(/** @type {Partial<Browse>} */ ({ [key]: select.value })),
    );

  const [isOtherList, isNew] = [watch(), watch()];
  return (/** @type {State} */ { browse }, /** @type {NamedReport[]} */ reports, /** @type {NamedReport} */ named) => {
    if (isOtherList(...reports.flatMap(({ id, name }) => [id, name])))
      fill(report, ...reports.map(({ id, name }) => option(name, id)));
    /** @type {HTMLLabelElement} */ (report.parentElement).hidden = reports.length < 2;
    report.value = named.id;
    if (isNew(named.report)) {
      const { caption_type_accuracy, question_type_accuracy } = named.report.summary.accuracy_statistics;
      const types = (/** @type {Record<string, { total: number }>} */ of) => [
        option('all', ''),
        ...Object.entries(of).map(([type, { total }]) => option(`${type} (${formatCount(total)})`, type)),
      ];
      const counts = countOutcomes(named.report.results);
      fill(selects.caption_type, ...types(caption_type_accuracy));
      fill(selects.question_type, ...types(question_type_accuracy));
      fill(
        selects.outcome,
        option('all', ''),
        ...Object.entries(BADGES).map(([key, name]) =>
          option(`${name.toLowerCase()} (${formatCount(counts[/** @type {keyof typeof BADGES} */ (key)])})`, key),
        ),
      );
    }
    for (const [key, select] of Object.entries(selects))
      select.value = browse[/** @type {keyof typeof selects} */ (key)];
  };
}

/** Scrolls the opened item into view and moves the focus to it. @param {HTMLElement} opened */
function reveal(opened) {
  opened.querySelector('h3')?.focus({ preventScroll: true });
  opened.scrollIntoView({ block: 'start' });
}

/**
 * Makes a line of the list. Its content is made when it is opened.
 * @param {App} app
 * @param {ItemResult} result
 * @param {NamedReport} named
 */
function row(app, result, named) {
  const details = element(
    'details',
    {},
    element(
      'summary',
      {},
      badge(result),
      element('span', { className: 'number' }, signed(margin(result))),
      element('span', {}, `${result.question_type}, ${result.caption_key}`),
      element(
        'span',
        { className: 'question' },
        result.question || result.statements[optionIndex(result.correct_answer)] || '',
      ),
    ),
  );
  details.addEventListener('toggle', () => {
    if (details.open && details.children.length === 1) add(details, ...body(app, result, result, named));
  });
  return element('li', {}, details);
}

/**
 * Makes the item that a link or another section asked for.
 * @param {App} app
 * @param {State} state
 * @param {NamedReport[]} reports
 */
function openedItem(app, state, reports) {
  const { item: open, dataset, datasetSource, task } = state;
  if (!open) return [];
  const [main, ...rest] = resultsOf(open, reports);
  const close = element('button', { type: 'button', className: 'quiet', textContent: 'Close' });
  close.addEventListener('click', () => app.reports.closeItem());
  const head = element(
    'div',
    { className: 'actions' },
    element('h3', { tabIndex: -1 }, `${open.question_type}, ${open.caption_key}`),
    ...(main ? [badge(main.result)] : []),
    close,
  );

  const known = open.item && (!main || isSameItem(open.item, main.result)) ? open.item : null;
  const item = main
    ? {
        ...main.result,
        caption: main.result.caption || known?.caption || '',
        question: main.result.question || known?.question || '',
      }
    : known;
  if (!item) return [head, element('p', {}, waiting(dataset !== null, datasetSource !== null, task !== null))];
  const others = rest.map(({ named, result }) =>
    element(
      'li',
      {},
      `${named.name}: ${BADGES[outcomeOf(result)].toLowerCase()}, ` +
        `picked “${result.statements[optionIndex(result.predicted_answer)]}”, margin ${signed(margin(result))}`,
    ),
  );
  return [
    head,
    ...(main ? [element('p', { className: 'note' }, `Scores of ${main.named.name}.`)] : []),
    ...body(
      app,
      item,
      main?.result ?? null,
      main?.named ?? null,
      known !== null || open.item === null ? '' : 'The open data set has another item of this name.',
    ),
    ...(others.length ? [element('p', {}, 'In the other reports:'), element('ul', {}, ...others)] : []),
  ];
}

/** @param {boolean} opened @param {boolean} known @param {boolean} busy */
function waiting(opened, known, busy) {
  if (opened) return busy ? 'Looking it up…' : 'The open data set has no such item.';
  return known
    ? 'It is shown when the data set is open.'
    : 'It is an item of a file that the link cannot hold: pick that file under TED-6K above.';
}

/**
 * Makes the content of an item: caption, question, statements with their scores, the link.
 * @param {App} app
 * @param {Item} item
 * @param {ItemResult | null} result
 * @param {NamedReport | null} named the report of the result
 * @param {string} [lacking] the reason why there is no caption, if it is known
 */
function body(app, item, result, named, lacking = '') {
  const sample = named ? named.sample : (app.state.datasetSource?.sample ?? false);
  const copy = element('button', { type: 'button', className: 'quiet', textContent: 'Copy link' });
  const status = element('span', { role: 'status' });
  copy.addEventListener('click', async () => {
    await app.reports.shareItem(location.origin + location.pathname, item, sample, async (url) =>
      navigator.clipboard.writeText(url),
    );
    const link = app.state.itemLink;
    if (link?.name !== itemName(item)) return;
    fill(
      status,
      link.note,
      ...(link.note.startsWith('Copied') ? [] : [' ', element('a', { href: link.url }, 'The link')]),
    );
  });
  return [
    ...(item.question ? [element('p', {}, element('strong', {}, item.question))] : []),
    ...(item.caption
      ? [element('p', { className: 'item-caption' }, item.caption)]
      : [noCaption(app, item, named, lacking)]),
    scrolling(statements(item, result)),
    ...(result ? [] : [element('p', { className: 'note' }, 'Not scored yet: run the data set above.')]),
    element('p', { className: 'actions' }, copy, status),
  ];
}

/**
 * Offers to look the caption up in the open data set, for a report without captions.
 * @param {App} app
 * @param {Item} item
 * @param {NamedReport | null} named
 * @param {string} lacking
 */
function noCaption(app, item, named, lacking) {
  if (lacking) return element('p', { className: 'note' }, `This report has no captions. ${lacking}`);
  const button = element('button', { type: 'button', className: 'quiet', textContent: 'Look it up' });
  button.addEventListener('click', () => app.reports.openItem(item, named ? [named.id] : []));
  return element(
    'p',
    { className: 'actions note' },
    'This report has no captions; the data set has, when it is open above.',
    button,
  );
}

/** @param {Item} item @param {ItemResult | null} result */
function statements(item, result) {
  const right = optionIndex(item.correct_answer);
  const scores = result?.all_scores ?? [];
  const picked = result ? optionIndex(result.predicted_answer) : -1;
  const [low, high] = [Math.min(...scores), Math.max(...scores)];
  const start = low - (high - low) / 4; // so that the lowest score has a bar too
  const head = result
    ? [
        { text: 'Score', className: 'number' },
        { text: element('span', { className: 'note' }, `bars from ${start.toFixed(3)}`), ariaLabel: 'Bar' },
      ]
    : [];
  return table(
    'statements',
    ['Statement', ...head],
    [
      tbody(
        item.statements.map((statement, at) => {
          const marks = [at === right ? 'true' : '', at === picked ? 'picked' : ''].filter(Boolean);
          const tr = element(
            'tr',
            { className: marks.map((mark) => `is-${mark}`).join(' ') },
            element(
              'th',
              { scope: 'row' },
              statement,
              ...marks.map((mark) => element('span', { className: `mark ${mark}` }, mark)),
            ),
          );
          if (!result) return tr;
          const bar = element('div', { className: 'bar', ariaHidden: 'true' });
          bar.style.setProperty('--accuracy', `${high > start ? (100 * (scores[at] - start)) / (high - start) : 100}%`);
          add(tr, element('td', { className: 'number' }, scores[at].toFixed(4)), element('td', {}, bar));
          return tr;
        }),
      ),
    ],
  );
}

/** @param {ItemResult} result */
function badge(result) {
  const outcome = outcomeOf(result);
  const text = outcome === 'tie' ? `Tie, counted ${result.is_correct ? 'right' : 'wrong'}` : BADGES[outcome];
  return element('span', { className: `badge ${outcome}` }, text);
}

/** A number with its sign: 0.0123 -> "+0.0123". @param {number} value */
function signed(value) {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(4)}`;
}
