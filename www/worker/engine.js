// The worker's life: it is probed, its device is chosen, its session is opened when it is first needed, and after a
// panic a fresh one is started.
import { Client } from './client.js';
import { chooseDevice } from './device.js';
import { codeOf, WorkerError } from './errors.js';

/** @import { DeviceInfo, DeviceKind } from '../types/wasm' */
/** @import { Methods } from '../types/worker' */
/** @import { WorkerLike } from './client.js' */
/** @import { Choice } from './device.js' */

export class Engine {
  /** @type {Client | null} */
  #client = null;
  /** @type {Promise<Choice> | null} */
  #choice = null;
  /** @type {Promise<DeviceInfo> | null} */
  #opened = null;
  /** @type {DeviceKind | null} */
  #wanted = null;
  #spawn;
  #kernels;
  #onPanic;
  #onNotice;

  /**
   * @param {() => WorkerLike} spawn
   * @param {'gpu' | 'software' | null} kernels the class of kernels; null: the adapter's own
   * @param {(message: string, code: string) => void} onPanic
   * @param {(message: string) => void} onNotice
   */
  constructor(spawn, kernels, onPanic, onNotice) {
    this.#spawn = spawn;
    this.#kernels = kernels;
    this.#onPanic = onPanic;
    this.#onNotice = onNotice;
  }

  /**
   * Starts a worker and chooses the device. The last worker is ended with all its calls.
   * @param {DeviceKind | null} wanted
   */
  start(wanted) {
    this.#client?.end('Restarted', 'The encoder was started again.');
    const client = (this.#client = new Client(this.#spawn(), this.#onPanic, this.#onNotice));
    this.#wanted = wanted;
    this.#opened = null;
    this.#choice = client.call('probe', {}).then((probe) => chooseDevice(probe, wanted));
    this.#choice.catch(() => {}); // whoever awaits it is told; nobody awaits a worker that is replaced unused
    return this.#choice;
  }

  /**
   * Fetches the wasm and opens the device, once. A worker that failed to do so is replaced, so that it can be tried
   * again.
   */
  open() {
    return (this.#opened ??= this.#open());
  }

  async #open() {
    const client = this.#client;
    if (!client || !this.#choice) throw new WorkerError('NotStarted', 'The encoder was not started.');
    const { kind, adapter } = await this.#choice;
    try {
      return await client.call('open', { device: kind, adapter, kernels: this.#kernels });
    } catch (error) {
      const panicked = ['Panic', 'OutOfMemory'].includes(codeOf(error));
      if (this.#client === client && !panicked) this.start(this.#wanted);
      throw error;
    }
  }

  /**
   * @template {keyof Methods} M
   * @param {M} method
   * @param {Methods[M]['params']} params
   * @param {{ progress?: (value: Methods[M]['progress']) => void, signal?: AbortSignal }} [options]
   * @returns {Promise<Methods[M]['result']>}
   */
  async call(method, params, options) {
    await this.open();
    return this.ask(method, params, options);
  }

  /**
   * Calls a method that needs neither the wasm nor the device.
   * @template {keyof Methods} M
   * @param {M} method
   * @param {Methods[M]['params']} params
   * @param {{ progress?: (value: Methods[M]['progress']) => void, signal?: AbortSignal }} [options]
   * @returns {Promise<Methods[M]['result']>}
   */
  ask(method, params, options) {
    return (
      this.#client?.call(method, params, options) ??
      Promise.reject(new WorkerError('NotStarted', 'The encoder was not started.'))
    );
  }
}
