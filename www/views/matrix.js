// The similarity matrix as a table with colors: cosines of the prompts' embeddings, and the tokens of each prompt.
import { formatCount, formatDuration, formatSpeed, plural } from '../figures/format.js';
import { extremes, position, scaleOf } from '../figures/heat.js';
import { element } from '../ui/dom.js';
import { scrolling, table, tbody } from '../ui/table.js';

/** @import { Scale } from '../figures/heat.js' */
/** @import { PromptComparison } from '../state/state' */

const STRONG_FROM = 0.62; // position from which the text takes the other color, see --heat in page.css

/** @param {PromptComparison} comparison @returns {HTMLElement[]} */
export function matrix({ texts, settings, embeddings, model, mixed }) {
  const { similarity, tokens, truncated, milliseconds, dimension } = embeddings;
  const total = tokens.reduce((sum, count) => sum + count, 0);
  const figures = element(
    'p',
    { className: 'note' },
    [
      plural(total, 'token'),
      ...(mixed
        ? ['mixed from the layers, without a pass']
        : [formatDuration(milliseconds), formatSpeed(total, milliseconds)]),
      `${settings.feature} + ${settings.pooling}`,
      `${formatCount(dimension)} dimensions`,
      model,
    ]
      .filter(Boolean)
      .join(' · '),
  );
  if (texts.length === 1) return [element('p', {}, 'One prompt alone: add a second to compare.'), figures];

  const { least, most } = extremes(similarity, texts.length);
  const scale = scaleOf(least, most);
  const pair = (/** @type {typeof most} */ { first, second, value }) =>
    `${first + 1} and ${second + 1} (${value.toFixed(scale.digits)})`;
  const columns = [{ text: element('span', {}, 'Prompt') }, ...texts.map((_, at) => String(at + 1)), 'Tokens'];
  const rows = texts.map((text, row) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row', title: text }, element('b', {}, String(row + 1)), element('span', {}, ` ${text}`)),
      ...texts.map((_, column) => cell(similarity[row * texts.length + column], scale, row === column)),
      element(
        'td',
        { className: 'number' },
        formatCount(tokens[row]),
        ...(truncated[row] ? [element('small', {}, ' truncated')] : []),
      ),
    ),
  );
  return [
    element('p', {}, `Most alike: ${pair(most)}. `, ...(texts.length > 2 ? [`Least alike: ${pair(least)}.`] : [])),
    scrolling(table('heat', columns, [tbody(rows)], 'Cosine similarity')),
    ...(least.value < most.value ? [legend(scale)] : []),
    figures,
  ];
}

/** @param {number} value @param {Scale} scale @param {boolean} diagonal */
function cell(value, scale, diagonal) {
  const text = value.toFixed(scale.digits);
  if (diagonal) return element('td', { className: 'self' }, text);
  const at = position(scale, value);
  const td = element('td', { className: at >= STRONG_FROM ? 'cell strong' : 'cell' }, text);
  td.style.setProperty('--heat', `${(100 * at).toFixed(1)}%`);
  return td;
}

/** @param {Scale} scale */
function legend({ low, high, digits }) {
  return element(
    'p',
    { className: 'legend' },
    element('span', {}, low.toFixed(digits)),
    element('span', { className: 'ramp', ariaHidden: 'true' }),
    element('span', {}, high.toFixed(digits)),
  );
}
