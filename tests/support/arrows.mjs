// Reads which room of www/ may import which, the arrows of docs/architecture.md, and compares them with every import.
import { readdirSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';

/** @typedef {Map<string, string[]>} Arrows the rooms that each room may import, apart from itself */

const FOREIGN = /^(pkg|vendor)\//; // the build makes or copies these
const SOURCES = /\.(js|d\.ts)$/;
const IMPORTS = [
  /\bfrom\s+'(\.[^']+)'/g, // import … from, export … from, @import in JSDoc
  /\bimport\s+'(\.[^']+)'/g,
  /\bimport\(\s*'(\.[^']+)'\s*\)/g, // dynamic imports and types in JSDoc
  /\bnew URL\(\s*'(\.[^']+)'\s*,\s*import\.meta\.url\s*\)/g,
  /\bnew Worker\(\s*'(\.[^']+)'/g,
];

/**
 * Reads the arrows of a document: its one block with the info string `arrows NAME`.
 * @param {string} text
 * @param {string} name
 * @returns {Arrows}
 */
export function readArrows(text, name) {
  const blocks = [...text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].filter(
    ([, info]) => info.trim() === `arrows ${name}`,
  );
  if (blocks.length !== 1) throw new Error(`expected one block \`arrows ${name}\`, found ${blocks.length}`);
  const lines = blocks[0][2].split('\n').filter((line) => line.trim() !== '');
  const arrows = new Map();
  for (const line of lines) {
    const [, room, targets] = /^(\S+) -> (\S+(?:, \S+)*)$/.exec(line) ?? [];
    if (!room || arrows.has(room)) throw new Error(`not an arrow, or the second of its room: \`${line}\``);
    arrows.set(room, targets.split(', '));
  }
  return arrows;
}

/**
 * Reads the files of a folder, by their path below it; '' for files that can't import.
 * @param {string} folder
 * @returns {Map<string, string>}
 */
export function readSources(folder) {
  const paths = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => posix.relative(folder, posix.join(entry.parentPath ?? entry.path, entry.name)))
    .filter((path) => !FOREIGN.test(path));
  return new Map(paths.map((path) => [path, SOURCES.test(path) ? readFileSync(posix.join(folder, path), 'utf8') : '']));
}

/** The room of a file: its folder, or the file itself if it lies in the root. @param {string} path */
export function roomOf(path) {
  return path.split('/')[0];
}

/**
 * Finds what is wrong, in sentences: imports without an arrow, arrows without an import, circles.
 * @param {Map<string, string>} files
 * @param {Arrows} arrows
 * @returns {string[]}
 */
export function problemsOf(files, arrows) {
  const rooms = new Set([...files.keys()].map(roomOf));
  const named = [...arrows].flatMap(([room, targets]) => [room, ...targets]);
  const problems = [...new Set(named)].filter((room) => !rooms.has(room)).map((room) => `There is no room ${room}.`);
  for (const circle of circles(arrows)) problems.push(`The arrows form a circle: ${circle.join(' -> ')}.`);

  const unused = new Set([...arrows].flatMap(([room, targets]) => targets.map((target) => `${room} -> ${target}`)));
  /** @type {Map<string, string[]>} */
  const graph = new Map();
  for (const [path, text] of files) {
    const imports = importsOf(path, text);
    graph.set(path, imports);
    for (const target of imports) {
      const [from, to] = [roomOf(path), roomOf(target)];
      unused.delete(`${from} -> ${to}`);
      if (!files.has(target)) problems.push(`${path} imports ${target}, which is not there.`);
      else if (from !== to && !arrows.get(from)?.includes(to))
        problems.push(`${path} imports ${target}: there is no arrow ${from} -> ${to}.`);
    }
  }
  for (const arrow of unused) problems.push(`No import needs the arrow ${arrow}.`);
  for (const circle of circles(graph))
    problems.push(`These files import each other in a circle: ${circle.join(' -> ')}.`);
  return problems;
}

/** The files that a file imports, as paths below the same folder. @param {string} path @param {string} text */
function importsOf(path, text) {
  const names = IMPORTS.flatMap((pattern) => [...text.matchAll(pattern)].map(([, name]) => name));
  const targets = names
    .map((name) => posix.join(posix.dirname(path), name))
    .map((target) => (posix.extname(target) ? target : `${target}.d.ts`));
  return [...new Set(targets)].filter((target) => !FOREIGN.test(target));
}

/** The circles of a graph, each once. @param {Map<string, string[]>} graph @returns {string[][]} */
function circles(graph) {
  /** @type {string[][]} */
  const found = [];
  const done = new Set();
  const visit = (/** @type {string} */ node, /** @type {string[]} */ way) => {
    const at = way.indexOf(node);
    if (at >= 0) found.push([...way.slice(at), node]);
    if (at >= 0 || done.has(node)) return;
    for (const next of graph.get(node) ?? []) visit(next, [...way, node]);
    done.add(node);
  };
  for (const node of graph.keys()) visit(node, []);
  return found;
}
