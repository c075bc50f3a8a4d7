// gran-ted's page and its peers, one after the other in one session, on the same token ids: `./build.sh peers`.
//
//   node tests/peers/run.mjs [ENGINE...] [--runs 3] [--seconds 40] [--workloads a16,b256,c_item]
//     [--again] [--json FILE]
//
// Each engine's result is kept in .cache/peers/results: what was measured within the last hours, with the same code, is
// not measured again (--again does). A workload is embedded once to warm up, then at most `runs` times within
// `seconds`.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { workloads as allWorkloads, engines, WORK } from './engines.mjs';

/** @import { Engine, Open } from './engines.mjs' */

/**
 * @typedef {{ first: number, times: number[], median: number, tokens: number }} Timing milliseconds
 * @typedef {object} Result
 * @property {string} engine
 * @property {string} key a hash of code and options
 * @property {string} date
 * @property {[number, number]} load the machine's load average, before and after
 * @property {number} loadSeconds
 * @property {Record<string, Timing>} workloads
 * @property {Record<string, number>} loaded peak bytes by kind of process, after the model is loaded
 * @property {Record<string, number>} memory peak bytes by kind of process, at the end
 * @property {number[]} vector the vector of the first text of the first workload
 * @property {string} error
 */

const SESSION = 3 * 3600e3; // ms for which results count as of one session
const FILES = ['engines.mjs', 'ort.html', 'wllama.html', 'workload.json', 'make_onnx.py', 'package-lock.json'];
const RESULTS = join(WORK, 'results');

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '40' },
    workloads: { type: 'string', default: Object.keys(allWorkloads).join() },
    again: { type: 'boolean', default: false },
    json: { type: 'string' },
  },
});
const [runs, seconds] = [Number(options.runs), Number(options.seconds)];
if (!(runs >= 1) || !(seconds >= 0))
  stop(`--runs ${options.runs} --seconds ${options.seconds}: expected a count from 1 and a number of seconds`);
const unknown = positionals.find((name) => !Object.hasOwn(engines, name));
if (unknown) stop(`unknown engine \`${unknown}\`: expected ${Object.keys(engines).join(', ')}`);

const absent = options.workloads.split(',').find((name) => !Object.hasOwn(allWorkloads, name));
if (absent !== undefined) stop(`unknown workload \`${absent}\`: expected ${Object.keys(allWorkloads).join(', ')}`);
const workloads = Object.fromEntries(options.workloads.split(',').map((name) => [name, allWorkloads[name]]));

mkdirSync(RESULTS, { recursive: true });
/** @type {Result[]} */
const results = [];
for (const name of positionals.length ? positionals : Object.keys(engines)) {
  const kept = options.again ? null : recent(name);
  if (kept) console.log(`${engines[name].title}: measured ${kept.date}`);
  const result = kept ?? (await measure(name, engines[name]));
  if (!result.error) writeFileSync(join(RESULTS, `${name}.json`), JSON.stringify(result));
  results.push(result);
}
const facts = session();
console.log(`\n${facts.join('\n')}\n\n${table(results)}\n${ratios(results)}\n${checks(results)}`);
if (options.json) writeFileSync(options.json, JSON.stringify({ facts, results }, null, 1) + '\n');
if (results.some(({ error }) => error)) process.exitCode = 1;

/** @param {string} name @param {Engine} engine @returns {Promise<Result>} */
async function measure(name, engine) {
  console.log(`${engine.title} …`);
  /** @type {Result} */
  const result = {
    engine: name,
    key: keyOf(name),
    date: new Date().toISOString(),
    load: [loadavg()[0], 0],
    loadSeconds: 0,
    workloads: {},
    loaded: {},
    memory: {},
    vector: [],
    error: '',
  };
  /** @type {Open | null} */
  let open = null;
  try {
    open = await engine.open();
    const start = performance.now();
    await open.load();
    result.loadSeconds = (performance.now() - start) / 1000;
    result.loaded = open.memory();
    for (const [workload, texts] of Object.entries(workloads)) {
      const began = performance.now();
      const { milliseconds: first, tokens, vectors } = await open.embed(texts);
      const counts = texts.map(({ ids }) => ids.length);
      if (tokens && String(tokens) !== String(counts))
        throw new Error(`${workload}: ${tokens} tokens, expected ${counts}`);
      if (texts === Object.values(workloads)[0]) result.vector = vectors[0];
      /** @type {number[]} */
      const times = [];
      while (times.length === 0 || (times.length < runs && performance.now() - began < 1000 * seconds))
        times.push((await open.embed(texts)).milliseconds);
      const timing = (result.workloads[workload] = {
        first,
        times,
        median: median(times),
        tokens: counts.reduce((sum, count) => sum + count, 0),
      });
      console.log(
        `  ${workload}: ${Math.round(timing.median)} ms (${times.map(Math.round).join(', ')}; first ${Math.round(first)})`,
      );
    }
    result.memory = open.memory();
  } catch (error) {
    result.error = error instanceof Error ? error.message : String(error);
    console.log(`  failed: ${result.error}`);
  } finally {
    await open?.close();
  }
  result.load[1] = loadavg()[0];
  return result;
}

/** @param {string} name @returns {Result | null} */
function recent(name) {
  try {
    const result = JSON.parse(readFileSync(join(RESULTS, `${name}.json`), 'utf8'));
    return result.key === keyOf(name) && Date.now() - Date.parse(result.date) < SESSION ? result : null;
  } catch {
    return null;
  }
}

/** @param {string} name */
function keyOf(name) {
  const files = FILES.map((file) => new URL(file, import.meta.url));
  const hash = createHash('sha256').update(`${name} ${runs} ${seconds} ${options.workloads}`);
  for (const file of files) hash.update(readFileSync(file));
  if (engines[name].ours) hash.update(module());
  return hash.digest('hex');
}

function module() {
  return readFileSync('dist/pkg/gran_ted_bg.wasm');
}

/** What was measured, and where. */
function session() {
  const { packages } = JSON.parse(readFileSync(new URL('package-lock.json', import.meta.url), 'utf8'));
  const version = (/** @type {string} */ name) => `${name} ${packages[`node_modules/${name}`].version}`;
  return [
    `date      ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    `machine   ${cpus().length} cores, ${cpus()[0].model}`,
    `versions  Node.js ${process.versions.node}, ${version('onnxruntime-web')}, ${version('@wllama/wllama')}`,
    `gran-ted  wasm module ${createHash('sha256').update(module()).digest('hex').slice(0, 12)}`,
    'model     SmolLM2-135M-Instruct, 4 bits, one thread, mean over the last hidden state; medians of warm runs',
  ];
}

/** @param {Result[]} results */
function table(results) {
  const names = Object.keys(workloads);
  const header = [
    '',
    ...names.map((name) => `${name} ms`),
    'tokens/s',
    'load s',
    'renderer MB',
    'GPU process MB',
    'both MB',
    'after load MB',
    'runs',
    'load average',
  ];
  const rows = results.map((result) => {
    if (result.error) return [engines[result.engine].title, `failed: ${result.error.slice(0, 60)}`];
    const last = result.workloads[names.at(-1) ?? ''];
    const [renderer, gpu] = memory(result.memory);
    const [loadedRenderer, loadedGpu] = memory(result.loaded);
    return [
      engines[result.engine].title,
      ...Object.values(result.workloads).map(({ median }) => whole(median)),
      ((1000 * last.tokens) / last.median).toFixed(1),
      result.loadSeconds.toFixed(1),
      ...[renderer, gpu, renderer + gpu, loadedRenderer + loadedGpu].map((bytes) => whole(bytes / 1e6)),
      Object.values(result.workloads)
        .map(({ times }) => times.length)
        .join('/'),
      result.load.map((load) => load.toFixed(1)).join('-'),
    ];
  });
  return columns([header, ...rows]);
}

/** How many times as long as ours each peer takes, on the same kind of device. @param {Result[]} results */
function ratios(results) {
  const done = results.filter(({ error }) => !error);
  const rows = done
    .filter(({ engine }) => !engines[engine].ours)
    .flatMap((peer) => {
      const ours = done.filter(({ engine }) => engines[engine].ours);
      return ours.map((own) => [
        `${engines[peer.engine].title} / ${engines[own.engine].title}`,
        ...Object.keys(workloads).map((name) => (peer.workloads[name].median / own.workloads[name].median).toFixed(2)),
      ]);
    });
  return columns([['time of the peer / ours', ...Object.keys(workloads)], ...rows]);
}

/** @param {Result[]} results */
function checks(results) {
  const done = (/** @type {string} */ name) => results.find(({ engine, error }) => engine === name && !error);
  const wllama = done('wllama');
  const lines = [];
  for (const ours of [done('ours-webgpu'), done('ours-cpu')]) {
    if (!ours || !wllama) continue;
    const [own, peer] = [ours, wllama].map((result) => memory(result.memory).reduce((sum, bytes) => sum + bytes) / 1e6);
    lines.push(
      `peak memory, renderer and GPU process: ${engines[ours.engine].title} ${whole(own)} MB, wllama ${whole(peer)} MB: ${own < peer ? 'below' : 'NOT below'}`,
    );
  }
  if (wllama) {
    for (const result of results) {
      if (result !== wllama && !result.error)
        lines.push(
          `cosine of the first text with wllama's: ${engines[result.engine].title} ${cosine(result.vector, wllama.vector).toFixed(5)}`,
        );
    }
  }
  return lines.join('\n');
}

/** @param {Record<string, number>} peaks @returns {[number, number]} bytes of the renderer and of the GPU process */
function memory(peaks) {
  return [peaks.renderer ?? 0, peaks['gpu-process'] ?? 0];
}

/** @param {number[]} a @param {number[]} b */
function cosine(a, b) {
  const dot = (/** @type {number[]} */ x, /** @type {number[]} */ y) =>
    x.reduce((sum, value, at) => sum + value * y[at], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

/** @param {number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** @param {number} value */
function whole(value) {
  return Math.round(value).toLocaleString('en');
}

/** @param {string[][]} rows */
function columns(rows) {
  const widths = rows[0].map((_, at) =>
    Math.max(...rows.map((row) => (row.length === rows[0].length ? row[at].length : 0))),
  );
  return rows
    .map((row) => row.map((cell, at) => (at ? cell.padStart(widths[at]) : cell.padEnd(widths[at]))).join('  ') + '\n')
    .join('');
}

/** @param {string} message @returns {never} */
function stop(message) {
  console.error(message);
  process.exit(2);
}
