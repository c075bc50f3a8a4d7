// Names and ids of files in the storage.
import { sha256 } from './sha256.js';

/** The name of the file at an address: the last part of its path. @param {string} url */
export function nameOf(url) {
  const [name] = new URL(url).pathname.split('/').slice(-1);
  try {
    return decodeURIComponent(name) || url;
  } catch {
    return name;
  }
}

/** The id under which the file of an address lies in the vault. @param {string} url */
export async function idOf(url) {
  return (await sha256(new TextEncoder().encode(url))).slice(0, 24);
}
