// The files of one model, as the wasm reads them: picked ones in place, stored ones from the browser's storage, the
// rest from the web and into the storage on the way. A storage that is missing, locked or full never ends a load: it
// goes on without one, and says so.
import { formatBytes } from '../figures/format.js';
import { cancelled, isNamed, messageOf, named } from '../worker/errors.js';
import { turn } from '../worker/turn.js';
import { CheckedReader } from './checked.js';
import { CHUNK, Download, Pool } from './download.js';
import { announcedSha256, expand } from './expand.js';
import { damagedText, wrongHash } from './faults.js';
import { openRemote, sameVersion, TIMING, versionOfSmall } from './http.js';
import { chunkRange, isComplete, storedBytes } from './journal.js';
import { nameOf } from './names.js';
import { SmallFiles } from './small.js';
import { damagedChunks } from './vault.js';

/** @import { ByteSource, CheckProgress, DownloadProgress, ModelFile } from '../types/storage' */
/** @import { ModelCard } from '../types/wasm' */
/** @import { WebFile } from './expand.js' */
/** @import { Remote, Timing } from './http.js' */
/** @import { Header, Journal } from './journal.js' */
/** @import { StoredFile, Vault } from './vault.js' */

/**
 * @typedef {object} Place the place of a file from the web
 * @property {string} url
 * @property {number} size
 * @property {string} id its id in the vault; '' without a vault
 * @property {string} sha256 the hash that it should have; '' if that is not known
 * @property {boolean} told whether this load was told that hash, by a link for example: it ends with the load
 * @property {Promise<void> | null} announced resolved when its server has been asked for that hash; null: there is no
 *   need
 * @property {boolean} unverified whether its server has not told the hash yet
 * @property {string} noted the expected hash that is in the journal
 * @property {string} hashed the SHA-256 that the complete stored file had when it was last read; '' if that is not
 *   known
 * @property {Remote} remote the file as its server describes it, or did when it was stored
 * @property {StoredFile | null} store the stored file while it is filled
 * @property {{ read: ByteSource['read'], close: () => void } | null} reader the reader of a complete stored file
 * @property {CheckedReader | null} checked the reader of a load, which checks each chunk
 * @property {Download | null} download the download, if there is no reader
 *
 * @typedef {object} Settings
 * @property {Vault | null} vault null: there is no storage
 * @property {string} refused the reason why there is none
 * @property {AbortSignal} signal
 * @property {(value: CheckProgress | DownloadProgress) => Promise<boolean>} progress called with how far the load is;
 *   false: it is cancelled
 * @property {number} [chunk]
 * @property {Timing} [timing]
 */

const TICK = 250; // ms between two reports
const PATIENCE = 300; // ms that a loaded model waits to hear whether its server has another one by now
const ANNOUNCED = 4000; // ms that a loaded model waits for the SHA-256 it should have
const PACE = 8; // seconds over which the speed is taken

export class ModelFiles {
  /** @type {ByteSource[]} */
  sources = [];
  /** Sentences about what is not as it should be; '' if everything is. */
  note = '';
  /** The bytes that were here before. */
  resumed = 0;
  /** @type {Place[]} */
  #places = [];
  #small;
  #pool = new Pool();
  #settings;
  #options;
  #ended = new AbortController();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  /** @type {{ at: number, received: number }[]} */
  #pace = [];
  #full = false;
  #loaded = false;
  /** Whether there is too little room for what is to be stored, as the browser estimates. */
  #short = false;
  /** Whether the model's layers stay in their files, and are read again for each batch. */
  #reread = false;
  /** @type {AbortSignal | null} the signal of the call that reads after the load */
  #until = null;
  /** @type {number | null} */
  #room = null;
  /** @type {Promise<void>[]} */
  #comparing = [];

  /** @param {Settings} settings */
  constructor(settings) {
    this.#settings = { chunk: CHUNK, timing: TIMING, ...settings };
    this.#options = { signal: AbortSignal.any([settings.signal, this.#ended.signal]), timing: this.#settings.timing };
    const { signal } = this.#options;
    this.#small = new SmallFiles(settings.vault, this.#options, (url, header) =>
      this.#compare(
        url,
        header,
        versionOfSmall(url, signal).then((version) => ({ ...header, ...version })),
      ),
    );
  }

  /**
   * Finds out where each file is and how large it is. Rejects with what is wrong with a file; `close` must still be
   * called.
   * @param {ModelFile[]} files
   */
  async open(files) {
    for (const file of await expand(files, this.#small)) {
      if (file instanceof File) this.sources.push(this.#guarded(picked(file)));
      else if (file.content) this.sources.push(inMemory(file.url, file.content));
      else this.sources.push(this.#source(await this.#place(file)));
    }
    await this.#fit();
    for (const place of this.#places) if (!place.reader) place.download = this.#download(place);
    this.resumed = this.here;
  }

  /** The progress of the download. @param {DownloadProgress['stage']} stage @returns {DownloadProgress} */
  state(stage) {
    return {
      stage,
      done: this.here,
      total: this.bytes,
      resumed: this.resumed,
      speed: this.#speed(),
      room: this.#room,
      note: this.note || this.#keeping(),
      storing: this.#places.every(({ download }) => download?.storing !== false),
      trouble: this.#pool.trouble,
    };
  }

  /** A sentence about where the missing bytes will be kept. */
  #keeping() {
    return this.#room === null || this.resumed === this.bytes
      ? ''
      : `It is kept in this browser, which has room for ${formatBytes(this.#room)}.`;
  }

  /** The bytes of the files from the web. */
  get bytes() {
    return this.#places.reduce((sum, { size }) => sum + size, 0);
  }

  /** The bytes of these files that are here. */
  get here() {
    return this.#places.reduce((sum, { size, download }) => sum + (download?.here ?? size), 0);
  }

  /** Begins to fetch what is missing, ahead of the reader, and to report the progress. */
  begin() {
    if (!this.#places.some(({ download }) => download)) return;
    this.#tell();
    this.#ticking = setInterval(() => this.#tell(), TICK);
    this.#pool.readAhead();
  }

  /**
   * Finishes a load: compares the hash of its bytes with the expected one, and lets go of what was only for the
   * download.
   * @param {ModelCard} card
   */
  async finish(card) {
    for (const { download } of this.#places) await download?.finish();
    this.#stopTelling();
    this.#loaded = true;
    await within(PATIENCE, this.#comparing);
    await within(
      ANNOUNCED,
      this.#places.map(({ announced }) => announced),
    );
    for (const place of this.#places) {
      const found = sha256Of(card, place.url, this.#places.length);
      if (found && place.sha256 && found !== place.sha256) await this.#refuse(place, found);
      if (place.unverified)
        this.#say(
          `\`${nameOf(place.url)}\` is not verified: the Hugging Face Hub did not tell the SHA-256 that it should have.`,
        );
      await this.#settle(place, place.unverified ? '' : found); // '': the hash is asked for again at the next load
    }
    if (this.#reread && this.#places.some(({ reader }) => !reader)) throw this.#notStored();
    await this.#small.keep().catch(({ name, message }) => {
      if (name !== 'InUse')
        this.#say(`The model's small files can't be stored (${message}): it does not load without its server.`);
    });
  }

  /** Lets go of everything. Stored files stay. */
  close() {
    this.#ended.abort();
    this.#stopTelling();
    for (const { download, store, reader, id } of this.#places) {
      download?.close();
      const left = store?.journal;
      store?.close();
      reader?.close();
      // it had changed on its server and was dropped
      if (store && !left) this.#settings.vault?.remove(id).catch(() => {});
    }
    this.#places = [];
  }

  // --- opening ---

  /** @param {WebFile} file @returns {Promise<Place>} */
  async #place({ url, sha256 }) {
    const { vault, refused } = this.#settings;
    const id = vault ? await vault.idOf(url) : ''; // an insecure page has no storage, and can't make ids
    const journal = await vault?.look(id).catch(() => null); // an error is reported when it is written to
    const noted = journal?.expect ?? '';
    const expected = sha256 || noted;
    if (journal?.bad && expected && journal.bad !== expected) throw wrongHash(url, journal.bad, expected, true);
    if (vault && journal && isComplete(journal)) {
      const { header: remote, sha256: hashed } = journal;
      if (sha256 && hashed && sha256 !== hashed) throw wrongHash(url, hashed, sha256, true);
      const reader = await vault.read(id);
      const checked = new CheckedReader(journal, reader.read);
      /** @type {Place} */
      const place = {
        url,
        id,
        size: remote.size,
        sha256: expected || hashed,
        told: sha256 !== '',
        announced: null,
        unverified: false,
        noted,
        hashed,
        remote,
        store: null,
        reader,
        checked,
        download: null,
      };
      this.#places.push(place);
      if (!place.sha256) this.#ask(place);
      this.#compare(url, remote, openRemote(url, { ...this.#options, timing: { ...this.#options.timing, tries: 1 } }));
      return place;
    }
    const remote = await openRemote(url, this.#options);
    /** @type {Place} */
    const place = {
      url,
      id,
      size: remote.size,
      sha256: expected,
      told: sha256 !== '',
      announced: null,
      unverified: false,
      noted,
      hashed: '',
      remote,
      store: null,
      reader: null,
      checked: null,
      download: null,
    };
    this.#places.push(place);
    if (vault) await this.#store(place, vault);
    else
      this.#say(
        `This browser keeps no files for this page (${refused}): the model is streamed and not stored, and a reload downloads it again.`,
      );
    if (!expected) this.#ask(place);
    if (sha256) this.#try(() => place.store?.journal && place.store.note([{ asked: sha256 }]));
    return place;
  }

  /** Asks the server for the SHA-256 that the file should have, since nobody else has told it. @param {Place} place */
  #ask(place) {
    place.unverified = true;
    place.announced = announcedSha256(place.url, this.#options).then((sha256) => {
      place.unverified = sha256 === null;
      this.#expect(place, sha256 ?? '');
    });
  }

  /**
   * Notes the SHA-256 that the server announced in the file's journal, for later loads.
   * @param {Place} place
   * @param {string} sha256 '' if none is known
   */
  #expect(place, sha256) {
    const { store, noted } = place;
    place.sha256 ||= sha256;
    if (!place.sha256 || place.sha256 === noted || !store?.journal) return;
    this.#try(() => {
      store.note([{ expect: place.sha256 }]);
      place.noted = place.sha256;
    });
  }

  /**
   * Whether the stored chunks are of the file that the server has. After a change of its version the server is asked
   * once more; an equal SHA-256 outweighs versions.
   * @param {Place} place
   * @param {Journal} journal
   */
  async #isOf(place, { header, expect, asked }) {
    const isSame = () => sameVersion(place.remote, header);
    if (isSame()) return true;
    place.remote = await openRemote(place.url, this.#options);
    place.size = place.remote.size;
    if (isSame()) return true;
    const announced = await announcedSha256(place.url, this.#options);
    const { size, sha256 } = place;
    return (
      size === header.size &&
      sha256 !== '' &&
      (sha256 === expect || sha256 === asked) &&
      (!announced || announced === sha256)
    );
  }

  /** Continues the stored file, or begins one. @param {Place} place @param {Vault} vault */
  async #store(place, vault) {
    let store;
    try {
      store = await vault.write(place.id);
    } catch (error) {
      this.#say(
        isNamed(error, 'InUse')
          ? 'Another tab is downloading this model: here it is streamed and not stored.'
          : `The model can't be stored (${messageOf(error)}): it is streamed, and a reload downloads it again.`,
      );
      return;
    }
    place.store = store;
    const { journal } = store;
    if (journal?.chunks.size && !(await this.#isOf(place, journal))) {
      const part = percent(storedBytes(journal), journal.header.size);
      store.discard();
      throw named(
        'Changed',
        `The file at \`${place.url}\` has changed on its server since ${part} of it were stored here. That part is dropped: load it again to get the new one.`,
      );
    }
    if (journal?.chunks.size) return this.#check(place, store);
    const { url, size, etag, modified } = place.remote;
    this.#try(() =>
      store.begin({
        version: 1,
        url,
        name: nameOf(url),
        size,
        etag,
        modified,
        chunk: this.#settings.chunk,
        created: Date.now(),
      }),
    );
  }

  /**
   * Reads the stored chunks once more before others are added to them.
   * @param {Place} place
   * @param {StoredFile} store
   */
  async #check({ size }, store) {
    const journal = /** @type {NonNullable<StoredFile['journal']>} */ (store.journal);
    const total = storedBytes(journal);
    const damaged = await damagedChunks(
      journal,
      (start, end, into) => store.read(start, end, into),
      (done) => this.#settings.progress({ stage: 'check', done, total }),
    );
    if (damaged.length)
      this.#say(`${damaged.length} of the stored pieces of ${formatBytes(size)} had changed: they are fetched again.`);
    this.#try(() => store.note([...damaged.map((drop) => ({ drop })), { used: Date.now() }]));
  }

  /** Compares the room with what is to be stored. The browser's figure is an estimate: storing is tried anyway. */
  async #fit() {
    const storing = this.#places.filter(({ store }) => store?.journal);
    if (!storing.length) return;
    const needed = storing.reduce(
      (sum, { size, store }) => sum + size - storedBytes(/** @type {any} */ (store).journal),
      0,
    );
    const { quota, usage = 0 } = await estimate();
    if (quota === undefined) return;
    this.#room = Math.max(0, quota - usage);
    this.#short = needed > this.#room;
    if (this.#short) {
      this.#say(
        `The browser has room for ${formatBytes(this.#room)} more here, and ${formatBytes(needed)} are missing: what does not fit is streamed and not stored.`,
      );
    }
  }

  /** @param {Place} place */
  #download(place) {
    const { chunk, timing } = this.#settings;
    return new Download(place.remote, place.store, this.#pool, {
      chunk,
      timing,
      signal: this.#options.signal,
      storing: !this.#full && Boolean(place.store?.journal),
      vouched: () => !this.#loaded && place.sha256 !== '',
      full: (error) => {
        const part = percent(place.store?.journal ? storedBytes(place.store.journal) : 0, place.size);
        const why = isNamed(error, 'QuotaExceededError') ? 'is full' : `refuses more (${messageOf(error)})`;
        this.#say(
          `The browser's storage for this page ${why}: ${part} of the model are stored, the rest is streamed. Delete models under Stored models to make room.`,
        );
      },
    });
  }

  /**
   * Says so if the server has another version of a stored file by now. The stored one is used anyway.
   * @param {string} url
   * @param {Header} stored
   * @param {Promise<Pick<Remote, 'size' | 'etag' | 'modified'>>} remote
   */
  #compare(url, stored, remote) {
    this.#comparing.push(
      remote.then(
        (now) => {
          if (!sameVersion(now, stored))
            this.#say(
              `The file at ${url} has changed since it was stored here. Delete it under Stored models to get the new one.`,
            );
        },
        () => {},
      ),
    );
  }

  /** @param {Place} place @returns {ByteSource} */
  #source(place) {
    const plain = (/** @type {number} */ start, /** @type {number} */ end) =>
      (place.reader ?? (place.download ??= this.#download(place))).read(start, end);
    return this.#guarded({
      name: place.url,
      size: place.size,
      ...(place.hashed ? { sha256: place.hashed } : {}),
      read: (start, end) =>
        place.checked?.read(start, end).catch((error) => this.#drop(place, error)) ?? plain(start, end),
    });
  }

  /**
   * Drops a damaged chunk and rejects with a sentence about it.
   * @param {Place} place
   * @param {any} error
   * @returns {Promise<never>}
   */
  async #drop({ url, id, remote }, error) {
    if (error.name !== 'DamagedChunk') throw error;
    const held = await this.#settings.vault?.note(id, [{ drop: error.index }]).then(
      () => '',
      ({ message }) => message,
    );
    throw named('Damaged', damagedText(nameOf(url), [chunkRange(/** @type {Header} */ (remote), error.index)], held));
  }

  /**
   * Makes a source whose reads after the load end when the call that makes them is cancelled.
   * @param {ByteSource} source
   * @returns {ByteSource}
   */
  #guarded({ read, ...source }) {
    return {
      ...source,
      read: async (start, end) => {
        if (this.#until) await turn();
        if (this.#until?.aborted) throw cancelled(`the reading of \`${source.name}\` was cancelled`);
        return read(start, end);
      },
    };
  }

  /**
   * Sets the signal of a call that reads after the load, from layers that stay in their file.
   * @param {AbortSignal} signal
   */
  readUntil(signal) {
    this.#until = signal;
  }

  /**
   * Throws if not all of the model can be stored, as far as that is known before. It is called for a model whose layers
   * are read again for each batch, which can't be from the web.
   */
  refuseUnlessStored() {
    this.#reread = true;
    if (this.#short || this.#full || this.#places.some(({ reader, store }) => !reader && !store?.journal))
      throw this.#notStored();
  }

  #notStored() {
    return named(
      'NotStored',
      `This model would be read again for each batch, layer by layer, so all of it has to be stored here, and can't be. ` +
        `${this.note} Or download it, and pick the file from your disk.`,
    );
  }

  /**
   * Lets go of a stored file so that it can be deleted. What is read of it later comes from its server.
   * @param {string} id
   */
  release(id) {
    const places = this.#places.filter((place) => place.id === id);
    if (this.#reread && places.length)
      throw named(
        'InUse',
        'The loaded model is read from this file, layer by layer, for each batch: load another one first.',
      );
    for (const place of places) {
      place.reader?.close();
      place.reader = place.checked = null;
      place.download?.letGo();
    }
  }

  // --- the end ---

  /**
   * Refuses a file whose hash is not the expected one, and tells which bytes are damaged if it can.
   * @param {Place} place
   * @param {string} found
   * @returns {Promise<never>}
   */
  async #refuse({ url, id, sha256, told, store, reader }, found) {
    const { vault } = this.#settings;
    const stored = await vault?.look(id);
    if (vault && stored) {
      this.close(); // the download may still hold the journal
      const damaged = await vault.verify(id, async () => true);
      if (damaged.length) throw named('Damaged', damagedText(nameOf(url), damaged));
      // another tab writes there now; the hash is compared again at the next load
      // a hash that this load was told ends with it: only loads that expect one are refused at once
      const lines = told ? [{ bad: found }] : [{ expect: sha256 }, { bad: found }];
      if (store || reader) await vault.note(id, lines).catch(() => {});
    }
    throw wrongHash(url, found, sha256, Boolean(stored));
  }

  /**
   * Turns a stored file from filling to reading, even an incomplete one: other tabs may then read and delete it.
   * @param {Place} place
   * @param {string} found its SHA-256; '' if that is not known
   */
  async #settle(place, found) {
    const { vault } = this.#settings;
    const { store, sha256, told, noted, hashed } = place;
    const isNew = !told && sha256 !== noted && (noted !== '' || sha256 !== hashed);
    const lines = [...(isNew ? [{ expect: sha256 }] : []), ...(found ? [{ sha256: found }] : []), { used: Date.now() }];
    place.checked = null; // from now on layers are read, again and again
    if (store && vault) {
      const { journal } = store;
      const whole = journal !== null && isComplete(journal);
      if (journal) this.#try(() => store.note(whole ? lines : [{ used: Date.now() }]));
      store.close();
      place.store = null;
      if (!journal) await vault.remove(place.id).catch(() => {}); // none of it could be stored
      const reader = journal && (await vault.read(place.id));
      if (whole) [place.reader, place.download] = [reader, null];
      else place.download?.readOn(reader);
    } else if (place.reader) {
      await vault?.note(place.id, lines).catch(() => {}); // another tab writes there now
    }
  }

  // --- telling ---

  #tell() {
    const now = performance.now();
    this.#pace = [...this.#pace.filter(({ at }) => now - at < 1000 * PACE), { at: now, received: this.#pool.received }];
    this.#settings.progress(this.state('download'));
  }

  #speed() {
    const [first] = this.#pace;
    const last = this.#pace[this.#pace.length - 1];
    return last?.at > first?.at ? (1000 * (last.received - first.received)) / (last.at - first.at) : 0;
  }

  #stopTelling() {
    clearInterval(this.#ticking);
  }

  /** @param {string} sentence */
  #say(sentence) {
    if (!this.note.includes(sentence)) this.note = `${this.note} ${sentence}`.trim();
  }

  /** Does work with the storage; a full storage is no reason to stop. @param {() => void} work */
  #try(work) {
    try {
      work();
    } catch (error) {
      this.#full = true;
      this.#say(`The browser's storage refuses more (${messageOf(error)}): the model is streamed and not stored.`);
    }
  }
}

/** The source of a file that the person picked, which is read in place. @param {File} file @returns {ByteSource} */
function picked(file) {
  let into = new Uint8Array(0);
  return {
    name: file.name,
    size: file.size,
    async read(start, end) {
      try {
        if (into.length < end - start) into = new Uint8Array(end - start);
        const reader = file.slice(start, end).stream().getReader();
        let at = 0;
        for (let part; !(part = await reader.read()).done; at += part.value.length) into.set(part.value, at);
        return into.subarray(0, at);
      } catch (error) {
        throw named('Read', `cannot read \`${file.name}\`: ${messageOf(error)}`);
      }
    },
  };
}

/** @param {string} name @param {Uint8Array} content @returns {ByteSource} */
function inMemory(name, content) {
  return { name, size: content.length, read: async (start, end) => content.slice(start, end) };
}

/** @param {ModelCard} card @param {string} url @param {number} count the number of files from the web */
function sha256Of({ sha256, files }, url, count) {
  const [name] = new URL(url).pathname.split('/').slice(-1);
  return files.find(({ file }) => file === name)?.sha256 ?? (count === 1 ? sha256 : '');
}

/** @returns {Promise<StorageEstimate>} */
async function estimate() {
  return globalThis.navigator?.storage?.estimate?.().catch(() => ({})) ?? {};
}

/**
 * Waits for all promises, for so many milliseconds at most.
 * @param {number} milliseconds
 * @param {(Promise<void> | null)[]} promises
 */
async function within(milliseconds, promises) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  await Promise.race([Promise.all(promises), new Promise((resolve) => (timer = setTimeout(resolve, milliseconds)))]);
  clearTimeout(timer);
}

/** @param {number} part @param {number} whole */
function percent(part, whole) {
  return `${Math.floor((100 * part) / Math.max(whole, 1))} %`;
}
