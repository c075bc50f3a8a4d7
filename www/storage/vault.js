// The storage of model files in OPFS: `models/<id>.data`, and `<id>.journal`, which tells which chunks are complete. A
// chunk is written and flushed before its line in the journal, so a crash at any moment leaves less, never something
// wrong. Looking needs no lock and works on the page too. Writing, and fast reading, take handles that only a worker
// has.
import { spelled } from '../sources/hub.js';
import { cancelled, isNamed, messageOf, named } from '../worker/errors.js';
import { hash } from './hasher.js';
import {
  chunkCount,
  chunkRange,
  freshJournal,
  isComplete,
  readJournal,
  storedBytes,
  take,
  writeLine,
} from './journal.js';
import { idOf } from './names.js';

/** @import { CheckProgress, StoredModel, SyncHandle } from '../types/storage' */
/** @import { Header, Journal, Line } from './journal.js' */

/**
 * @typedef {object} Reader a stored file that is open for reading
 * @property {(start: number, end: number, into?: Uint8Array) => Promise<Uint8Array>} read `into`: where the bytes may
 *   be put
 * @property {() => void} close
 */

const MAX_JOURNAL = 256 << 20; // bytes; a million chunks take half of it
const LOCK_TRIES = 6; // a worker that has just ended holds its files for a moment
const LOCK_PAUSE = 150; // ms

/**
 * Opens the vault. Rejects if there is no such storage, or the browser refuses it (a private window, a blocked site).
 * @see https://developer.mozilla.org/docs/Web/API/File_System_API/Origin_private_file_system
 * @returns {Promise<Vault>}
 */
export async function openVault() {
  if (!navigator.storage?.getDirectory)
    throw new Error('it has no private file system, or the page did not come by https:');
  const root = await navigator.storage.getDirectory();
  return new Vault(await root.getDirectoryHandle('models', { create: true }));
}

export class Vault {
  #directory;
  /** @type {Promise<Map<string, string>> | null} what was stored under other spellings when it was looked for first */
  #spellings = null;

  /** @param {FileSystemDirectoryHandle} directory */
  constructor(directory) {
    this.#directory = directory;
  }

  /** Reads the journal of a file; null if there is none. @param {string} id @returns {Promise<Journal | null>} */
  async look(id) {
    for (let tries = 1; ; tries++) {
      try {
        const file = await this.#file(`${id}.journal`);
        const journal = file.size <= MAX_JOURNAL ? readJournal(await file.text()) : null;
        const { size } = await this.#file(`${id}.data`);
        if (journal) forgetBeyond(journal, size);
        return journal;
      } catch (error) {
        if (isNamed(error, 'NotFoundError')) return null;
        // it is written to while it is read
        if (!isNamed(error, 'NotReadableError') || tries === LOCK_TRIES) throw error;
      }
    }
  }

  /**
   * The id of the file of an address: that under which it is stored, under whatever spelling of its address, or else
   * its own.
   * @param {string} url
   */
  async idOf(url) {
    const id = await idOf(url);
    if (await this.look(id).catch(() => null)) return id;
    this.#spellings ??= this.#spelled();
    return (await this.#spellings).get(url) ?? id;
  }

  /** The ids of the stored files, by the one spelling of their address. @returns {Promise<Map<string, string>>} */
  async #spelled() {
    const models = await this.list().catch(() => []);
    return new Map(models.filter(({ url }) => url).map(({ id, url }) => [spelled(url), id]));
  }

  /** Lists all files, the last used first. @returns {Promise<StoredModel[]>} */
  async list() {
    /** @type {Set<string>} */
    const ids = new Set();
    for await (const name of this.#directory.keys()) ids.add(name.replace(/\.(data|journal)$/, ''));
    const models = await Promise.all(
      [...ids].map(async (id) => {
        let name = 'a file without its journal';
        try {
          const journal = await this.look(id);
          if (journal) return describe(id, journal);
        } catch (error) {
          name = `a file that can't be read now (${messageOf(error)})`;
        }
        // it can only be deleted
        const { size } = await this.#file(`${id}.data`).catch(() => ({ size: 0 }));
        return { id, name, url: '', size, stored: size, complete: false, used: 0, sha256: '' };
      }),
    );
    return models.sort((a, b) => b.used - a.used);
  }

  /** Opens a file to add to. Throws `InUse` if another tab, or this one, has it open. @param {string} id */
  async write(id) {
    const journal = await this.#lock(`${id}.journal`);
    try {
      return new StoredFile(await this.#lock(`${id}.data`), journal);
    } catch (error) {
      journal.close();
      throw error;
    }
  }

  /**
   * Opens a file to read. If the browser has shared handles, any number of tabs can; otherwise the second one reads
   * slices, which is slower.
   * @param {string} id
   * @returns {Promise<Reader>}
   */
  async read(id) {
    const handle = await this.#directory.getFileHandle(`${id}.data`);
    try {
      const shared = await syncHandle(handle, { mode: 'read-only' });
      return { read: async (start, end, into) => readFrom(shared, start, end, into), close: () => shared.close() };
    } catch (error) {
      if (!isLocked(error)) throw error;
      const file = await handle.getFile();
      return {
        read: async (start, end) => new Uint8Array(await file.slice(start, end).arrayBuffer()),
        close: () => {},
      };
    }
  }

  /** Adds lines to the journal of a complete file. @param {string} id @param {Line[]} lines */
  async note(id, lines) {
    const journal = await this.#lock(`${id}.journal`);
    try {
      append(journal, lines);
    } finally {
      journal.close();
    }
  }

  /**
   * Finds the chunks whose bytes are no longer what was written, drops them, and tells their places.
   * @param {string} id
   * @param {(value: CheckProgress) => Promise<boolean>} progress called with how far it is; false ends it
   * @returns {Promise<[number, number][]>}
   */
  async verify(id, progress) {
    const journal = await this.look(id);
    if (!journal) throw named('NotStored', 'The file is not stored any more.');
    const total = storedBytes(journal);
    const file = await this.read(id);
    const damaged = await damagedChunks(journal, file.read, (done) =>
      progress({ stage: 'check', done, total }),
    ).finally(() => file.close());
    if (damaged.length)
      await this.note(
        id,
        damaged.map((drop) => ({ drop })),
      );
    return damaged.map((index) => chunkRange(journal.header, index));
  }

  /** The file itself, for saving it elsewhere. @param {string} id */
  file(id) {
    return this.#file(`${id}.data`);
  }

  /** Deletes a file. Throws `InUse` if a tab has it open. @param {string} id */
  async remove(id) {
    const data = await this.#lock(`${id}.data`); // locked first: if another tab reads it, nothing is deleted
    try {
      await this.#removeEntry(`${id}.journal`);
    } finally {
      data.close();
    }
    await this.#removeEntry(`${id}.data`);
  }

  /** @param {string} name */
  async #removeEntry(name) {
    try {
      await this.#directory.removeEntry(name);
    } catch (error) {
      if (isLocked(error)) throw inUse();
      if (!isNamed(error, 'NotFoundError')) throw error;
    }
  }

  /** @param {string} name */
  async #file(name) {
    return (await this.#directory.getFileHandle(name)).getFile();
  }

  /** @param {string} name @returns {Promise<SyncHandle>} */
  async #lock(name) {
    const handle = await this.#directory.getFileHandle(name, { create: true });
    for (let tries = 1; ; tries++) {
      try {
        return await syncHandle(handle);
      } catch (error) {
        if (!isLocked(error)) throw error;
        if (tries === LOCK_TRIES) throw inUse();
        await new Promise((resolve) => setTimeout(resolve, LOCK_PAUSE));
      }
    }
  }
}

/** A file that is being filled; nobody else has it open. */
export class StoredFile {
  #data;
  #journal;
  /** @type {Journal | null} */
  #known;

  /** @param {SyncHandle} data @param {SyncHandle} journal */
  constructor(data, journal) {
    this.#data = data;
    this.#journal = journal;
    this.#known = readJournal(new TextDecoder().decode(readFrom(journal, 0, journal.getSize())));
    if (this.#known) forgetBeyond(this.#known, data.getSize());
  }

  /** The journal; null before `begin`. */
  get journal() {
    return this.#known;
  }

  /** Begins the file, and drops what was there. @param {Header} header */
  begin(header) {
    this.#journal.truncate(0); // the journal goes first: data without a journal is no file
    this.#journal.flush();
    this.#data.truncate(0);
    append(this.#journal, [header]);
    this.#known = freshJournal(header);
  }

  /** Drops everything. */
  discard() {
    this.#journal.truncate(0);
    this.#journal.flush();
    this.#data.truncate(0);
    this.#known = null;
  }

  /** @param {number} index */
  has(index) {
    return this.#known?.chunks.has(index) ?? false;
  }

  /**
   * Adds a chunk. Throws the browser's error if its storage is full; the chunk is then not stored.
   * @param {number} index
   * @param {Uint8Array} bytes
   * @param {string} digest
   */
  put(index, bytes, digest) {
    const known = /** @type {Journal} */ (this.#known);
    const { header } = known;
    const written = this.#data.write(bytes, { at: chunkRange(header, index)[0] });
    if (written !== bytes.length) throw named('QuotaExceededError', 'the file could not be written to its end');
    this.#data.flush();
    const line = { chunk: index, sha256: digest };
    append(this.#journal, [line]);
    take(known, line);
  }

  /** @param {Line[]} lines */
  note(lines) {
    // before the write: a damaged chunk is not read even if the storage is full
    for (const line of lines) if (this.#known) take(this.#known, line);
    append(this.#journal, lines);
  }

  /** @param {number} start @param {number} end @param {Uint8Array} [into] where the bytes may be put */
  async read(start, end, into) {
    return readFrom(this.#data, start, end, into);
  }

  close() {
    this.#data.close();
    this.#journal.close();
  }
}

/**
 * Finds the chunks whose bytes are no longer what was written.
 * @param {Journal} journal
 * @param {(start: number, end: number, into?: Uint8Array) => Promise<Uint8Array>} read
 * @param {(done: number) => Promise<boolean>} progress called with the bytes that are done; false ends it
 */
export async function damagedChunks({ header, chunks }, read, progress) {
  const damaged = [];
  /** @type {Uint8Array} */
  let into = new Uint8Array(Math.min(header.chunk, header.size));
  let done = 0;
  for (let index = 0; index < chunkCount(header); index++) {
    const digest = chunks.get(index);
    if (!digest) continue;
    const [start, end] = chunkRange(header, index);
    const hashed = await hash(await read(start, end, into));
    if (hashed.bytes.length !== end - start || hashed.digest !== digest) damaged.push(index);
    into = new Uint8Array(hashed.bytes.buffer);
    if (!(await progress((done += end - start)))) throw cancelled();
  }
  return damaged;
}

/** @param {string} id @param {Journal} journal @returns {StoredModel} */
function describe(id, journal) {
  const { url, name, size } = journal.header;
  return {
    id,
    url,
    name,
    size,
    stored: storedBytes(journal),
    complete: isComplete(journal),
    used: journal.used,
    sha256: journal.expect || journal.sha256,
  };
}

/**
 * Forgets chunks beyond the file's end: they were never written, whatever their lines say.
 * @param {Journal} journal
 * @param {number} size the size of the data file
 */
function forgetBeyond({ header, chunks }, size) {
  for (const index of [...chunks.keys()]) if (chunkRange(header, index)[1] > size) chunks.delete(index);
}

/**
 * Opens a handle, which only workers can. Some browsers know no mode, and lock the file.
 * @see https://developer.mozilla.org/docs/Web/API/FileSystemFileHandle/createSyncAccessHandle
 * @param {FileSystemFileHandle} file
 * @param {{ mode: 'read-only' }} [options]
 * @returns {Promise<SyncHandle>}
 */
function syncHandle(file, options) {
  return /** @type {any} */ (file).createSyncAccessHandle(options);
}

/**
 * @param {SyncHandle} handle
 * @param {number} start
 * @param {number} end
 * @param {Uint8Array} [into] a buffer with room for that many bytes
 */
function readFrom(handle, start, end, into) {
  const bytes = into ? into.subarray(0, end - start) : new Uint8Array(end - start);
  const read = handle.read(bytes, { at: start });
  return read === bytes.length ? bytes : bytes.subarray(0, read);
}

/**
 * Appends lines to a journal. A line that a crash tore is ended first.
 * @param {SyncHandle} journal
 * @param {(Header | Line)[]} lines
 */
function append(journal, lines) {
  const at = journal.getSize();
  const torn = at > 0 && readFrom(journal, at - 1, at)[0] !== 10;
  const text = new TextEncoder().encode((torn ? '\n' : '') + lines.map(writeLine).join(''));
  if (journal.write(text, { at }) !== text.length)
    throw named('QuotaExceededError', 'the journal could not be written to its end');
  journal.flush();
}

/**
 * Whether a file is locked by another handle. WebKit knows exclusive handles only, and has another name for the fault.
 * @see https://github.com/WebKit/WebKit/blob/main/Source/WebCore/Modules/filesystem/FileSystemFileHandle.cpp
 * @param {unknown} error of a call that asks for a lock: of a closed handle, `InvalidStateError` means something else
 */
function isLocked(error) {
  return isNamed(error, 'NoModificationAllowedError') || isNamed(error, 'InvalidStateError');
}

function inUse() {
  return named('InUse', 'The file is in use by another tab.');
}
