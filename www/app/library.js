// The library of models: those stored in this browser, and the catalogue. It is read on the page, without the worker.
import { readCatalogue } from '../sources/catalogue.js';
import { damagedText } from '../storage/faults.js';
import { openVault } from '../storage/vault.js';
import { messageOf } from '../worker/errors.js';

/** @import { State } from '../state/state' */
/** @import { StoredSet } from '../storage/sets.js' */
/** @import { Lending } from './lending' */

export class Library {
  #app;

  /** @param {Lending} app */
  constructor(app) {
    this.#app = app;
  }

  /** Lists what is stored and asks how much room is left. Never rejects. */
  async refresh() {
    const { state, changed } = this.#app;
    const stored = state.stored;
    try {
      const models = await (await openVault()).list(); // called first: its error says why there is no storage
      const { usage = null, quota = null } = await navigator.storage.estimate();
      const persisted = (await navigator.storage.persisted?.()) ?? false;
      const kept = Object.fromEntries(
        Object.entries(stored.verdicts).filter(([id]) => models.some((model) => model.id === id)),
      );
      Object.assign(stored, { models, usage, quota, persisted, refused: '', verdicts: kept });
    } catch (error) {
      Object.assign(stored, { models: [], refused: messageOf(error).replace(/[.:]$/, '') });
    }
    changed();
  }

  /** Asks the browser to keep what is stored even when the disk gets short. Some browsers ask the person. */
  async persist() {
    await globalThis.navigator?.storage?.persist?.().catch(() => false);
  }

  /** Reads a stored model again and compares it with what was downloaded. @param {StoredSet} model */
  verify({ id, files, stored: total }) {
    const { state, changed, work, ask } = this.#app;
    const { stored } = state;
    return work('stored', async (signal) => {
      delete stored.verdicts[id];
      try {
        let before = 0;
        const found = [];
        for (const file of files) {
          const damaged = await ask(
            'verify',
            { id: file.id },
            {
              signal,
              progress: (progress) => {
                stored.checking = { id, progress: { ...progress, done: before + progress.done, total } };
                changed();
              },
            },
          );
          before += file.stored;
          if (damaged.length) found.push(damagedText(file.name, damaged));
        }
        stored.verdicts[id] = found.join(' ') || 'Every piece is as it was downloaded.';
      } finally {
        stored.checking = null;
        await this.refresh();
      }
    });
  }

  /** Deletes all files of a model, or none if another tab reads the first one. @param {StoredSet} model */
  remove({ files }) {
    const { work, ask } = this.#app;
    return work('stored', async () => {
      try {
        for (const { id } of files) await ask('remove', { id });
      } finally {
        await this.refresh();
      }
    });
  }

  /**
   * Hands each stored file to `save`, which gives it to the person. Nothing is copied before that.
   * @param {StoredSet} model
   * @param {(file: File, name: string) => void} save
   */
  exportFiles({ files }, save) {
    return this.#app.work('stored', async () => {
      const vault = await openVault();
      for (const { id, name } of files) save(await vault.file(id), name);
    });
  }

  /** @param {() => Promise<State['catalogue']>} [read] */
  async openCatalogue(read = readCatalogue) {
    const { state, changed } = this.#app;
    if (state.catalogue) return;
    try {
      state.catalogue = await read();
      state.errors.catalogue = '';
    } catch (error) {
      state.errors.catalogue = messageOf(error);
    }
    changed();
  }
}
