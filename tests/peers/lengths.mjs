// Time per token by length of the text, from reports of `gran-ted bench --json`, as a chart: `./build.sh lengths`.
//
//   node tests/peers/lengths.mjs OUT.svg TITLE=REPORT.json...
//
// There is a panel for each report: the whole time, and the time without attention, whose share grows with the length.
// The band is 20 % around the middle of the latter.
import { readFileSync, writeFileSync } from 'node:fs';

/** @import { BenchReport } from '../../www/types/wasm' */
/** @typedef {{ tokens: number, whole: number, rest: number }} Point milliseconds per token */

const PANEL = { width: 360, height: 240, left: 52, right: 16, top: 44, bottom: 40 };
const FONT = 'font-family="system-ui, sans-serif" font-size="12"';
const LABEL = 'Milliseconds a token by length of the text';
const LIGHT = [
  'text { fill: #333 } .axis { stroke: #999 } .grid { stroke: #9994 } .band { fill: #1a73b022 }',
  '.whole { stroke: #c2600a; fill: #c2600a } .rest { stroke: #1a73b0; fill: #1a73b0 }',
  '.line { fill: none; stroke-width: 2 } .name { stroke: none }',
].join(' ');
const DARK = [
  'text { fill: #ddd } .axis { stroke: #888 } .band { fill: #6cb6ee33 }',
  '.whole { stroke: #f0a050; fill: #f0a050 } .rest { stroke: #6cb6ee; fill: #6cb6ee }',
  '.line { fill: none } .name { stroke: none }',
].join(' ');
const TOLERANCE = 0.2;

const [out, ...inputs] = process.argv.slice(2);
if (!out || inputs.length === 0) {
  console.error('usage: node tests/peers/lengths.mjs OUT.svg TITLE=REPORT.json...');
  process.exit(2);
}
const panels = inputs.map((input) => {
  const at = input.indexOf('=');
  const [title, file] = [input.slice(0, at), input.slice(at + 1)];
  const points = pointsOf(JSON.parse(readFileSync(file, 'utf8')));
  if (points.length < 2) throw new Error(`\`${file}\` has ${points.length} lengths of the model, expected 2 or more`);
  const rests = points.map(({ rest }) => rest);
  const spread = Math.max(...rests) / Math.min(...rests) - 1;
  console.log(`${title}\ntokens  ms a token  less attention`);
  for (const { tokens, whole, rest } of points)
    console.log(`${String(tokens).padStart(6)}  ${whole.toFixed(3).padStart(10)}  ${rest.toFixed(3).padStart(14)}`);
  console.log(
    `less attention: slowest ${(100 * spread).toFixed(0)} % above fastest, ${spread <= TOLERANCE ? 'flat' : 'NOT flat'} within ${100 * TOLERANCE} %\n`,
  );
  return { title, points };
});
writeFileSync(out, svg(panels));

/** @param {BenchReport} report @returns {Point[]} */
function pointsOf({ rows }) {
  const models = rows.filter(({ name }) => name === 'model');
  // A skipped part has no figure: without the time of attention a length has no rest.
  return models.flatMap(({ tokens, ms_per_token: whole, ms_per_token_without_attention: rest }) =>
    whole && rest ? [{ tokens, whole, rest }] : [],
  );
}

/** @param {{ title: string, points: Point[] }[]} panels */
function svg(panels) {
  const { width, height } = PANEL;
  const parts = panels.map(
    ({ title, points }, at) => `<g transform="translate(${at * width} 0)">${panel(title, points)}</g>`,
  );
  const total = panels.length * width;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${total} ${height}" width="${total}" height="${height}" ${FONT} role="img" aria-label="${LABEL}">
<style>
${LIGHT}
@media (prefers-color-scheme: dark) { ${DARK} }
</style>
${parts.join('\n')}
</svg>
`;
}

/** @param {string} title @param {Point[]} points */
function panel(title, points) {
  const { width, height, left, right, top, bottom } = PANEL;
  const largest = Math.max(...points.map(({ whole }) => whole));
  const step = tick(largest);
  const highest = Math.ceil(largest / step) * step;
  const [low, high] = [points[0].tokens, points[points.length - 1].tokens].map(Math.log2);
  const x = (/** @type {number} */ tokens) =>
    left + ((Math.log2(tokens) - low) / (high - low)) * (width - left - right);
  const y = (/** @type {number} */ ms) => height - bottom - (ms / highest) * (height - top - bottom);
  const at = (/** @type {number} */ value) => Number(value.toFixed(1));
  const rests = points.map(({ rest }) => rest).sort((a, b) => a - b);
  const middle = (rests[0] + rests[rests.length - 1]) / 2;
  const [upper, lower] = [1 + TOLERANCE / 2, 1 - TOLERANCE / 2].map((factor) => at(y(factor * middle)));
  const curve = (/** @type {'whole' | 'rest'} */ of, /** @type {string} */ name, /** @type {number} */ dy) => {
    const places = points.map((point) => [at(x(point.tokens)), at(y(point[of]))]);
    const last = places[places.length - 1];
    return (
      `<polyline class="line ${of}" points="${places.join(' ')}"/>${places.map(([cx, cy]) => `<circle class="${of}" cx="${cx}" cy="${cy}" r="3"/>`).join('')}` +
      `<text class="${of} name" x="${last[0]}" y="${last[1] + dy}" text-anchor="end">${name}</text>`
    );
  };
  const levels = Array.from({ length: Math.round(highest / step) + 1 }, (_, i) => i * step);
  return [
    `<text x="${left}" y="18" font-weight="600">${escape(title)}</text><text x="${left}" y="34">ms a token</text>`,
    ...levels.map(
      (ms) =>
        `<line class="${ms ? 'grid' : 'axis'}" x1="${left}" x2="${width - right}" y1="${at(y(ms))}" y2="${at(y(ms))}"/>` +
        `<text x="${left - 6}" y="${at(y(ms)) + 4}" text-anchor="end">${Number(ms.toPrecision(3))}</text>`,
    ),
    ...points.map(
      ({ tokens }) => `<text x="${at(x(tokens))}" y="${height - bottom + 16}" text-anchor="middle">${tokens}</text>`,
    ),
    `<text x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">tokens</text>`,
    `<rect class="band" x="${left}" width="${width - left - right}" y="${upper}" height="${at(lower - upper)}"/>`,
    curve('whole', 'whole', -8),
    curve('rest', 'less attention', 16),
  ].join('\n');
}

/** The distance of about four lines up to `largest`: 1, 2 or 5 times a power of ten. @param {number} largest */
function tick(largest) {
  const power = 10 ** Math.floor(Math.log10(largest / 4));
  return power * ([1, 2, 5].find((factor) => factor * power >= largest / 5) ?? 10);
}

/** @param {string} text */
function escape(text) {
  return text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
