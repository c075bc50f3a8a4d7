// What is kept in this browser for the next visit, and the button that forgets it.
import { formatCount, plural } from '../figures/format.js';
import { byId, showText } from '../ui/dom.js';

/** @import { Keeper } from '../state/keep.js' */
/** @import { State } from '../state/state' */

/** @param {Keeper} keeper */
export function keptView(keeper) {
  const summary = byId('kept-summary', HTMLParagraphElement);
  const error = byId('kept-error', HTMLParagraphElement);
  const forget = byId('kept-forget', HTMLButtonElement);
  const status = byId('kept-status', HTMLSpanElement);
  /** @type {number | null} */
  let vectors = null;
  /** @type {State | null} */
  let last = null;

  const count = async () => {
    vectors = await keeper.vectors();
    show();
  };
  const show = () => last && showText(summary, summaryText(last, vectors));
  forget.addEventListener('click', async () => {
    await keeper.forget();
    showText(status, 'Forgotten. What you do from now on is kept again.');
    await count();
  });

  let working = true; // so that the first call counts the vectors
  return (/** @type {State} */ state) => {
    last = state;
    const ended = working && state.task === null;
    working = state.task !== null;
    if (ended) count();
    show();
    showText(error, state.unkept);
    summary.hidden = forget.hidden = state.unkept !== '';
    forget.disabled = state.task !== null;
    if (state.task) showText(status, '');
  };
}

/** @param {State} state @param {number | null} vectors */
function summaryText({ datasetSource, unfinished, outcome, imported, study }, vectors) {
  const things = [
    'prompts and settings',
    datasetSource && !datasetSource.sample ? `the data set \`${datasetSource.name}\`` : '',
    outcome ? 'the last report' : '',
    imported.length ? plural(imported.length, 'imported report') : '',
    study ? 'the layer study' : '',
    unfinished ? 'an unfinished run' : '',
    vectors ? `the vectors of ${formatCount(vectors)} encoded texts` : '',
  ].filter(Boolean);
  const all = things.length > 1 ? `${things.slice(0, -1).join(', ')} and ${things[things.length - 1]}` : things[0];
  return `For your next visit, on this machine and nowhere else: ${all}. Picked models and adapters are not kept; downloaded models are listed under Model.`;
}
