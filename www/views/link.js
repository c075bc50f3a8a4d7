// What a shared link brought: a summary, what in it was refused, and the button that does what it is for.
import { formatBytes, formatInterval, formatPercent, plural } from '../figures/format.js';
import { wilson } from '../figures/statistics.js';
import { byId, showText } from '../ui/dom.js';

/** @import { App } from '../app/app.js' */
/** @import { SharedState, State } from '../state/state' */

/** @param {App} app */
export function linkView(app) {
  const card = byId('link', HTMLElement);
  const summary = byId('link-summary', HTMLParagraphElement);
  const result = byId('link-result', HTMLParagraphElement);
  const problems = byId('link-problems', HTMLParagraphElement);
  const load = byId('link-load', HTMLButtonElement);
  load.addEventListener('click', () => app.sharing.follow());

  return (/** @type {State} */ { link, task, settings, model }) => {
    card.hidden = link === null;
    if (!link) return;
    const { shared, followed } = link;
    const parts = [
      shared.prompts.length ? plural(shared.prompts.length, 'prompt') : '',
      `${settings.feature} + ${settings.pooling}`,
      shared.model ? `the model at ${shared.model}, ${sizeOf(model.source)}` : model.source.name,
      shared.item ? `the item ${shared.item.question_type}, ${shared.item.caption_key}` : '',
      shared.data ? 'the built-in TED sample' : '',
    ];
    showText(summary, `It holds ${parts.filter(Boolean).join(', ')}.`);
    showText(result, headline(shared));
    showText(problems, link.problems.join(' '));
    showText(load, shared.model ? `Load from ${new URL(shared.model).host} and compare` : 'Load and compare');
    load.hidden = followed || shared.prompts.length === 0;
    load.disabled = task !== null;
  };
}

/** What is known of the size before the model's server is asked. @param {State['model']['source']} source */
function sizeOf({ bytes }) {
  return bytes === null
    ? 'of a size that its server tells when it is asked: above 1 GB the download waits once more'
    : formatBytes(bytes);
}

/** @param {SharedState} shared */
function headline({ result, data }) {
  if (!result) return '';
  const { correct, total, feature, pooling } = result;
  const file = data ? 'the TED sample' : 'a TED file of their own';
  const accuracy = correct / total;
  const score = `${formatPercent(accuracy)} ${formatInterval(wilson(accuracy, total))}`;
  const run = `on ${file} (${feature} + ${pooling})`;
  return `The sender reports ${correct} of ${total} right, ${score}, ${run}. Run it below to check.`;
}
