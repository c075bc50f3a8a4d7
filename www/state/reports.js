// The reports on the page and their items: what each one is, which items to list, and by how much they are right.

/** @import { Item, ItemResult, Report } from '../types/wasm' */
/** @import { Browse, NamedReport, State } from './state' */

/** The id of this page's last run among the reports. */
export const RUN = 'run';
export const PAGE_SIZE = 20;
const MAX_BYTES = 256e6; // all of TED-6K has about 20 MB

/**
 * The reports on the page: its last run, if that has items, then those that were imported or kept.
 * @param {Pick<State, 'outcome' | 'imported'>} state
 * @returns {NamedReport[]}
 */
export function reportsOf({ outcome, imported }) {
  if (!outcome?.report.results.length) return imported;
  const { report, model, settings, sample } = outcome;
  return [
    { id: RUN, name: `This run: ${model}, ${settings.feature} + ${settings.pooling}`, report, sample },
    ...imported,
  ];
}

/**
 * The ids of the two reports to compare: the chosen ones if they are still there, otherwise the first two.
 * @param {State['pair']} pair
 * @param {NamedReport[]} reports
 * @returns {State['pair']}
 */
export function pairOf(pair, reports) {
  const has = (/** @type {string} */ id) => reports.some((named) => named.id === id);
  const other = (/** @type {string} */ than) => reports.find(({ id }) => id !== than)?.id ?? '';
  const first = has(pair.first) ? pair.first : other(pair.second);
  return { first, second: has(pair.second) ? pair.second : other(first) };
}

/** @param {File} file */
export async function reportBytes(file) {
  if (file.size > MAX_BYTES)
    throw new Error(`\`${file.name}\` is too large for a report: at most ${MAX_BYTES / 1e6} MB are read.`);
  return new Uint8Array(await file.arrayBuffer());
}

/**
 * The results for an item. The first is the one to show: of a report in `from`, or else of the first report that has
 * it. Then follow the other reports' results for the same statements. If the data set has the item, its statements
 * decide.
 * @param {NonNullable<State['item']>} open
 * @param {NamedReport[]} reports
 */
export function resultsOf(open, reports) {
  const found = reports.flatMap((named) => {
    const result = findItem(named.report, open);
    return result ? [{ named, result }] : [];
  });
  const asked = found.filter(({ named }) => open.from.includes(named.id));
  const [main] = asked.length ? asked : found.filter(({ result }) => !open.item || isSameItem(open.item, result));
  return main ? [main, ...found.filter((one) => one !== main && isSameItem(one.result, main.result))] : [];
}

/** The name of an item, in links and on the page. @param {Pick<Item, 'caption_key' | 'question_type'>} item */
export function itemName({ caption_key, question_type }) {
  return `${caption_key}|${question_type}`;
}

/**
 * @param {Pick<Report, 'results'>} report
 * @param {Pick<Item, 'caption_key' | 'question_type'>} item
 * @returns {ItemResult | null}
 */
export function findItem({ results }, item) {
  return (
    results.find(
      ({ caption_key, question_type }) => caption_key === item.caption_key && question_type === item.question_type,
    ) ?? null
  );
}

/**
 * Whether both are the same item. Data sets may use one name for two items, and may order statements differently.
 * @param {Pick<Item, 'statements'>} a
 * @param {Pick<Item, 'statements'>} b
 */
export function isSameItem(a, b) {
  return (
    a.statements.length === b.statements.length && a.statements.every((statement) => b.statements.includes(statement))
  );
}

/** The index of a letter: "C" -> 2. @param {string} letter */
export function optionIndex(letter) {
  return letter.charCodeAt(0) - 65;
}

/**
 * The score of the right statement minus that of the best wrong one. Above 0 the item is right, at 0 it is a tie.
 * @param {Pick<ItemResult, 'all_scores' | 'correct_answer'>} item
 */
export function margin({ all_scores, correct_answer }) {
  const right = optionIndex(correct_answer);
  return all_scores[right] - Math.max(...all_scores.filter((_, at) => at !== right));
}

/** Whether two statements or more share the top score. @param {Pick<ItemResult, 'all_scores'>} item */
export function isTie({ all_scores }) {
  const top = Math.max(...all_scores);
  return all_scores.filter((score) => score === top).length > 1;
}

/** @param {Pick<ItemResult, 'all_scores' | 'is_correct'>} item @returns {'right' | 'wrong' | 'tie'} */
export function outcomeOf(item) {
  if (isTie(item)) return 'tie';
  return item.is_correct ? 'right' : 'wrong';
}

/**
 * The items that pass the filters, in the chosen order.
 * @param {ItemResult[]} results
 * @param {Browse} browse
 */
export function selectItems(results, { caption_type, question_type, outcome, sort }) {
  const chosen = results.filter(
    (item) =>
      (!caption_type || item.caption_type === caption_type) &&
      (!question_type || item.question_type === question_type) &&
      (!outcome || outcomeOf(item) === outcome),
  );
  if (sort === 'index') return chosen;
  const sign = sort === 'lowest' ? 1 : -1;
  return chosen
    .map((item) => ({ item, by: margin(item) }))
    .sort((a, b) => sign * (a.by - b.by) || a.item.index - b.item.index)
    .map(({ item }) => item);
}

/** The number of right, wrong and tied items. @param {ItemResult[]} results */
export function countOutcomes(results) {
  const counts = { right: 0, wrong: 0, tie: 0 };
  for (const item of results) counts[outcomeOf(item)]++;
  return counts;
}
