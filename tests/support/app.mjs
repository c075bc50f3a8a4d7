// An app on fake workers, for the tests of what the page does without a page.
import { App } from '../../www/app/app.js';
import { fakeWorker } from './fake-worker.mjs';

/** @import { Method } from '../../www/worker/requests.js' */

const ADAPTER = { vendor: 'nvidia', architecture: 'lovelace', device: '', description: '', fallback: false };
export const CARD = { name: 'Tiny', num_hidden_layers: 2 };
export const DATASET = {
  file: 'ted.json',
  sha256: '',
  captions: 2,
  items: 4,
  skipped: 0,
  caption_types: { image: 3, video: 1 },
  question_types: { OCR: 2, Quantity: 2 },
};
export const EMBEDDINGS = { dimension: 1, vectors: [], similarity: [], tokens: [], truncated: [], milliseconds: 1 };
export const REPORT = { summary: { accuracy_statistics: { total_correct: 3, total_samples: 4 } } };

/** @param {string} name @param {string} message */
export const failure = (name, message) => () => {
  throw Object.assign(new Error(message), { name });
};

/** A file that a person picks as data set. */
export const tedFile = () => new File(['{}'], 'ted.json');

/**
 * Makes an app; returns it with its workers in the order they were started, and the calls that they received.
 * @param {Record<string, Method>} [methods]
 */
export function setUp(methods = {}) {
  /** @type {ReturnType<typeof fakeWorker>[]} */
  const workers = [];
  /** @type {[string, any][]} */
  const calls = [];
  /** @type {Record<string, Method>} */
  const table = {
    probe: () => ({ secure: true, webgpu: true, adapter: ADAPTER }),
    open: ({ device }) => ({ kind: device, adapter: '', software: false, max_buffer_bytes: null }),
    load: () => ({ card: CARD, heap_bytes: 1 }),
    embed: () => EMBEDDINGS,
    open_dataset: () => DATASET,
    count: () => ({ items: 4, texts: 9, id: '0123456789' }),
    evaluate: () => REPORT,
    ...methods,
  };
  const logged = Object.fromEntries(
    Object.entries(table).map(([name, method]) => [
      name,
      (/** @type {any} */ params, /** @type {any} */ progress, /** @type {AbortSignal} */ signal) => {
        calls.push([name, params]);
        return method(params, progress, signal);
      },
    ]),
  );
  const app = new App({
    base: 'https://example.org/demo/',
    changed: () => {},
    spawn() {
      workers.push(fakeWorker(logged));
      return workers[workers.length - 1];
    },
  });
  const names = () => calls.map(([name]) => name);
  return { app, state: app.state, workers, calls, names };
}

/** Makes an app with an open data set. @param {Parameters<typeof setUp>[0]} [methods] */
export async function setUpOpened(methods) {
  const page = setUp(methods);
  await page.app.start('', null);
  await page.app.evaluation.openFile(tedFile());
  return page;
}
