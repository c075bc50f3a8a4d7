// Draws a state of the page without a browser: every view of www/views writes into a document in memory.
import { readdir } from 'node:fs/promises';
import { fakeDocument, textsOf } from './fake-document.mjs';

const folder = new URL('../../www/views/', import.meta.url);
/** @type {[string, (app: any) => (state: any) => void][]} */
const VIEWS = [];
for (const name of (await readdir(folder)).sort()) {
  // eslint-disable-next-line no-unsanitized/method -- it is the page's own module
  const module = await import(new URL(name, folder).href);
  VIEWS.push(...Object.entries(module).filter(([name]) => name.endsWith('View')));
}

/** Draws a state, unfolds what can be unfolded, and gives the texts by the id of their element. @param {any} state */
export function drawn(state) {
  const elements = fakeDocument();
  const anything = () =>
    new Proxy(() => {}, { get: (_, name) => (name === 'then' ? undefined : anything()), apply: () => {} });
  /** @type {Record<string, unknown>} */
  const app = { base: 'https://example.org/app/', state };
  for (const part of ['reports', 'layers', 'model', 'library', 'prompts', 'evaluation', 'benchmark', 'sharing'])
    Object.assign(app, { [part]: anything() });
  const keeper = { vectors: async () => 1, forget: async () => {} };
  const views = VIEWS.map(([name, view]) => view(name === 'keptView' ? keeper : app));
  for (const panel of ['weights', 'stored', 'catalogue']) Object.assign(elements.get(panel) ?? {}, { open: true });
  for (const view of views) view(state);
  for (const element of elements.values()) for (const below of element.all) if (below.tag === 'details') below.unfold();
  return [...elements].flatMap(([id, element]) => textsOf(element).map((text) => ({ id, text })));
}
