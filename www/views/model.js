// The model: its load with progress in bytes, the facts of the loaded model, and other sources.
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatParameters,
  formatPercent,
  plural,
} from '../figures/format.js';
import { fetchText } from '../sources/model.js';
import { readArithmetic, readQuantize, readSpecialTokens } from '../state/settings.js';
import { byId, element, fill, showText } from '../ui/dom.js';
import { fact } from '../ui/facts.js';
import { loadStage, showProgress } from '../ui/progress.js';
import { watch } from '../ui/watch.js';

/** @import { App } from '../app/app.js' */
/** @import { State } from '../state/state' */
/** @import { DownloadProgress } from '../types/storage' */
/** @import { LoadOptions, ModelCard, ModelPlan } from '../types/wasm' */

/** @param {App} app */
export function modelView(app) {
  const name = byId('model-name', HTMLElement);
  const note = byId('model-note', HTMLSpanElement);
  const load = byId('model-load', HTMLButtonElement);
  const progressArea = byId('model-progress', HTMLElement);
  const bar = byId('model-bar', HTMLProgressElement);
  const stage = byId('model-stage', HTMLSpanElement);
  const cancel = byId('model-cancel', HTMLButtonElement);
  const error = byId('model-error', HTMLParagraphElement);
  const download = byId('model-download', HTMLParagraphElement);
  const plan = byId('model-plan', HTMLDListElement);
  const storage = byId('model-storage', HTMLParagraphElement);
  const warnings = byId('model-warnings', HTMLUListElement);
  const facts = byId('model-facts', HTMLDListElement);
  const files = byId('model-files', HTMLInputElement);
  const url = byId('model-url', HTMLInputElement);
  const byUrl = byId('model-url-form', HTMLFormElement);
  const back = byId('model-default', HTMLButtonElement);

  load.addEventListener('click', () => app.model.load());
  cancel.addEventListener('click', () => app.stop());
  back.addEventListener('click', () => app.model.loadDefault());
  files.addEventListener('change', async () => {
    if (files.files?.length) await app.model.loadFiles([...files.files]);
    files.value = ''; // so that the same file can be picked again
  });
  byUrl.addEventListener('submit', (event) => {
    event.preventDefault();
    app.model.loadUrl(url.value);
  });

  const showOptions = optionsView(app);
  const [isOtherCard, isOtherPlan] = [watch(), watch()];
  return (/** @type {State} */ { model, task, errors }) => {
    const { source, card, progress } = model;
    showText(name, card?.name ?? source.name);
    const fetched = fetchText(source) && ` (${fetchText(source)})`;
    showText(
      note,
      card
        ? 'is loaded.'
        : `is not loaded yet.${model.missing ? ` You had \`${model.missing}\`: the page cannot keep a picked model, pick it again below.` : ''}`,
    );
    showText(load, card ? '' : `Load ${source.kind === 'default' ? 'the default' : 'this'} model${fetched}`);
    load.disabled = back.disabled = files.disabled = task !== null;
    back.hidden = source.kind === 'default';
    for (const control of byUrl.querySelectorAll('button')) control.disabled = task !== null;

    load.hidden ||= model.loading;
    note.hidden ||= model.loading;
    progressArea.hidden = !model.loading;
    showProgress(bar, progress);
    showText(stage, loadStage(model));
    showText(download, model.download ? (model.loading ? downloadText(model.download) : planText(model.download)) : '');
    plan.hidden = !model.plan || card !== null;
    if (isOtherPlan(model.plan) && model.plan) fill(plan, ...planFacts(model.plan));
    showText(storage, model.note);
    showOptions(model.options, task !== null);

    showText(error, errors.model);
    facts.hidden = card === null;
    warnings.hidden = !card?.warnings.length;
    if (!isOtherCard(card) || !card) return;
    fill(warnings, ...card.warnings.map((warning) => element('li', {}, warning)));
    fill(facts, ...factList(card, model));
  };
}

/** How the download goes, in sentences. @param {DownloadProgress} download */
export function downloadText({ done, total, resumed, speed, trouble, note }) {
  if (resumed === total) return 'It is stored here: nothing has to be downloaded.';
  const moving = speed > 0 && !trouble;
  const left = moving && done < total ? `, ${formatDuration((1000 * (total - done)) / speed)} left` : '';
  const parts = [
    done < total
      ? `Downloading: ${formatBytes(done)} of ${formatBytes(total)}${moving ? `, ${formatBytes(speed)}/s` : ''}${left}.`
      : 'Everything is downloaded.',
    resumed > 0 ? `${formatPercent(resumed / total)} was here before.` : '',
    trouble,
    note,
  ];
  return parts.filter(Boolean).join(' ');
}

/** What a download will be, in sentences. @param {DownloadProgress} plan */
function planText({ done, total, room, note }) {
  const rest =
    done > 0
      ? `${formatBytes(total - done)} of its ${formatBytes(total)} are to be downloaded.`
      : `It is a download of ${formatBytes(total)}.`;
  const place = note || (room === null ? '' : `It is kept in this browser, which has room for ${formatBytes(room)}.`);
  return `${rest} ${place} Load begins it.`;
}

/** What a model takes, as known from its header. @param {ModelPlan} plan */
export function planFacts(plan) {
  const { max_buffer_bytes: most, budget_bytes: budget } = plan;
  const held = plan.refused ? 'Does not fit' : plan.streamed ? 'Layer by layer, for each batch' : 'Whole';
  return [
    fact('On the device', held, plan.refused?.message),
    fact('Download', formatBytes(plan.download_bytes)),
    fact('Weights', formatBytes(plan.weight_bytes)),
    fact(`A batch of ${plural(plan.batch_tokens, 'token')}`, formatBytes(plan.activation_bytes)),
    fact('Device memory, whole', formatBytes(plan.whole_bytes)),
    fact('Device, layer by layer', formatBytes(plan.streamed_bytes), 'device memory, two layers at a time'),
    ...(budget === null ? [] : [fact('Budget', formatBytes(budget))]),
    fact('Page memory', formatBytes(plan.host_bytes)),
    fact(
      'Largest buffer',
      `${formatBytes(plan.largest_buffer_bytes)}${most === null ? '' : ` of ${formatBytes(most)} allowed`}`,
    ),
  ];
}

/** The options of the next load: budget, placement, packing, arithmetic and special tokens. @param {App} app */
function optionsView(app) {
  const budget = byId('budget', HTMLInputElement);
  const held = byId('held', HTMLSelectElement);
  const quantize = byId('quantize', HTMLSelectElement);
  const arithmetic = byId('arithmetic', HTMLSelectElement);
  const special = byId('special-tokens', HTMLSelectElement);
  const read = () => {
    if (!budget.checkValidity()) return void budget.reportValidity();
    app.model.setOptions({
      budget_mb: budget.value ? Number(budget.value) : null,
      streamed: held.value === 'streamed',
      quantize: quantize.value ? readQuantize(quantize.value) : null,
      arithmetic: readArithmetic(arithmetic.value),
      special_tokens: readSpecialTokens(special.value),
    });
  };
  const controls = [budget, held, quantize, arithmetic, special];
  for (const control of controls) control.addEventListener('change', read);

  return (/** @type {LoadOptions} */ options, /** @type {boolean} */ busy) => {
    if (document.activeElement !== budget) budget.value = String(options.budget_mb ?? '');
    held.value = options.streamed ? 'streamed' : '';
    quantize.value = options.quantize ?? '';
    arithmetic.value = options.arithmetic;
    special.value = options.special_tokens;
    for (const control of controls) control.disabled = busy;
  };
}

/**
 * The tokens that are added to each text.
 * @param {Pick<ModelCard, 'begin_tokens' | 'end_tokens'>} card
 * @param {Pick<LoadOptions, 'special_tokens'>} options
 */
export function addedText({ begin_tokens: begin, end_tokens: end }, { special_tokens: chosen }) {
  if (chosen === 'none') return 'no token, as chosen';
  return begin.length + end.length ? [...begin, '…', ...end].join(' ') : 'no token';
}

/** @param {ModelCard} card @param {State['model']} model */
function factList(card, { heap, plan, options }) {
  const types = Object.entries(card.tensor_types).map(([type, count]) => `${type} × ${count}`);
  const groups = card.num_attention_heads / card.num_key_value_heads;
  return [
    fact('Family', card.family),
    ...(card.recognized ? [fact('Recognized as', card.recognized)] : []),
    ...(card.decided.length ? [fact('Decided', card.decided.join('; '))] : []),
    fact('Parameters', formatParameters(card.parameters)),
    fact('Layers', String(card.num_hidden_layers)),
    fact('Hidden size', formatCount(card.hidden_size)),
    fact(
      'Heads',
      `${card.num_attention_heads} × ${card.head_dim}${groups > 1 ? `, ${card.num_key_value_heads} key/value` : ''}`,
    ),
    fact('Longest text', `${formatCount(card.max_length)} tokens`),
    fact('Adds to each text', addedText(card, options)),
    fact('Tensors', types.join(', ')),
    ...(card.not_read.length ? [fact('Not read', card.not_read.join(', '))] : []),
    ...(card.tokenizer_not_read.length ? [fact('Not read of the tokenizer', card.tokenizer_not_read.join(', '))] : []),
    ...(card.quantize ? [fact('Packed to', card.quantize === 'q8' ? '8 bits' : '4 bits')] : []),
    ...(card.arithmetic === 'f32'
      ? []
      : [fact('Products', card.arithmetic === 'f16' ? 'in 16-bit floats' : 'in 8-bit integers')]),
    fact('File', formatBytes(card.file_bytes)),
    fact(
      'Device memory',
      card.streamed && plan
        ? `up to ${formatBytes(plan.streamed_bytes)}, layer by layer`
        : formatBytes(card.device_bytes),
    ),
    ...(card.device_memory
      ? [
          fact(
            'Counted after the load',
            formatBytes(card.device_memory.in_use),
            `${formatBytes(card.device_memory.reserved)} with the pages kept for what comes next`,
          ),
        ]
      : []),
    fact('Page memory', formatBytes(heap)),
    fact('Loaded in', formatDuration(card.load_ms)),
    ...(card.sha256 ? [fact('SHA-256', `${card.sha256.slice(0, 12)}…`, card.sha256)] : []),
  ];
}
