// Joins the page's parts: the app's state, the worker, the views.
import { App } from './app.js';
import { deviceView } from './views/device.js';
import { linkView } from './views/link.js';
import { modelView } from './views/model.js';
import { panicView } from './views/panic.js';
import { promptsView } from './views/prompts.js';
import { shareView } from './views/share.js';
import { tedView } from './views/ted.js';

const app = new App({
  base: document.baseURI,
  spawn: () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }),
  changed: show,
});
const views = [deviceView, panicView, linkView, modelView, promptsView, tedView, shareView].map((view) => view(app));

function show() {
  for (const render of views) render(app.state);
}

// For the console and the tests: what was computed last, at full precision.
Object.assign(globalThis, {
  granTed: {
    get last() {
      return { embeddings: app.state.comparison?.embeddings ?? null, report: app.state.outcome?.report ?? null };
    },
  },
});

addEventListener('hashchange', () => location.reload()); // a link pasted into an open page
app.start(location.hash, new URLSearchParams(location.search).get('device'));
