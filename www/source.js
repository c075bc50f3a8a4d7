// Where the model comes from: the default beside the page, a link, or picked files.

/** @import { ModelFile } from './types' */

/** @typedef {{ kind: 'default' | 'url' | 'files', name: string, bytes: number | null, files: ModelFile[] }} ModelSource */

export const MAX_URL = 2048;

const DEFAULT_FILE = 'SmolLM2-135M-Instruct.Q4_1.gguf';

/** @param {string} base the page's address @returns {ModelSource} */
export function defaultSource(base) {
  const url = new URL(`models/${DEFAULT_FILE}`, base).href;
  return { kind: 'default', name: DEFAULT_FILE, bytes: 98_362_432, files: [{ url }] };
}

/** @param {string} url as checked by `modelUrl` @returns {ModelSource} */
export function urlSource(url) {
  return { kind: 'url', name: url, bytes: null, files: [{ url }] };
}

/** @param {File[]} files @returns {ModelSource} */
export function fileSource(files) {
  const bytes = files.reduce((sum, file) => sum + file.size, 0);
  return { kind: 'files', name: files.map((file) => file.name).join(', '), bytes, files };
}

/** Whether both are the same model; a picked file is its own. @param {ModelSource} a @param {ModelSource} b */
export function sameSource(a, b) {
  return a === b || (a.kind !== 'files' && a.kind === b.kind && a.name === b.name);
}

/** The address of a model as a stranger wrote it: http(s) only, bounded. Throws. @param {string} text */
export function modelUrl(text) {
  if (text.length > MAX_URL) throw new Error(`The model's address has ${text.length} characters; at most ${MAX_URL} are taken.`);
  if (!URL.canParse(text)) throw new Error('The model\'s address is not a whole URL: it should begin with https:// or http://.');
  const { protocol, username, password, href } = new URL(text);
  if (protocol !== 'https:' && protocol !== 'http:') throw new Error(`The model's address begins with ${protocol.slice(0, 20)}, only https: and http: are taken.`);
  if (username || password) throw new Error('The model\'s address holds a user name or password: such links are not taken.');
  return href;
}
