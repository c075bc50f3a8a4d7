// The prompts: examples, the list, which can be edited by keyboard alone, the settings, and the matrix of the last
// comparison.
import { EXAMPLES } from '../sources/examples.js';
import { firstText } from '../sources/model.js';
import { MAX_PROMPT, MAX_PROMPTS } from '../state/limits.js';
import { readFeature, readPooling, weightsOf } from '../state/settings.js';
import { add, byId, element, fill, showText } from '../ui/dom.js';
import { loadStage } from '../ui/progress.js';
import { watch } from '../ui/watch.js';
import { matrix } from './matrix.js';

/** @import { App } from '../app/app.js' */
/** @import { State } from '../state/state' */

/** @param {App} app */
export function promptsView(app) {
  const list = byId('prompt-list', HTMLOListElement);
  const hint = byId('example-hint', HTMLParagraphElement);
  const more = byId('prompt-add', HTMLButtonElement);
  const embed = byId('embed', HTMLButtonElement);
  const cancel = byId('embed-cancel', HTMLButtonElement);
  const note = byId('embed-note', HTMLElement);
  const error = byId('prompts-error', HTMLParagraphElement);
  const result = byId('matrix', HTMLElement);
  const showSettings = settingsView(app);

  add(
    byId('examples', HTMLElement),
    ...EXAMPLES.map((example) => {
      const chip = element('button', { type: 'button' }, example.name);
      chip.addEventListener('click', () => app.prompts.useExample(example));
      return chip;
    }),
  );
  more.addEventListener('click', () => {
    app.prompts.add(list.children.length);
    focusPrompt(list.children.length - 1);
  });
  embed.addEventListener('click', () => app.prompts.compare());
  cancel.addEventListener('click', () => app.stop());

  /** @param {number} index */
  const focusPrompt = (index) => list.querySelectorAll('textarea')[index]?.focus();

  const row = () => {
    const text = element('textarea', { rows: 1, maxLength: MAX_PROMPT, spellcheck: false });
    const remove = element('button', { type: 'button', className: 'quiet', textContent: '×' });
    const item = element('li', {}, text, remove);
    const index = () => [...list.children].indexOf(item);
    const drop = () => {
      const at = index();
      app.prompts.remove(at);
      focusPrompt(Math.min(Math.max(at - 1, 0), list.children.length - 1));
    };
    text.addEventListener('input', () => app.prompts.set(index(), text.value));
    text.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) app.prompts.compare();
      else if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        app.prompts.add(index() + 1);
        focusPrompt(index() + 1);
      } else if (event.key === 'Backspace' && text.value === '' && list.children.length > 1) drop();
      else return;
      event.preventDefault();
    });
    remove.addEventListener('click', drop);
    return item;
  };

  const isNew = watch();
  return (/** @type {State} */ state) => {
    const { prompts, task, model, comparison } = state;
    showText(hint, state.hint);
    while (list.children.length < prompts.length) add(list, row());
    while (list.children.length > prompts.length) list.lastElementChild?.remove();
    prompts.forEach((prompt, index) => showPrompt(list.children[index], prompt, index, state));
    more.disabled = prompts.length >= MAX_PROMPTS;

    showSettings(state);
    embed.disabled = task !== null;
    embed.ariaBusy = String(task === 'prompts');
    cancel.hidden = task !== 'prompts';
    showText(note, model.card ? '' : loadStage(model) || firstText(model));
    showText(error, state.errors.prompts);
    result.hidden = comparison === null;
    if (isNew(comparison) && comparison) {
      const left = result.querySelector('.scroll')?.scrollLeft ?? 0;
      fill(result, ...matrix(comparison));
      result.querySelector('.scroll')?.scrollTo({ left });
    }
  };
}

/** @param {Element} item @param {string} prompt @param {number} index @param {State} state */
function showPrompt(item, prompt, index, { prompts, emptyPrompt }) {
  const [text, remove] = /** @type {[HTMLTextAreaElement, HTMLButtonElement]} */ (
    /** @type {unknown} */ ([...item.children])
  );
  if (text.value !== prompt) text.value = prompt;
  text.ariaLabel = `Prompt ${index + 1}`;
  remove.ariaLabel = `Remove prompt ${index + 1}`;
  remove.disabled = prompts.length === 1;
  if (emptyPrompt && prompt.trim() === '') {
    text.setAttribute('aria-invalid', 'true');
    text.setAttribute('aria-describedby', 'prompts-error');
  } else {
    text.removeAttribute('aria-invalid');
    text.removeAttribute('aria-describedby');
  }
}

/** The settings: layers and pooling. "one layer…" opens the field for its number. @param {App} app */
function settingsView(app) {
  const feature = byId('feature', HTMLSelectElement);
  const layerField = byId('layer-field', HTMLLabelElement);
  const layer = byId('layer', HTMLInputElement);
  const pooling = byId('pooling', HTMLSelectElement);
  const precision = byId('reference-precision', HTMLInputElement);

  const read = () => {
    if (feature.value === 'layer' && !layer.checkValidity()) return void layer.reportValidity();
    const value = feature.value === 'layer' ? `layer(${layer.value || 1})` : feature.value;
    const { layer_weights } = app.state.settings;
    app.prompts.setSettings({
      feature: readFeature(value),
      pooling: readPooling(pooling.value),
      layer_weights,
      reference_precision: precision.checked,
    });
  };
  for (const control of [feature, layer, pooling, precision]) control.addEventListener('change', read);

  return (/** @type {State} */ { settings, model, adapter, task }) => {
    offer(feature, 'weighted', 'weighted: by the layer weights', weightsOf({ settings, adapter }) !== null);
    offer(
      pooling,
      'adapter',
      `adapter: ${adapter.card?.name}`,
      adapter.card !== null && adapter.card.kind !== 'layer_weights',
    );
    precision.checked = settings.reference_precision;
    const number = /^layer\((\d+)\)$/.exec(settings.feature)?.[1];
    feature.value = number ? 'layer' : settings.feature;
    pooling.value = settings.pooling;
    layerField.hidden = number === undefined;
    layer.max = String(model.card?.num_hidden_layers ?? 999);
    if (number && document.activeElement !== layer) layer.value = number;
    feature.disabled = pooling.disabled = layer.disabled = precision.disabled = task !== null;
  };
}

/**
 * Adds or removes a choice that is not always offered.
 * @param {HTMLSelectElement} select
 * @param {string} value
 * @param {string} text
 * @param {boolean} offered
 */
function offer(select, value, text, offered) {
  const option = [...select.options].find((each) => each.value === value);
  if (!offered) option?.remove();
  else if (option) showText(option, text);
  else add(select, element('option', { value }, text));
}
