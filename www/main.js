// Joins the page's parts: the app, what is kept for the next visit, the views.
import { App } from './app/app.js';
import { Keeper } from './state/keep.js';
import { openDatabase } from './storage/database.js';
import { adapterView } from './views/adapter.js';
import { benchView } from './views/bench.js';
import { catalogueView } from './views/catalogue.js';
import { compareView } from './views/compare.js';
import { deviceView } from './views/device.js';
import { takeDrops } from './views/drop.js';
import { itemsView } from './views/items.js';
import { keptView } from './views/kept.js';
import { layersView } from './views/layers.js';
import { leaderboardView } from './views/leaderboard.js';
import { linkView } from './views/link.js';
import { modelView } from './views/model.js';
import { panicView } from './views/panic.js';
import { promptsView } from './views/prompts.js';
import { shareView } from './views/share.js';
import { storedView } from './views/stored.js';
import { tedView } from './views/ted.js';
import { weightsView } from './views/weights.js';

const query = new URLSearchParams(location.search);
const kernels = query.get('kernels'); // for trying the kernels of GPUs on a software adapter, or the other way round
const app = new App({
  base: document.baseURI,
  spawn: () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' }),
  changed: show,
  kernels: kernels === 'gpu' || kernels === 'software' ? kernels : null,
});
const keeper = new Keeper(openDatabase, (message) => {
  app.state.unkept = message;
  show();
});
const views = [
  deviceView,
  panicView,
  linkView,
  modelView,
  catalogueView,
  storedView,
  adapterView,
  promptsView,
  weightsView,
  tedView,
  layersView,
  itemsView,
  compareView,
  leaderboardView,
  benchView,
  shareView,
].map((view) => view(app));
views.push(keptView(keeper));

function show() {
  for (const render of views) {
    try {
      render(app.state);
    } catch (error) {
      reportError(error); // what one view can't show leaves the others
    }
  }
  keeper.save();
}

// The last results at full precision, for the console and the tests.
Object.assign(globalThis, {
  granTed: {
    get last() {
      return {
        model: app.state.model.card,
        embeddings: app.state.comparison?.embeddings ?? null,
        report: app.state.outcome?.report ?? null,
        compared: app.state.compared?.comparison ?? null,
        bench: app.state.bench.report,
      };
    },
  },
});

addEventListener('hashchange', () => location.reload()); // a link was pasted into the open page
takeDrops(app, globalThis);
addEventListener('pagehide', () => keeper.flush());
show();
const navigation = /** @type {PerformanceNavigationTiming | undefined} */ (
  performance.getEntriesByType('navigation')[0]
);
const before = {
  kept: await keeper.read(),
  dataset: keeper.dataset.bind(keeper),
  reloaded: navigation?.type === 'reload',
};
app.start(location.hash, query.get('device'), before);
if (query.has('bench')) app.benchmark.begin(query.get('bench') ?? '', query.get('tokens') ?? '');
keeper.begin(app.state);
app.library.refresh();
