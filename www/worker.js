// Owns the wasm module. A table of methods; the wasm is fetched by `open`, after `probe` has told which device there is.
// After a panic the module is poisoned: the panic's text is posted and the worker ends.
import { answer } from './requests.js';
import { openDatabase } from './database.js';
import { vectorStore } from './store.js';

/** @import { Methods, Session, Wasm } from './types' */

/** @type {Wasm} */
let wasm;
/** @type {Session} */
let session;

const store = vectorStore(openDatabase, (notice) => postMessage({ notice }));

/** @type {{ [M in keyof Methods]: (params: Methods[M]['params'], progress: (value: object) => Promise<boolean>) => unknown }} */
const methods = {
  async probe() {
    const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' });
    return { secure: isSecureContext, webgpu: 'gpu' in navigator, adapter: adapter ? describe(adapter.info) : null };
  },
  async open({ device }) {
    const module = './pkg/gran_ted.js';
    wasm = await import(module);
    await wasm.default({ module_or_path: new URL('./pkg/gran_ted_bg.wasm', import.meta.url) });
    session = await wasm.Session.open(device);
    return session.device();
  },
  async load({ files }, progress) {
    const card = await session.load(files, progress);
    return { card, heap_bytes: wasm.memory_bytes() };
  },
  embed: ({ texts, settings }) => session.embed(texts, settings),
  open_dataset: ({ name, bytes }) => session.open_dataset(name, bytes),
  count: ({ subset }) => session.count(subset),
  load_adapter: ({ file }) => session.load_adapter(file),
  drop_adapter: () => session.drop_adapter(),
  layer_products: ({ texts, pooling }) => session.layer_products(texts, pooling),
  item: ({ caption_key, question_type }) => session.item(caption_key, question_type),
  import_report: ({ name, bytes }) => wasm.import_report(name, bytes),
  compare_reports: ({ first, second }) => wasm.compare_reports(first, second),
  export_report: ({ report, format }) => wasm.export_report(report, format),
  evaluate: ({ subset, settings }, progress) => session.evaluate(subset, settings, progress, store),
  study: ({ subset, pooling, layer_weights }, progress) => session.study(subset, pooling, layer_weights, progress),
};

/** @param {GPUAdapterInfo} info */
function describe({ vendor, architecture, device, description, isFallbackAdapter }) {
  return { vendor, architecture, device, description, fallback: isFallbackAdapter };
}

/** @param {string} message */
function panic(message) {
  postMessage({ panic: message });
  close();
}

/** A trap that is no panic (memory exhausted, stack overflow) poisons the module just the same. @param {unknown} error */
function fatal(error) {
  const trapped = error instanceof WebAssembly.RuntimeError;
  if (trapped) panic(`the wasm module stopped: ${error.message}`);
  return trapped;
}

Object.assign(globalThis, { gran_ted_panic: panic });
addEventListener('unhandledrejection', (event) => fatal(event.reason));
addEventListener('error', (event) => fatal(event.error));
answer(globalThis, methods, fatal);
