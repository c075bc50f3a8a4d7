// The contract between the wasm module (src/web) and the page. Types only: nothing here runs.

export type DeviceKind = 'webgpu' | 'cpu';
export type Feature = 'last' | 'penultimate' | 'norm_avg' | 'weighted' | `layer(${number})`;
export type Pooling = 'mean' | 'last_token' | 'adapter';
export type Settings = {
  feature: Feature;
  pooling: Pooling; // `adapter`: the one that `load_adapter` loaded last
  layer_weights: number[] | null; // w of `weighted`, before its softmax; null: the adapter file's own
  reference_precision: boolean; // round the adapter and the scores to bfloat16, as the reference does
};
export type Subset = {
  caption_types: string[]; // empty = all, likewise below
  question_types: string[];
  per_type: number | null;
  captions: number | null;
  seed: number;
};

export type LoadProgress = { stage: 'header' | 'check' | 'self_test' | 'tuning' | 'weights' | 'ready'; done: number; total: number }; // bytes; kernels; classes of shapes
/** The files from the web, before they are read and while they are downloaded. */
export type DownloadProgress = {
  stage: 'plan' | 'download';
  done: number; // bytes that are here
  total: number;
  resumed: number; // bytes that were here before
  speed: number; // bytes a second
  room: number | null; // bytes that the browser still grants for storing; null: it does not tell
  storing: boolean;
  trouble: string; // what the download waits for; '' while bytes come
  note: string; // where it is kept, or what is not stored, and why
};
export type EvaluateProgress = {
  stage: 'evaluate';
  done: number; // tokens
  total: number;
  texts: number;
  total_texts: number;
  items: number;
  correct: number;
  restored: number; // texts whose vectors came from the store, and were not encoded
};
export type StudyProgress = Omit<EvaluateProgress, 'stage' | 'correct' | 'restored'> & { stage: 'study' };
/** Figures measured or left out; tokens: 0 where the last one has none. */
export type BenchProgress = { stage: 'bench'; done: number; total: number; name: string; tokens: number };
type OnProgress<P> = (progress: P) => boolean | Promise<boolean>; // false ends the call

export type DeviceInfo = {
  kind: DeviceKind;
  adapter: string;
  software: boolean;
  max_buffer_bytes: number | null;
};
export type ModelCard = {
  name: string;
  family: string;
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim: number;
  vocab_size: number;
  max_length: number;
  parameters: number;
  file_bytes: number;
  device_bytes: number;
  device_memory: { in_use: number; reserved: number } | null; // as the runtime counts it after the load; null: it does not
  streamed: boolean; // layers stay in the file and are brought to the device for each batch
  quantize: Quantize | null; // how dense weights were packed
  arithmetic: Arithmetic; // of products with packed weights
  tensor_types: Record<string, number>; // type -> tensors
  sha256: string;
  files: { file: string; sha256: string }[]; // of each weight file
  load_ms: number;
  tiles: string | null; // the kernels that were chosen for the adapter, to be remembered; null: there is no choice
};
export type Quantize = 'q8' | 'q4';
export type Arithmetic = 'f32' | 'f16' | 'int8';
/** How a model is to be held. */
export type LoadOptions = {
  quantize: Quantize | null; // of dense weights (F32, F16, BF16); null: kept as f32
  arithmetic: Arithmetic; // of products with packed weights; f16 rounds them and the activations to 11 bits and needs `shader-f16`, int8 the activations to 8
  budget_mb: number | null; // device memory it may take; null: as much as there is
  streamed: boolean; // layer by layer, even where the whole model is within the budget
  out_of_memory: boolean; // the device has just been too small: batches are no larger than a whole model's
};
/** What a model will take, told from its header; bytes. */
export type ModelPlan = {
  streamed: boolean; // how it will be held
  batch_tokens: number; // of a packed batch
  download_bytes: number;
  weight_bytes: number; // on the device
  activation_bytes: number; // on the device, of a batch
  whole_bytes: number; // device: weights and the largest batch
  streamed_bytes: number; // device: two layers and the largest batch
  host_bytes: number; // in the page
  largest_buffer_bytes: number;
  max_buffer_bytes: number | null; // what the device allows in one buffer; null: it sets no limit
  budget_bytes: number | null;
  refused: { code: string; message: string } | null; // why it can't be held at all
};
export type Embeddings = {
  dimension: number;
  vectors: Float32Array; // [B * E], rows of unit length
  similarity: Float32Array; // [B * B], cosines
  tokens: number[];
  truncated: boolean[];
  milliseconds: number;
};
export type Dataset = {
  file: string;
  sha256: string;
  captions: number;
  items: number;
  skipped: number;
  caption_types: Record<string, number>;
  question_types: Record<string, number>;
};
export type Count = { items: number; texts: number; id: string }; // id: the subset's, ten hexadecimal digits
export type Accuracy = {
  accuracy: number; // 0..1
  correct: number;
  total: number;
  interval: [number, number]; // Wilson, 95 %
  chance: number; // the mean of 1 / number of statements
};
/** One scored item, with the reference's keys. */
export type ItemResult = {
  index: number;
  caption_key: string;
  caption_type: string;
  question_type: string;
  caption: string; // '' in some imported reports, as are question and options
  question: string;
  options: string;
  statements: string[];
  correct_answer: string; // a letter
  predicted_answer: string;
  confidence_score: number;
  all_scores: number[]; // beside statements
  is_correct: boolean;
};
/** An item without scores. */
export type Item = Pick<ItemResult, 'caption_key' | 'caption_type' | 'question_type' | 'caption' | 'question' | 'statements' | 'correct_answer'>;
export type Report = {
  summary: {
    accuracy_statistics: {
      overall_accuracy: number; // 0..1
      total_correct: number;
      total_samples: number;
      overall: Accuracy; // the three above, with interval and chance
      caption_type_accuracy: Record<string, Accuracy>;
      question_type_accuracy: Record<string, Accuracy>;
      combined_accuracy: Record<string, Accuracy>;
    };
    average_confidence: number;
    ties: number;
    complete: boolean;
  };
  results: ItemResult[];
  provenance: Record<string, any> | null; // null in a report of the reference; else as in README.md, "Report"
};
/** Two runs on the items they share, item by item. */
export type Comparison = {
  note: string | null; // that the reports are of different data sets
  shared: number;
  only_first: number; // items that the other report lacks
  only_second: number;
  differing: number; // shared items whose statements are not the same in both
  groups: ComparisonGroup[]; // first all items, then by caption type, then by question type
  changed: (Pick<ItemResult, 'caption_key' | 'caption_type' | 'question_type' | 'caption'> & { winner: 'first' | 'second' })[];
};
export type ComparisonGroup = {
  group: 'all' | 'caption_type' | 'question_type';
  name: string; // '' for all
  total: number;
  first: Accuracy;
  second: Accuracy;
  first_only: number; // items right in the first report alone
  second_only: number;
  p: number; // McNemar's exact test, two-sided
};
/** The score of every layer and mix from one pass over a subset. */
export type LayerStudy = {
  pooling: 'mean' | 'last_token';
  features: { feature: Feature; accuracy: Accuracy; ties: number }[]; // layer(0) to layer(L), last, penultimate, norm_avg, weighted where weights were given
  num_hidden_layers: number; // L
  layer_weights: number[] | null; // as given
  items: { caption_type: string; question_type: string; options: number; correct: number }[]; // correct: an index
  /**
   * Products of the pooled, normalized layers, for mixing them anew: for each item 1 + 2 * options blocks [L * L], row-major:
   * caption . caption, then for each statement: statement . statement, caption . statement. null where it would take too much memory.
   */
  products: Float32Array | null;
  tokens: number; // encoded, each text once
  texts: number;
  milliseconds: number;
  subset: { id: string; definition: string };
  complete: boolean; // false: stopped early
  provenance: Record<string, any>; // as a report's
};
/** Products of the prompts' pooled, normalized layers: [B * L, B * L], row = prompt * L + layer. */
export type LayerProducts = { prompts: number; num_hidden_layers: number; products: Float32Array; tokens: number[]; milliseconds: number };
/** What the device can do, and what each part of the model makes of it. */
export type BenchReport = {
  provenance: { model: { name: string; tensor_types: Record<string, number>; [fact: string]: unknown }; device: { kind: 'gpu' | 'cpu'; adapter: string; software: boolean }; versions: Record<string, string> };
  budget_seconds: number;
  seconds: number;
  complete: boolean; // false: stopped before the end
  peak: { gflops: number | null; copy_gb_per_second: number | null };
  clock: Clock; // of kernels and the layer; the model is timed by the wall clock
  clock_reason: string; // why it is not the device's own
  read_back_ms: number; // taken off where a kernel is timed by the wall clock
  warm_up_ms: number | null; // the first pass, less a later one
  dispatches_per_layer: number | null;
  rows: BenchRow[];
  skipped: { tokens: number; name: string; reason: string }[];
};
/** Which clock a figure comes from: the device's timestamps, or time as it passes. */
export type Clock = 'device' | 'wall';
/** A part of a layer, `layer`, `model`, or `other`: what no part accounts for. */
export type BenchRow = {
  tokens: number;
  name: string;
  kernel: string;
  shape: string;
  calls: number; // in a pass through the model
  milliseconds: { median: number; min: number; max: number; first: number; samples: number; runs: number; clock: Clock }; // of one call
  gflop: number;
  gigabytes: number;
  gflops: number;
  gb_per_second: number;
  percent_of_peak: number | null;
  bound: 'compute' | 'memory' | null;
  share: number | null; // of the pass
  tokens_per_second: number | null;
  ms_per_token: number | null;
  ms_per_token_without_attention: number | null;
  bytes_per_token: number | null;
};
export type AdapterCard = {
  name: string;
  sha256: string;
  kind: 'attention' | 'mean_mlp' | 'layer_weights'; // layer_weights: a file with nothing else
  dimension: number | null; // E
  rope: boolean | null;
  parameters: number;
  layer_weights: number[] | null;
};
/** Where finished vectors are kept; keys are hexadecimal, a scope stands for one model, feature, pooling and device. */
export type VectorStore = {
  get(scope: string, keys: string[]): Promise<(Float32Array | null)[]>;
  put(scope: string, keys: string[], vectors: Float32Array[]): Promise<void>;
};

export type ModelFile = { url: string; sha256?: string } | File;
/** A file that the worker reads: from the browser's storage, or from the web. */
export type ByteSource = {
  name: string;
  size: number;
  sha256?: string; // of the whole file, where every byte that is read is known to be of it
  /** The bytes from `start` to `end`, all of them, good until the next read; rejects with an error whose name is a code and whose message is a sentence. */
  read(start: number, end: number): Promise<Uint8Array>;
};
/** The part of FileSystemSyncAccessHandle, which only workers know, that is used. */
export interface SyncHandle {
  read(bytes: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  getSize(): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}
/** A model file in the browser's storage. */
export type StoredModel = {
  id: string;
  name: string;
  url: string;
  size: number; // bytes of the whole file
  stored: number;
  complete: boolean;
  used: number; // the last load, ms since 1970
  sha256: string; // that it should have, else that it has; '' where neither is known
};

export interface Session {
  device(): DeviceInfo;
  /** Reads the header of a model, and drops the model before. */
  open_model(files: ByteSource[], options: LoadOptions): Promise<ModelPlan>;
  /** Loads the model that was opened last. */
  load(progress: OnProgress<LoadProgress>, tiles: string | null): Promise<ModelCard>;
  embed(texts: string[], settings: Settings): Promise<Embeddings>;
  open_dataset(name: string, bytes: Uint8Array): Dataset;
  count(subset: Subset): Count;
  /** Reads an adapter (.safetensors, .pt) or a JSON list of layer weights; needs a loaded model. */
  load_adapter(file: File): Promise<AdapterCard>;
  drop_adapter(): void;
  layer_products(texts: string[], pooling: 'mean' | 'last_token'): Promise<LayerProducts>;
  item(caption_key: string, question_type: string): Item;
  evaluate(subset: Subset, settings: Settings, progress: OnProgress<EvaluateProgress>, store: VectorStore | null): Promise<Report>;
  /** `tokens`: lengths of texts, in place of the usual ones. */
  bench(seconds: number, tokens: Uint32Array | undefined, progress: OnProgress<BenchProgress>): Promise<BenchReport>;
  study(subset: Subset, pooling: 'mean' | 'last_token', layer_weights: number[] | null, progress: OnProgress<StudyProgress>): Promise<LayerStudy>;
}

/** `pkg/gran_ted.js`, made by wasm-bindgen. */
export type Wasm = {
  default(options: { module_or_path: URL | string }): Promise<unknown>;
  memory_bytes(): number;
  /** A report of ours or of the reference, as JSON text; its summary is computed again. */
  import_report(name: string, bytes: Uint8Array): Report;
  compare_reports(first: Report, second: Report): Comparison;
  export_report(report: Report, format: 'csv' | 'jsonl'): string;
  Session: { open(device: DeviceKind, adapter: string, kernels: 'gpu' | 'software' | null): Promise<Session> }; // kernels: null: the adapter's own class
};

/** What the browser offers, looked up before anything is fetched. */
export type Probe = {
  secure: boolean;
  webgpu: boolean;
  adapter: { vendor: string; architecture: string; device: string; description: string; fallback: boolean } | null;
};

/** The worker's methods, as the page calls them: name -> parameters, result, progress. */
export type Methods = {
  probe: { params: {}; result: Probe; progress: never };
  open: { params: { device: DeviceKind; adapter: string; kernels: 'gpu' | 'software' | null }; result: DeviceInfo; progress: never };
  /** A download whose size is not `agreed` to, and is large, ends with the code `Agree` before it begins. */
  load: {
    params: { files: ModelFile[]; agreed: boolean; options: LoadOptions };
    result: { card: ModelCard; heap_bytes: number; note: string };
    progress: LoadProgress | DownloadProgress | { plan: ModelPlan };
  };
  /** What of a stored file is no longer what was downloaded: [start, end] of each piece. It is dropped. */
  verify: { params: { id: string }; result: [number, number][]; progress: LoadProgress };
  remove: { params: { id: string }; result: void; progress: never };
  embed: { params: { texts: string[]; settings: Settings }; result: Embeddings; progress: never };
  open_dataset: { params: { name: string; bytes: Uint8Array }; result: Dataset; progress: never };
  count: { params: { subset: Subset }; result: Count; progress: never };
  load_adapter: { params: { file: File }; result: AdapterCard; progress: never };
  drop_adapter: { params: {}; result: void; progress: never };
  layer_products: { params: { texts: string[]; pooling: 'mean' | 'last_token' }; result: LayerProducts; progress: never };
  item: { params: { caption_key: string; question_type: string }; result: Item; progress: never };
  evaluate: { params: { subset: Subset; settings: Settings }; result: Report; progress: EvaluateProgress };
  study: { params: { subset: Subset; pooling: 'mean' | 'last_token'; layer_weights: number[] | null }; result: LayerStudy; progress: StudyProgress };
  bench: { params: { seconds: number; tokens: number[] | null }; result: BenchReport; progress: BenchProgress };
  import_report: { params: { name: string; bytes: Uint8Array }; result: Report; progress: never };
  compare_reports: { params: { first: Report; second: Report }; result: Comparison; progress: never };
  export_report: { params: { report: Report; format: 'csv' | 'jsonl' }; result: string; progress: never };
};
