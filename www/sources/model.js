// Sources of a model: the default, which comes with the page, an address, or picked files.
import { formatBytes } from '../figures/format.js';
import { hubAddress, isHub, readShort } from './hub.js';

/** @import { ModelFile } from '../types/storage' */

/**
 * @typedef {object} ModelSource
 * @property {'default' | 'url' | 'files'} kind
 * @property {string} name
 * @property {number | null} bytes null if nobody has looked
 * @property {ModelFile[]} files
 * @property {string} [sha256] the hash that the link or the catalogue gives for its one file
 */

export const MAX_URL = 2048;

const DEFAULT_FILE = 'SmolLM2-135M-Instruct.Q4_1.gguf';
const DEFAULT_SHA256 = 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53';
const MAX_PARTS = 1000;

/** @param {string} base the page's address @returns {ModelSource} */
export function defaultSource(base) {
  const url = new URL(`models/${DEFAULT_FILE}`, base).href;
  return { kind: 'default', name: DEFAULT_FILE, bytes: 98_362_432, files: [{ url, sha256: DEFAULT_SHA256 }] };
}

/**
 * @param {string} url an address that `modelUrl` has checked
 * @param {string} [sha256] the hash of its one file
 * @returns {ModelSource}
 */
export function urlSource(url, sha256 = '') {
  const parts = partsOf(url);
  if (parts.length > 1 || !sha256)
    return { kind: 'url', name: url, bytes: null, files: parts.map((part) => ({ url: part })) };
  return { kind: 'url', name: url, bytes: null, files: [{ url, sha256 }], sha256 };
}

/** The parts of a model: for `…-00001-of-00003.gguf` all three, otherwise the file itself. @param {string} url */
function partsOf(url) {
  const { pathname } = new URL(url);
  const [, front, count] = /^(.*)-00001-of-(\d{5})\.gguf$/.exec(pathname) ?? [];
  if (!front || Number(count) < 1 || Number(count) > MAX_PARTS) return [url];
  return Array.from({ length: Number(count) }, (_, at) => {
    const part = new URL(url);
    part.pathname = `${front}-${String(at + 1).padStart(5, '0')}-of-${count}.gguf`;
    return part.href;
  });
}

/** @param {File[]} files @returns {ModelSource} */
export function fileSource(files) {
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  return { kind: 'files', name: files.map((file) => file.name).join(', '), bytes, files };
}

/**
 * What a click that loads the model would fetch, in words: from which host, and how much. '' for picked files.
 * @param {Pick<ModelSource, 'kind' | 'name' | 'bytes'>} source
 */
export function fetchText({ kind, name, bytes }) {
  if (kind === 'files') return '';
  const size = bytes === null ? 'of unknown size' : formatBytes(bytes);
  return kind === 'url' ? `from ${new URL(name).host}, ${size}` : size;
}

/**
 * The sentence beside what needs a model: that it is loaded first, and what is fetched for that. '' once it is loaded.
 * @param {{ card: object | null, source: ModelSource }} model
 */
export function firstText({ card, source }) {
  return card ? '' : `${['The model is loaded first', fetchText(source)].filter(Boolean).join(', ')}.`;
}

/**
 * Whether both are the same model. A picked file is the same only as itself.
 * @param {ModelSource} a
 * @param {ModelSource} b
 */
export function sameSource(a, b) {
  return a === b || (a.kind !== 'files' && a.kind === b.kind && a.name === b.name);
}

/**
 * Reads the address of a model as a person types or pastes it: a URL, or what stands for a file on the Hugging Face
 * Hub, such as `owner/repository/path/file.gguf[@revision]`. Throws.
 * @param {string} typed
 */
export function modelAddress(typed) {
  const text = typed.trim();
  const short =
    text.length <= MAX_URL && (!/^\w[\w+.-]*:\/\//.test(text) || /^hf:/i.test(text)) ? readShort(text) : null;
  return modelUrl(short ?? text);
}

/**
 * Checks the address of a model, which may come from a link: http(s) only, of bounded length. Every address of one file
 * on the Hugging Face Hub becomes the same one. Throws.
 * @param {string} text
 */
export function modelUrl(text) {
  const url = checkedUrl(text);
  url.hash = ''; // no server sees it
  return isHub(url) ? checkedUrl(hubAddress(url)).href : url.href;
}

/** @param {string} text */
function checkedUrl(text) {
  if (text.length > MAX_URL)
    throw new Error(`The model's address has ${text.length} characters; at most ${MAX_URL} are taken.`);
  if (!URL.canParse(text))
    throw new Error("The model's address is not a whole URL: it should begin with https:// or http://.");
  const url = new URL(text);
  const { protocol, username, password, href } = url;
  if (protocol !== 'https:' && protocol !== 'http:')
    throw new Error(`The model's address begins with ${protocol.slice(0, 20)}, only https: and http: are taken.`);
  if (username || password)
    throw new Error("The model's address holds a user name or password: such links are not taken.");
  if (href.length > MAX_URL)
    throw new Error(
      `The model's address has ${href.length} characters when it is written out; at most ${MAX_URL} are taken.`,
    );
  return url;
}
