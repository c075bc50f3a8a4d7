// Observable Plot for the page. It is fetched when the first chart comes into view.
import { messageOf } from '../worker/errors.js';
import { add, element, fill, fitTexts } from './dom.js';

/** @typedef {typeof import('@observablehq/plot')} Plot */
/** @typedef {import('@observablehq/plot').PlotOptions} PlotOptions */

/** @type {Promise<Plot> | null} */
let loading = null;

/**
 * Loads Plot and d3, which are UMD builds, by two script elements, once. After a failure the next call tries again.
 * @returns {Promise<Plot>}
 */
export function loadPlot() {
  loading ??= script('./vendor/d3.min.js')
    .then(() => script('./vendor/plot.umd.min.js'))
    .then(() => /** @type {any} */ (globalThis).Plot)
    .catch((error) => {
      loading = null;
      throw error;
    });
  return loading;
}

/** @param {string} path relative to the page */
function script(path) {
  return new Promise((resolve, reject) => {
    const node = element('script', { src: path });
    node.addEventListener('load', resolve);
    node.addEventListener('error', () => reject(new Error(`\`${path}\` could not be fetched.`)));
    add(document.head, node);
  });
}

/**
 * Makes a chart. It is drawn when it comes into view, when its width changes, and when `draw` is called. For a screen
 * reader it is one picture with a name: its figures should also be in a table.
 * @param {string} label its name
 * @param {(Plot: Plot, width: number) => PlotOptions} options
 */
export function chart(label, options) {
  const node = element('div', { className: 'chart' });
  let width = 0;
  const draw = async () => {
    if (width === 0) return;
    try {
      const Plot = await loadPlot();
      const plot = Plot.plot({ className: 'plot', width, style: { background: 'none' }, ...options(Plot, width) });
      // the page's policy refuses it; page.css has its rules
      for (const style of plot.querySelectorAll('style')) style.remove();
      fitTexts(plot);
      plot.setAttribute('role', 'img');
      plot.setAttribute('aria-label', label);
      fill(node, plot);
    } catch (error) {
      fill(node, element('p', {}, `No chart: ${messageOf(error)} The table has its figures.`));
    }
  };
  const resized = new ResizeObserver(([{ contentRect }]) => {
    const now = Math.floor(contentRect.width);
    if (now === width) return;
    width = now;
    draw();
  });
  const seen = new IntersectionObserver(
    (entries) => {
      if (!entries.some(({ isIntersecting }) => isIntersecting)) return;
      seen.disconnect();
      resized.observe(node);
    },
    { rootMargin: '300px' },
  );
  seen.observe(node);
  return { node, draw };
}
