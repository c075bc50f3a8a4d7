// The journal of a stored file: one line for one thing that happened, each with its own checksum, only ever appended
// to. The first line is the head.
//   3f0c9a11 {"version":1,"url":"https://…","name":"a.gguf","size":98362432,"etag":"\"x\"","modified":"",
//             "chunk":8388608,"created":0}
//   90d1e2b7 {"chunk":3,"sha256":"…"}     a chunk is in the file; it was written before this line
//   11c04fd2 {"drop":3}                   a chunk was found damaged
//   7aa0315e {"used":1764000000000}       a load, in ms since 1970
//   02b9d3c8 {"sha256":"…"}               the hash of the complete file, after a load
//   5be1c07d {"expect":"…"}               the hash that its server announced
//   8e01b7aa {"asked":"…"}                the hash that a link or the catalogue told the load: no other expects it
//   c3d902aa {"bad":"…"}                  the hash that it has instead: who expects another one is refused
// A line that a crash tore, or that has flipped bits, does not match its checksum and is skipped: its chunk is fetched
// again.
import { isSha256 } from './sha256.js';

/**
 * @typedef {object} Header
 * @property {1} version
 * @property {string} url
 * @property {string} name
 * @property {number} size
 * @property {string} etag of the server; '' if it told none
 * @property {string} modified of the server; '' if it told none
 * @property {number} chunk the bytes of a chunk
 * @property {number} created
 *
 * @typedef {{ chunk: number, sha256: string } | { drop: number } | { used: number }} ChunkLine
 * @typedef {{ sha256: string } | { expect: string } | { asked: string } | { bad: string }} FileLine
 * @typedef {ChunkLine | FileLine} Line
 *
 * @typedef {object} Journal
 * @property {Header} header
 * @property {Map<number, string>} chunks the SHA-256 of each stored chunk, by index
 * @property {number} used
 * @property {string} sha256 '' if there is no such line
 * @property {string} expect '' if there is no such line
 * @property {string} asked '' if there is no such line
 * @property {string} bad '' if there is no such line
 */

const MAX_CHUNKS = 1_000_000;
const MAX_TEXT = 8192; // of an address, a name or a version
const MAX_TIME = 8.64e15; // the last ms that a date can tell

/** @param {Header | Line} line */
export function writeLine(line) {
  const text = JSON.stringify(line);
  return `${checksum(text)} ${text}\n`;
}

/** Reads a journal; null if it has no head. @param {string} text @returns {Journal | null} */
export function readJournal(text) {
  const [header, ...lines] = text
    .split('\n')
    .map(readLine)
    .filter((line) => line !== null);
  if (!isHeader(header)) return null;
  const journal = freshJournal(header);
  for (const line of lines) take(journal, line);
  return journal;
}

/** @param {Header} header @returns {Journal} */
export function freshJournal(header) {
  return { header, chunks: new Map(), used: header.created, sha256: '', expect: '', asked: '', bad: '' };
}

/**
 * Adds what a line says to a journal. A line that makes no sense adds nothing.
 * @param {Journal} journal
 * @param {any} line
 */
export function take(journal, line) {
  const { header, chunks } = journal;
  if (isChunk(line.chunk, header) && isSha256(line.sha256)) chunks.set(line.chunk, line.sha256);
  else if (isSha256(line.sha256))
    Object.assign(journal, { sha256: line.sha256, bad: '' }); // then somebody expected this hash
  else if (isTime(line.used)) journal.used = line.used;
  else if (isChunk(line.drop, header)) chunks.delete(line.drop);
  else if (isSha256(line.expect)) journal.expect = line.expect;
  else if (isSha256(line.asked)) journal.asked = line.asked;
  else if (isSha256(line.bad)) journal.bad = line.bad;
}

/** @param {Header} header */
export function chunkCount({ size, chunk }) {
  return Math.ceil(size / chunk);
}

/** The place of a chunk: [start, end]. @param {Header} header @param {number} index @returns {[number, number]} */
export function chunkRange({ size, chunk }, index) {
  return [index * chunk, Math.min((index + 1) * chunk, size)];
}

/** The bytes of the stored chunks. @param {Journal} journal */
export function storedBytes({ header, chunks }) {
  return [...chunks.keys()].reduce(
    (sum, index) => sum + chunkRange(header, index)[1] - chunkRange(header, index)[0],
    0,
  );
}

/** @param {Journal} journal */
export function isComplete({ header, chunks }) {
  return chunks.size === chunkCount(header);
}

/** @param {string} text @returns {any} */
function readLine(text) {
  const [, sum, json] = /^([0-9a-f]{8}) (\{.*\})$/s.exec(text) ?? [];
  if (!json || checksum(json) !== sum) return null;
  try {
    return JSON.parse(json);
  } catch {
    return null;
  }
}

/** @param {any} value @returns {value is Header} */
function isHeader(value) {
  const strings = ['url', 'name', 'etag', 'modified'].every(
    (key) => typeof value?.[key] === 'string' && value[key].length <= MAX_TEXT,
  );
  const numbers = ['size', 'chunk', 'created'].every((key) => Number.isSafeInteger(value?.[key]) && value[key] >= 0);
  return (
    value?.version === 1 &&
    strings &&
    numbers &&
    isAddress(value.url) &&
    isTime(value.created) &&
    value.chunk > 0 &&
    chunkCount(value) <= MAX_CHUNKS
  );
}

/** @param {string} url */
function isAddress(url) {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
}

/** @param {unknown} value @returns {value is number} */
function isTime(value) {
  return typeof value === 'number' && value >= 0 && value <= MAX_TIME;
}

/** @param {unknown} value @param {Header} header @returns {value is number} */
function isChunk(value, header) {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) < chunkCount(header);
}

/** FNV-1a, 32 bits: enough against a torn write. @param {string} text */
function checksum(text) {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return (hash >>> 0).toString(16).padStart(8, '0');
}
