// Finds the files of a model from what a person names: an index of shards stands for config.json, the tokenizer and
// the shards. The index is untrusted: its size, the number of names and each name are checked before anything is
// fetched.
import { isNamed, named } from '../worker/errors.js';
import { fetchSmall } from './http.js';

/** @import { ModelFile } from '../types/storage' */
/** @import { Options } from './http.js' */
/** @import { SmallFiles } from './small.js' */
/**
 * @typedef {object} WebFile
 * @property {string} url
 * @property {string} sha256 the hash that it should have; '' if it is not known
 * @property {Uint8Array | null} content the content of a small file, which has been fetched already
 */

const MAX_SHARDS = 1000;
const MAX_INDEX = 32 << 20;
const MAX_JSON = 64 << 20; // config.json, a tokenizer's file

// The files of a tokenizer. Each is asked for only where none before it is there.
const TOKENIZERS = [
  ['tokenizer.json'],
  ['spiece.model'],
  ['tokenizer.model'],
  ['tekken.json'],
  ['vocab.json', 'merges.txt', 'tokenizer_config.json', 'added_tokens.json'],
];

/** @param {ModelFile[]} files @param {SmallFiles} small @returns {Promise<(File | WebFile)[]>} */
export async function expand(files, small) {
  const expanded = await Promise.all(
    files.map(async (file) => {
      if (file instanceof File) return [file];
      const { url, sha256 = '' } = file;
      const { pathname } = new URL(url);
      if (pathname.endsWith('.safetensors.index.json')) {
        const shards = await shardNames(url, small);
        return [
          ...(await beside(url, small)),
          ...shards.map((name) => ({ url: new URL(name, url).href, sha256: '', content: null })),
        ];
      }
      const own = { url, sha256, content: null };
      return pathname.endsWith('.safetensors') ? [...(await beside(url, small, true)), own] : [own];
    }),
  );
  return expanded.flat();
}

/**
 * Reads config.json, which a single file may lack (it is recognized by its tensors), and, if there is one, the
 * tokenizer from the folder of a file, or from the folder that a diffusion repository has for it: `tokenizer_2` beside
 * `text_encoder_2`.
 * @param {string} url
 * @param {SmallFiles} small
 * @param {boolean} [alone] whether the file may stand alone
 * @returns {Promise<WebFile[]>}
 */
async function beside(url, small, alone = false) {
  const at = (/** @type {string} */ name) => new URL(name, url).href;
  const read = (/** @type {string} */ name) => small.read(at(name), { most: MAX_JSON, optional: true });
  const number = /\/text_encoder(_\d+)?\/[^/]*$/.exec(new URL(url).pathname);
  const folders = number ? ['', `../tokenizer${number[1] ?? ''}/`] : [''];
  const [config, tokenizer] = await Promise.all([
    small.read(at('config.json'), { most: MAX_JSON, optional: alone }),
    firstOf(folders, read),
  ]);
  return [
    ...(config ? [{ url: at('config.json'), sha256: '', content: config }] : []),
    ...tokenizer.map(({ name, content }) => ({ url: at(name), sha256: '', content })),
  ];
}

/**
 * The first tokenizer that there is, as a list of its files: those that are whole by themselves come first.
 * @param {string[]} folders
 * @param {(name: string) => Promise<Uint8Array | null>} read
 */
async function firstOf(folders, read) {
  for (const folder of folders) {
    for (const names of TOKENIZERS) {
      const files = [];
      for (const name of names) {
        const content = await read(folder + name);
        if (content) files.push({ name: folder + name, content });
        else if (names.length === 1 || name === 'merges.txt' || name === 'vocab.json') break;
      }
      if (files.length >= Math.min(names.length, 2)) return files;
    }
  }
  return [];
}

/** @param {string} url @param {SmallFiles} small */
async function shardNames(url, small) {
  const bytes = await small.read(url, { most: MAX_INDEX });
  const malformed = (/** @type {string} */ found) =>
    named(
      'Malformed',
      `\`${url}\`: weight_map is malformed: expected the names of .safetensors files in the same folder, found ${found}`,
    );
  let map;
  try {
    map = JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array())).weight_map;
  } catch {
    throw malformed('no JSON');
  }
  if (typeof map !== 'object' || map === null || Array.isArray(map)) throw malformed('none');
  const names = [...new Set(Object.values(map))].sort();
  if (names.length === 0 || names.length > MAX_SHARDS)
    throw malformed(`${names.length} files, at most ${MAX_SHARDS} are taken`);
  const odd = names.find((name) => typeof name !== 'string' || !/^\w[\w.-]{0,200}\.safetensors$/.test(name));
  if (odd !== undefined) throw malformed(JSON.stringify(odd).slice(0, 60));
  return names;
}

/**
 * Asks the Hugging Face Hub for the SHA-256 of a file, which is in the pointer that git has for it. '' if the Hub
 * announces none, null if it did not answer.
 * @param {string} url
 * @param {Options} options
 */
export async function announcedSha256(url, options) {
  const [, repository, rest] =
    /^https:\/\/huggingface\.co\/((?:[\w.-]+\/){0,2}[\w.-]+)\/resolve\/([^?#]+)$/.exec(url) ?? [];
  if (!rest) return '';
  try {
    const pointer = await fetchSmall(
      `https://huggingface.co/${repository}/raw/${rest}`,
      { most: 1024 },
      { ...options, timing: { ...options.timing, tries: 1 } },
    );
    return /^oid sha256:([0-9a-f]{64})$/m.exec(new TextDecoder().decode(pointer?.bytes))?.[1] ?? '';
  } catch (error) {
    return isNamed(error, 'NotFound') || isNamed(error, 'TooLarge') ? '' : null;
  }
}
