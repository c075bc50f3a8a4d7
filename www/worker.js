// The worker, which owns the wasm module: a table of methods. `open` fetches the wasm, after `probe` has told which
// device there is. After a panic the module is unusable: the panic's text is posted and the worker ends.
import { formatBytes } from './figures/format.js';
import { openDatabase } from './storage/database.js';
import { ModelFiles } from './storage/files.js';
import { openVault } from './storage/vault.js';
import { tileStore, vectorStore } from './storage/vectors.js';
import { probeOf } from './worker/device.js';
import { named } from './worker/errors.js';
import { answer } from './worker/requests.js';
import { useUntimed } from './worker/untimed.js';

/** @import { Session, Wasm } from './types/session' */
/** @import { Methods } from './types/worker' */
/** @import { OnProgress } from './worker/requests.js' */

const ASK = 1e9; // a download of more bytes waits until the person has seen its size

/** @type {Wasm} */
let wasm;
/** @type {Session} */
let session;
/** @type {ModelFiles | null} the files of the loaded model, which may be read for each batch */
let modelFiles = null;

const store = vectorStore(openDatabase, (notice) => postMessage({ notice }));
const tiles = tileStore(openDatabase);

/**
 * @template {keyof Methods} M
 * @typedef {(params: Methods[M]['params'], progress: OnProgress, signal: AbortSignal) => unknown} Answer
 */

/** @type {{ [M in keyof Methods]: Answer<M> }} */
const methods = {
  probe: () => probeOf({ secure: isSecureContext, gpu: navigator.gpu }),
  async open({ device, adapter, kernels }) {
    const module = './pkg/gran_ted.js';
    wasm = await import(module);
    useUntimed(navigator.gpu);
    await wasm.default({ module_or_path: new URL('./pkg/gran_ted_bg.wasm', import.meta.url) });
    session = await wasm.Session.open(device, adapter, kernels);
    return session.device();
  },
  async load({ files, agreed, options }, progress, signal) {
    modelFiles?.close();
    modelFiles = new ModelFiles({ ...(await storage()), signal, progress });
    try {
      await modelFiles.open(files);
      const download = modelFiles.state('plan');
      if (download.total) await progress(download);
      const plan = await session.open_model(modelFiles.sources, options);
      await progress({ plan });
      if (plan.refused) throw named(plan.refused.code, plan.refused.message);
      if (plan.streamed) modelFiles.refuseUnlessStored();
      const missing = download.total - download.done;
      if (missing > ASK && !agreed)
        throw named('Agree', `This model is a download of ${formatBytes(missing)}: begin it under Model.`);
      modelFiles.begin();
      const { adapter } = session.device();
      const card = await session.load(progress, await tiles.get(adapter));
      await tiles.put(adapter, card.tiles);
      await modelFiles.finish(card);
      return { card, heap_bytes: wasm.memory_bytes(), note: modelFiles.note };
    } catch (error) {
      modelFiles.close();
      throw error;
    }
  },
  verify: async ({ id }, progress) => (await openVault()).verify(id, progress),
  async remove({ id }) {
    modelFiles?.release(id);
    await (await openVault()).remove(id);
  },
  embed: ({ texts, settings }, _, signal) => reading(signal, () => session.embed(texts, settings)),
  open_dataset: ({ name, bytes }) => session.open_dataset(name, bytes),
  count: ({ subset }) => session.count(subset),
  load_adapter: ({ file }) => session.load_adapter(file),
  drop_adapter: () => session.drop_adapter(),
  layer_products: ({ texts, pooling }, _, signal) => reading(signal, () => session.layer_products(texts, pooling)),
  item: ({ caption_key, question_type }) => session.item(caption_key, question_type),
  import_report: ({ name, bytes }) => wasm.import_report(name, bytes),
  compare_reports: ({ first, second }) => wasm.compare_reports(first, second),
  export_report: ({ report, format }) => wasm.export_report(report, format),
  evaluate: ({ subset, settings }, progress, signal) =>
    reading(signal, () => session.evaluate(subset, settings, progress, store)),
  bench: ({ seconds, tokens }, progress, signal) =>
    reading(signal, () => session.bench(seconds, tokens ? Uint32Array.from(tokens) : undefined, progress)),
  study: ({ subset, pooling, layer_weights }, progress, signal) =>
    reading(signal, () => session.study(subset, pooling, layer_weights, progress)),
};

/**
 * Runs work that may read layers from their file; once the call is cancelled, no more are read.
 * @template T
 * @param {AbortSignal} signal
 * @param {() => Promise<T>} work
 */
function reading(signal, work) {
  modelFiles?.readUntil(signal);
  return work();
}

/** The browser's storage, or the reason why there is none. */
async function storage() {
  return openVault().then(
    (vault) => ({ vault, refused: '' }),
    ({ message }) => ({ vault: null, refused: message.replace(/[.:]$/, '') }),
  );
}

/** Tells the page of a panic and ends the worker. @param {string} message */
function panic(message) {
  postMessage({ panic: message, code: /wgpu error: out of memory/i.test(message) ? 'OutOfMemory' : 'Panic' });
  close();
}

/**
 * Ends the worker if the error is a trap: after exhausted memory or a stack overflow the module is as unusable as after
 * a panic.
 * @param {unknown} error
 */
function fatal(error) {
  const trapped = error instanceof WebAssembly.RuntimeError;
  if (trapped) panic(`the wasm module stopped: ${error.message}`);
  return trapped;
}

Object.assign(globalThis, { gran_ted_panic: panic });
addEventListener('unhandledrejection', (event) => fatal(event.reason));
addEventListener('error', (event) => fatal(event.error));
answer(globalThis, methods, fatal);
