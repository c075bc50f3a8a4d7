// Groups stored files into the models that they make: the parts of a split GGUF, or shards with their index and small
// files, are one model.
import { nameOf } from './names.js';

/** @import { StoredModel } from '../types/storage' */

/**
 * @typedef {StoredModel & { files: StoredModel[], missing: number }} StoredSet the sums of its files; url: the address
 *   that the model is loaded by, '' if none is known; missing: the number of parts of which nothing is stored
 */

const PART = /-(\d{5})-of-(\d{5})\.(gguf|safetensors)$/;
const SMALL =
  /^((config|tokenizer|tekken|vocab|tokenizer_config|added_tokens)\.json|merges\.txt|(spiece|tokenizer)\.model)$/;
const INDEX = '.safetensors.index.json';

/** Groups stored files, in their order. @param {StoredModel[]} models @returns {StoredSet[]} */
export function setsOf(models) {
  /** @type {Map<string, StoredModel[]>} the files of each model, by the address that it is loaded by */
  const sets = new Map();
  const indices = models.map(({ url }) => url).filter((url) => url.endsWith(INDEX));
  for (const model of models) if (!isSmall(model)) put(sets, addressOf(model.url, indices) || model.id, model);
  for (const model of models.filter(isSmall)) {
    const owners = [...sets.keys()].filter((url) => isShardsOf(url) && isBeside(model.url, folderOf(url)));
    put(sets, owners.length === 1 ? owners[0] : model.id, model); // they could be of any of several models in a folder
  }
  return [...sets].map(([url, files]) => setOf(url, files));
}

/** @param {Map<string, StoredModel[]>} sets @param {string} key @param {StoredModel} model */
function put(sets, key, model) {
  sets.set(key, [...(sets.get(key) ?? []), model]);
}

/**
 * The address that a file's model is loaded by: that of its first part or its index, otherwise its own. An index is
 * stored only after its model is loaded; until then the name that checkpoints give it is assumed.
 * @param {string} url
 * @param {string[]} indices the addresses of stored indices
 */
function addressOf(url, indices) {
  if (!url) return '';
  const address = new URL(url);
  const [end, , count, type] = PART.exec(address.pathname) ?? [];
  if (!end) return url;
  address.pathname = address.pathname.slice(0, -end.length) + (type === 'gguf' ? `-00001-of-${count}.gguf` : INDEX);
  const beside = indices.filter((index) => folderOf(index) === folderOf(url));
  return type === 'gguf' || indices.includes(address.href) || beside.length !== 1 ? address.href : beside[0];
}

/** @param {StoredModel} model */
function isSmall({ url }) {
  return url !== '' && SMALL.test(nameOf(url));
}

/** Whether the config.json and tokenizer.json in the folder of a file belong to it. @param {string} url */
function isShardsOf(url) {
  return URL.canParse(url) && /\.safetensors(\.index\.json)?$/.test(new URL(url).pathname);
}

/** Whether a small file belongs to the models of a folder: a tokenizer also to those of its diffusion repository's
 * encoder. @param {string} url @param {string} folder */
function isBeside(url, folder) {
  const own = folderOf(url);
  return own === folder || own.replace(/\/tokenizer(_\d+)?\/$/, '/text_encoder$1/') === folder;
}

/** @param {string} url */
function folderOf(url) {
  return new URL('.', url).href;
}

/** @param {string} key @param {StoredModel[]} files @returns {StoredSet} */
function setOf(key, files) {
  const [first] = files;
  const parts = files.map(({ url }) => PART.exec(url && new URL(url).pathname)).filter((part) => part !== null);
  const missing = parts.length ? Math.max(0, Number(parts[0][2]) - parts.length) : 0;
  const url = key !== first.id ? key : isSmall(first) ? '' : first.url;
  const own = files.find((file) => file.url === url);
  const sum = (/** @type {'size' | 'stored'} */ of) => files.reduce((total, file) => total + file[of], 0);
  const name = parts.length ? nameOf(url) : (own ?? first).name;
  return {
    id: first.id,
    name,
    url,
    size: sum('size'),
    stored: sum('stored'),
    files,
    missing,
    complete: missing === 0 && files.every(({ complete }) => complete),
    used: Math.max(...files.map(({ used }) => used)),
    sha256: parts.length || url.endsWith(INDEX) ? '' : (own ?? first).sha256,
  };
}
