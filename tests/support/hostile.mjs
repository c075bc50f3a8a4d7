// A state of the page in which a stranger has written every text.
import assert from 'node:assert/strict';
import { decodeState } from '../../www/link/codec.js';
import { initialState } from '../../www/state/initial.js';

/** Markup, a mark of direction, control characters, an end of line that is none, half a character. */
export const HOSTILE = '<img src=x onerror=alert(1)>\u202etxt.exe\u0000\u001b[2J\u2066\u2028\ud800';

/** A state in which every text that a stranger can choose is `text`. @param {string} text @returns {any} */
export function hostileState(text) {
  const accuracy = { accuracy: 0.5, correct: 1, total: 2, interval: [0.1, 0.9], chance: 0.25 };
  const left_out = [{ caption_key: text, question_type: text, reason: text }];
  const item = {
    ...{ index: 0, caption_key: text, caption_type: text, question_type: text, caption: text, question: text },
    ...{ options: text, statements: [text, `${text}.`], correct_answer: 'A', predicted_answer: 'B' },
    ...{ confidence_score: 0.5, all_scores: [0.5, 0.6], is_correct: false },
  };
  const accuracy_statistics = {
    ...{ overall_accuracy: 0.5, total_correct: 1, total_samples: 2, overall: accuracy, combined_accuracy: {} },
    ...{ caption_type_accuracy: { [text]: accuracy }, question_type_accuracy: { [text]: accuracy } },
  };
  const provenance = {
    ...{ feature: text, pooling: text, model: { name: text }, dataset: { file: text } },
    subset: { id: text, definition: text },
  };
  const summary = { accuracy_statistics, average_confidence: 0.5, ties: 0, complete: false, left_out };
  const report = { summary, results: [item, { ...item, index: 1 }], provenance };
  const settings = { feature: 'norm_avg', pooling: 'mean', layer_weights: null, reference_precision: false };
  const named = [1, 2].map((at) => ({ id: `report-${at}`, name: text, report: { ...report }, sample: false }));
  const group = { group: 'question_type', name: text, total: 2, first: accuracy, second: accuracy };
  const groups = [{ ...group, group: 'all', name: '' }, group].map((of) => ({
    ...of,
    first_only: 1,
    second_only: 0,
    p: 1,
  }));
  const changed = [{ caption_key: text, caption_type: text, question_type: text, caption: text, winner: 'first' }];
  const comparison = { note: text, shared: 2, only_first: 0, only_second: 0, differing: 1, groups, changed };
  const features = ['layer(0)', 'layer(1)', 'norm_avg'].map((feature) => ({ feature, accuracy, ties: 0 }));
  const figures = { features, num_hidden_layers: 1, layer_weights: null, items: [], products: null, left_out };
  const study = {
    ...{ model: text, file: text, sample: false, mixed: null },
    result: {
      ...{ ...figures, pooling: 'mean', tokens: 1, texts: 1, milliseconds: 1, complete: false, provenance },
      subset: { id: text, definition: text },
    },
  };
  const row = {
    ...{ tokens: 1, name: text, kernel: text, shape: text, calls: 1, gflop: 1, gigabytes: 1, gflops: 1 },
    ...{ gb_per_second: 1, percent_of_peak: 1, bound: 'compute', share: 0.5, tokens_per_second: 1, ms_per_token: 1 },
    ...{ ms_per_token_without_attention: 1, bytes_per_token: 1 },
    milliseconds: { median: 1, min: 1, max: 1, first: 1, samples: 1, runs: 1, clock: 'wall' },
  };
  const device = { kind: 'gpu', adapter: text, software: false };
  const bench = {
    ...{ budget_seconds: 1, seconds: 1, complete: false, peak: { gflops: 1, copy_gb_per_second: 1 }, clock: 'wall' },
    ...{ clock_reason: text, read_back_ms: 1, warm_up_ms: 1, dispatches_per_layer: 1 },
    ...{ rows: [row, { ...row, name: 'model' }], skipped: [{ tokens: 1, name: text, reason: text }] },
    provenance: { model: { name: text, tensor_types: { [text]: 1 } }, device, versions: { 'gran-ted': text } },
  };
  const card = {
    ...{
      name: text,
      family: text,
      hidden_size: 1,
      num_hidden_layers: 1,
      num_attention_heads: 2,
      num_key_value_heads: 1,
    },
    ...{
      head_dim: 1,
      vocab_size: 1,
      max_length: 1,
      parameters: 1,
      file_bytes: 1,
      device_bytes: 1,
      device_memory: null,
    },
    ...{ streamed: false, quantize: null, arithmetic: 'f32', tensor_types: { [text]: 1 }, begin_tokens: [text] },
    ...{
      end_tokens: [text],
      warnings: [text],
      recognized: text,
      decided: [text],
      tokenizer_not_read: [text],
      not_read: [text],
      sha256: text,
      files: [],
    },
    ...{ load_ms: 1, tiles: null },
  };
  const plan = {
    ...{ streamed: false, batch_tokens: 1, download_bytes: 1, weight_bytes: 1, activation_bytes: 1, whole_bytes: 1 },
    ...{ streamed_bytes: 1, host_bytes: 1, largest_buffer_bytes: 1, max_buffer_bytes: 1, budget_bytes: null },
    refused: { code: text, message: text },
  };
  const file = { id: 'a', url: `https://h/${encodeURIComponent(HOSTILE.slice(0, -1))}.gguf`, name: text, sha256: '' };
  const pairs = [
    [text, 'last', 1],
    [text, 'norm_avg', 3],
  ];
  const source = { kind: 'files', name: 'a.gguf', quantize: null, arithmetic: 'f32', special_tokens: 'file' };
  const state = initialState('https://example.org/app/');
  const link = decodeState(
    `v=1&p=a&model=https://h/%E2%80%AEa.gguf&item=a%E2%80%AEb|OCR&x${encodeURIComponent(HOSTILE.slice(0, -1))}=1`,
  );
  const { wanted, bench: idle } = state;
  return {
    ...state,
    ...{ wanted, prompts: [text, text], hint: text, panic: text, unkept: text, unstored: text, imported: named, study },
    errors: Object.fromEntries(Object.keys(state.errors).map((section) => [section, text])),
    choice: { kind: 'webgpu', adapter: text, reason: text },
    device: { kind: 'webgpu', adapter: text, software: false, max_buffer_bytes: 1 },
    model: { ...state.model, card, plan, note: text, missing: text },
    stored: {
      ...{ ...state.stored, refused: text, verdicts: { a: text } },
      models: [{ ...file, size: 2, stored: 1, complete: false, used: 1 }],
    },
    catalogue: {
      source: text,
      encoders: [
        {
          ...{ name: text, quantization: text, repository: null, files: [], revision: text, sha256: '', bytes: 1 },
          ...{ device_bytes: 1, ran: text, note: text },
        },
      ],
    },
    adapter: {
      ...{ file: null, missing: text, note: text },
      card: {
        ...{ name: text, sha256: text, kind: 'attention', dimension: 1, rope: true, parameters: 1 },
        layer_weights: [1],
      },
    },
    comparison: {
      ...{ texts: [text, text], settings, model: text, mixed: false },
      embeddings: {
        ...{ dimension: 1, vectors: new Float32Array(2), similarity: new Float32Array([1, 0.5, 0.5, 1]) },
        ...{ tokens: [1, 2], truncated: [true, false], milliseconds: 1 },
      },
    },
    datasetSource: { name: text, sample: false, read: () => assert.fail() },
    dataset: {
      ...{ file: text, sha256: text, captions: 1, items: 1, skipped: 1 },
      ...{ caption_types: { [text]: 1 }, question_types: { [text]: 1 } },
    },
    outcome: { report, settings, sample: false, file: text, model: text, source },
    unfinished: {
      ...{ subset: state.subset, settings, texts: 1, total_texts: 2, items: 1, correct: 1, device: 'cpu' },
      ...{ data: { name: text, sample: false, sha256: '' }, model: { kind: 'url', name: text, card: text } },
      adapter: { name: text, sha256: '' },
    },
    link: { shared: link.state, problems: [...link.problems, text], followed: false },
    sharing: { url: 'https://h/', note: text },
    browse: { ...state.browse, report: 'report-1' },
    item: { caption_key: text, question_type: text, item: null, from: ['report-1', 'report-2'], called: true },
    compared: { first: named[0], second: named[1], comparison },
    bench: { ...idle, report: bench, waiting: text, progress: { done: 1, total: 2, name: text, tokens: 1 } },
    board: {
      ...state.board,
      figures: {
        ...{ benchmark: text, source: text, unit: text, per_question_type: { [text]: { [text]: 1 } } },
        columns: { last: text, penultimate: text, norm_avg: text, weighted: text, mean_pool: text },
        rows: [{ model: text, kind: text, last: 1, norm_avg: 2, mean_pool: 1 }],
        downstream: { metric: text, pearson_r: { T2I: 1, T2V: 1, note: text }, T2I: pairs, T2V: pairs },
      },
    },
  };
}
