// Addresses of files on the Hugging Face Hub. The Hub writes one file in many ways; all of them end in
// `https://huggingface.co/REPOSITORY/resolve/REVISION/PATH`, so that a model is one model whatever was copied:
//   /blob/ /raw/ /resolve/ /blame/ …, with ?download=true; ?show_file_info=PATH of its lists of files; hf.co and www.;
//   hf://REPOSITORY[@REVISION]/PATH; without https://; OWNER/REPOSITORY/PATH[@REVISION]

const HOST = /^(?:www\.)?(?:huggingface\.co|hf\.co)$/;
const BARE_HOST = /^(?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)(?=[/?#]|$)/i;
const SHORT = /^[\w-][\w.-]*\/[\w-][\w.-]*(?=[/@:?]|$)/;
const DOMAIN = /^[\w.-]*\.[a-z]{2,}$/i; // an owner's name could be written so too, and can't be told from a host
const KIND = /^(?:datasets|spaces)$/; // repositories that are no models, and may hold one
const OF_FILE = /^(?:blob|raw|resolve|blame|edit|commits)$/;
const PART = /^[\w-][\w.-]*$/;
const FILE = /\.(?:gguf|safetensors|json)$/i;
const REVISED = /^(.*\.(?:gguf|safetensors|json))@([\w-][\w.-]*(?:\/[\w-][\w.-]*)*)$/i;

/**
 * The address of a file on the Hub.
 * @param {string} repository
 * @param {string} path
 * @param {string} [revision]
 */
export function hubFile(repository, path, revision = 'main') {
  const encoded = path.split('/').map(encodeURIComponent).join('/');
  return `https://huggingface.co/${repository}/resolve/${encodeURIComponent(revision)}/${encoded}`;
}

/** Whether it is an address on the Hub. @param {URL} url */
export function isHub({ protocol, hostname }) {
  return /^https?:$/.test(protocol) && HOST.test(hostname);
}

/**
 * The address of the file that a text means which is no URL, or begins with `hf:`; null where it means no place on the
 * Hub. Throws where it names no file.
 * @param {string} text
 */
export function readShort(text) {
  const scheme = /^hf:(?:\/\/)?/i.exec(text)?.[0] ?? '';
  const rest = text.slice(scheme.length).replace(BARE_HOST, '').replace(/^\/+/, '');
  if (!scheme && !BARE_HOST.test(text)) {
    if (!SHORT.test(text) || /\/\/|\/$|\s|\/\.\.?(?:\/|$)/.test(text)) return null;
    if (DOMAIN.test(text.split('/')[0]) && !FILE.test(text.split('/')[0]))
      throw new Error(
        `The address \`${cut(text)}\` begins with a host, or with the name of an owner: write it with https:// in front, or as the Hub's own link to the file.`,
      );
  }
  const url = new URL(`https://huggingface.co/${rest}`);
  return hubAddress(url, text);
}

/**
 * The one address of the file that an address on the Hub means. Throws where it names none.
 * @param {URL} url an address for which `isHub` holds
 * @param {string} [text] what the person wrote
 */
export function hubAddress(url, text = url.href) {
  const parts = decoded(url.pathname).split('/').filter(Boolean);
  const found = partsOf(parts, url.searchParams.get('show_file_info'));
  if (!found) throw noFile(text, parts);
  const { repository, revision, path } = found;
  if (![...path, ...revision.split('/')].every((part) => part !== '' && part !== '.' && part !== '..'))
    throw noFile(text, parts);
  return hubFile(repository, path.join('/'), revision);
}

/**
 * The address under which a stored file is looked for: that of `hubAddress`, or what it is where it is none of the Hub.
 * @param {string} url
 */
export function spelled(url) {
  try {
    const address = new URL(url);
    if (isHub(address)) return hubAddress(address);
    address.hash = '';
    return address.href;
  } catch {
    return url;
  }
}

/**
 * @param {string[]} parts the parts of the path
 * @param {string | null} shown the path that a list of files shows
 * @returns {{ repository: string, revision: string, path: string[] } | null}
 */
function partsOf(parts, shown) {
  if (parts[0] === 'api' && parts[1] === 'resolve-cache')
    return partsOf([...parts.slice(2, 5).filter((part) => part !== 'models'), 'resolve', ...parts.slice(5)], null);
  const kind = KIND.test(parts[0] ?? '') ? [parts[0]] : [];
  const rest = parts[0] === 'models' ? parts.slice(1) : parts.slice(kind.length);
  // the first models of the Hub have no owner: gpt2/resolve/main/model.safetensors
  const names = OF_FILE.test(rest[1] ?? '') && rest.length > 3 && !OF_FILE.test(rest[2] ?? '') ? 1 : 2;
  const [name, at = ''] = (rest[names - 1] ?? '').split('@');
  const named = [...rest.slice(0, names - 1), name];
  if (named.length < names || !named.every((part) => PART.test(part))) return null;
  const repository = [...kind, ...named].join('/');
  const [action = '', ...after] = rest.slice(names);
  const isList = action === 'tree' || action === '';
  if (OF_FILE.test(action) || action === 'tree') {
    const length = after[0] === 'refs' && after.length > 2 ? 3 : 1; // refs/pr/1, refs/convert/parquet
    const [revision, path] = [after.slice(0, length).join('/') || 'main', after.slice(length)];
    if (isList && shown) return { repository, revision, path: shown.split('/') };
    return path.length && (!isList || FILE.test(path[path.length - 1])) ? { repository, revision, path } : null;
  }
  if (isList) return shown ? { repository, revision: at || 'main', path: shown.split('/') } : null;
  // REPOSITORY[@REVISION]/PATH or REPOSITORY/PATH@REVISION
  const [whole, from] =
    at === 'refs' && after.length > 1
      ? [after.slice(1).join('/'), `refs/${action}/${after[0]}`]
      : [[action, ...after].join('/'), at];
  const [, path, revision] = REVISED.exec(whole) ?? ['', whole, ''];
  return FILE.test(path) ? { repository, revision: from || revision || 'main', path: path.split('/') } : null;
}

/**
 * The error for what names no file, with the kind of link that is wanted.
 * @param {string} text
 * @param {string[]} parts
 */
function noFile(text, parts) {
  const what = parts.some((part) => /^[\w.-]+:[\w.-]+$/.test(part))
    ? 'a repository and a quantization'
    : parts.includes('tree')
      ? 'a folder'
      : parts.length > 2
        ? 'a page'
        : 'a repository';
  return new Error(
    `The address \`${cut(text)}\` is ${what} on the Hugging Face Hub and names no file: open the file's own page there and copy its link, ` +
      'such as https://huggingface.co/OWNER/REPOSITORY/blob/main/FILE.gguf.',
  );
}

/** @param {string} path with percent signs */
function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // it holds bytes that are no UTF-8
  }
}

/** @param {string} text */
function cut(text) {
  return text.length > 120 ? `${text.slice(0, 120)}…` : text;
}
