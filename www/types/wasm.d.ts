// The data that the wasm module (src/web) takes and gives, as plain declarations: a test of the Rust side reads them.
// Its functions are in session.d.ts. Sizes are in bytes and times in milliseconds unless a field says otherwise.

export type DeviceKind = 'webgpu' | 'cpu';
export type Feature = 'last' | 'last_prenorm' | 'penultimate' | 'norm_avg' | 'weighted' | `layer(${number})`;
export type Pooling = 'mean' | 'last_token' | 'adapter';
export type Quantize = 'q8' | 'q4';
export type Arithmetic = 'f32' | 'f16' | 'int8';
export type SpecialTokens = 'file' | 'none';

// --- what the page asks for ---

export interface Settings {
  feature: Feature;
  /** `adapter`: the one that `load_adapter` loaded last. */
  pooling: Pooling;
  /** w of `weighted`, before its softmax; null: the adapter file's own. */
  layer_weights: number[] | null;
  /** Whether the adapter and the scores are rounded to bfloat16, as the reference does. */
  reference_precision: boolean;
}

export interface Subset {
  /** Empty: all types. */
  caption_types: string[];
  /** Empty: all types. */
  question_types: string[];
  /** Items of each question type at most; null: all. */
  per_type: number | null;
  /** Captions at most; null: all. */
  captions: number | null;
  /** The seed of the draw. */
  seed: number;
}

/** How a model is to be held, and what it adds to texts. */
export interface LoadOptions {
  /** The type that weights of F32, F16, BF16 and fp8 are packed to; null: they are kept as they are. */
  quantize: Quantize | null;
  /**
   * What products with packed weights compute in. f16 rounds them and the activations to 11 bits and needs
   * `shader-f16`, int8 rounds the activations to 8.
   */
  arithmetic: Arithmetic;
  /** Whether the begin and end tokens that the tokenizer's file names are added to each text. */
  special_tokens: SpecialTokens;
  /** Device memory that the model may take, in MB; null: as much as there is. */
  budget_mb: number | null;
  /** Whether it is held layer by layer even where the whole model is within the budget. */
  streamed: boolean;
  /** Whether the device has just been too small: batches are no larger than a whole model's. */
  out_of_memory: boolean;
}

// --- progress ---

/** A load: `done` and `total` count kernels, then classes of shapes, then bytes. */
export interface LoadProgress {
  stage: 'self_test' | 'tuning' | 'weights';
  done: number;
  total: number;
  /** In `tuning`: whether the last class was measured, and not remembered. */
  measured?: boolean;
}

export interface EvaluateProgress {
  stage: 'evaluate';
  /** Tokens that are encoded. */
  done: number;
  /** Tokens to encode. */
  total: number;
  /** Texts that are done. */
  texts: number;
  total_texts: number;
  /** Items that are scored. */
  items: number;
  correct: number;
  /** Texts whose vectors came from the store and were not encoded. */
  restored: number;
  /** Kept vectors that have changed in their storage; their texts are encoded anew. */
  damaged: number;
}

export interface StudyProgress {
  stage: 'study';
  /** Tokens that are encoded. */
  done: number;
  /** Tokens to encode. */
  total: number;
  /** Texts that are done. */
  texts: number;
  total_texts: number;
  /** Items that are done. */
  items: number;
}

export interface BenchProgress {
  stage: 'bench';
  /** Figures that were measured or skipped. */
  done: number;
  total: number;
  /** The name of the last figure. */
  name: string;
  /** The length of the last figure's text in tokens; 0 where it has none. */
  tokens: number;
}

// --- device and model ---

export interface DeviceInfo {
  kind: DeviceKind;
  adapter: string;
  /** Whether the adapter is software. */
  software: boolean;
  /** The largest buffer that the device allows; null: it sets no limit. */
  max_buffer_bytes: number | null;
}

/** What a model will take, told from its header. */
export interface ModelPlan {
  /** Whether it will be held layer by layer. */
  streamed: boolean;
  /** Tokens of a packed batch. */
  batch_tokens: number;
  download_bytes: number;
  /** Weights, on the device. */
  weight_bytes: number;
  /** Activations of a batch, on the device. */
  activation_bytes: number;
  /** Weights and the largest batch, on the device. */
  whole_bytes: number;
  /** Two layers and the largest batch, on the device. */
  streamed_bytes: number;
  /** Memory of the page. */
  host_bytes: number;
  largest_buffer_bytes: number;
  /** The largest buffer that the device allows; null: it sets no limit. */
  max_buffer_bytes: number | null;
  budget_bytes: number | null;
  /** Why the model can't be held at all. */
  refused: Refusal | null;
}

export interface Refusal {
  /** The name of an error. */
  code: string;
  message: string;
}

/** A loaded model. */
export interface ModelCard {
  name: string;
  family: string;
  hidden_size: number;
  num_hidden_layers: number;
  num_attention_heads: number;
  num_key_value_heads: number;
  head_dim: number;
  vocab_size: number;
  /** Tokens of the longest text. */
  max_length: number;
  parameters: number;
  file_bytes: number;
  device_bytes: number;
  /** Device memory as the runtime counts it after the load; null: it does not. */
  device_memory: DeviceMemory | null;
  /** Whether layers stay in the file and are brought to the device for each batch. */
  streamed: boolean;
  /** The type that dense weights were packed to. */
  quantize: Quantize | null;
  /** What products with packed weights compute in. */
  arithmetic: Arithmetic;
  /** Type -> number of tensors. */
  tensor_types: Record<string, number>;
  /** The tokens that the tokenizer adds before each text. */
  begin_tokens: string[];
  /** The tokens that it adds after each text. */
  end_tokens: string[];
  /** Where no configuration came with the weights: what their tensors show the encoder to be. */
  recognized: string | null;
  /** Of such an encoder, what no tensor shows and was decided. */
  decided: string[];
  /** What a person should know before the vectors are used. */
  warnings: string[];
  /** Keys of the tokenizer's file that are not read. */
  tokenizer_not_read: string[];
  /** Keys of the configuration that nobody reads. */
  not_read: string[];
  /** The SHA-256 of the first weight file; '' where it is not known. */
  sha256: string;
  /** Each weight file. */
  files: WeightFile[];
  load_ms: number;
  /** The kernels that were chosen for the adapter, to be remembered; null: there is no choice. */
  tiles: string | null;
}

export interface DeviceMemory {
  in_use: number;
  reserved: number;
}

export interface WeightFile {
  file: string;
  sha256: string;
}

export interface AdapterCard {
  name: string;
  sha256: string;
  /** `layer_weights`: a file with nothing else. */
  kind: 'attention' | 'mean_mlp' | 'layer_weights';
  /** E. */
  dimension: number | null;
  /** Whether it has rotary positions. */
  rope: boolean | null;
  parameters: number;
  layer_weights: number[] | null;
}

// --- texts ---

export interface Embeddings {
  /** E. */
  dimension: number;
  /** [B * E], rows of unit length. */
  vectors: Float32Array;
  /** [B * B], cosines. */
  similarity: Float32Array;
  /** Tokens of each text. */
  tokens: number[];
  /** Parallel to `tokens`: whether the text was too long. */
  truncated: boolean[];
  milliseconds: number;
}

/** Products of the prompts' pooled, normalized layers. */
export interface LayerProducts {
  /** B. */
  prompts: number;
  /** L. */
  num_hidden_layers: number;
  /** [B * L, B * L], row = prompt * L + layer. */
  products: Float32Array;
  /** Tokens of each prompt. */
  tokens: number[];
  milliseconds: number;
}

// --- TED-6K ---

export interface Dataset {
  file: string;
  sha256: string;
  captions: number;
  items: number;
  /** Entries without a usable answer. */
  skipped: number;
  /** Type -> number of items. */
  caption_types: Record<string, number>;
  /** Type -> number of items. */
  question_types: Record<string, number>;
}

export interface Count {
  items: number;
  texts: number;
  /** The subset's id, ten hexadecimal digits. */
  id: string;
}

export interface Accuracy {
  /** 0 to 1. */
  accuracy: number;
  correct: number;
  total: number;
  /** Wilson's, 95 %. */
  interval: [number, number];
  /** The mean of 1 / number of statements. */
  chance: number;
}

/** An item without scores. */
export interface Item {
  caption_key: string;
  caption_type: string;
  question_type: string;
  caption: string;
  question: string;
  statements: string[];
  /** A letter. */
  correct_answer: string;
}

/** A scored item, with the reference's keys. */
export interface ItemResult {
  index: number;
  caption_key: string;
  caption_type: string;
  question_type: string;
  /** '' in some imported reports, as are question and options. */
  caption: string;
  question: string;
  options: string;
  statements: string[];
  /** A letter. */
  correct_answer: string;
  /** A letter. */
  predicted_answer: string;
  confidence_score: number;
  /** Parallel to `statements`. */
  all_scores: number[];
  is_correct: boolean;
}

export interface Report {
  summary: Summary;
  results: ItemResult[];
  /** Where the report came from: model, device, settings, subset, versions. null in a report of the reference. */
  provenance: Record<string, any> | null;
}

export interface Summary {
  accuracy_statistics: AccuracyStatistics;
  average_confidence: number;
  /** Items in which statements share the top score. */
  ties: number;
  /** Every item was scored, but for those of `left_out`. */
  complete: boolean;
  /** Items that the model can't score, as it has no token for one of their texts. */
  left_out?: LeftOut[];
}

export interface LeftOut {
  caption_key: string;
  question_type: string;
  reason: string;
}

export interface AccuracyStatistics {
  /** 0 to 1. */
  overall_accuracy: number;
  total_correct: number;
  total_samples: number;
  /** The three above, with interval and chance. */
  overall: Accuracy;
  caption_type_accuracy: Record<string, Accuracy>;
  question_type_accuracy: Record<string, Accuracy>;
  combined_accuracy: Record<string, Accuracy>;
}

/** Two runs on the items they share, item by item. */
export interface Comparison {
  /** Says that the reports are of different data sets. */
  note: string | null;
  shared: number;
  /** Items that the second report lacks. */
  only_first: number;
  /** Items that the first report lacks. */
  only_second: number;
  /** Shared items whose statements are not the same in both. */
  differing: number;
  /** First all items, then by caption type, then by question type. */
  groups: ComparisonGroup[];
  changed: ChangedItem[];
}

export interface ComparisonGroup {
  group: 'all' | 'caption_type' | 'question_type';
  /** '' for all. */
  name: string;
  total: number;
  first: Accuracy;
  second: Accuracy;
  /** Items that only the first report has right. */
  first_only: number;
  /** Items that only the second report has right. */
  second_only: number;
  /** McNemar's exact test, two-sided. */
  p: number;
}

/** An item that one report has right and the other wrong. */
export interface ChangedItem {
  caption_key: string;
  caption_type: string;
  question_type: string;
  caption: string;
  winner: 'first' | 'second';
}

/** The score of every layer and mix from one pass over a subset. */
export interface LayerStudy {
  pooling: 'mean' | 'last_token';
  /** layer(0) to layer(L), last, penultimate, norm_avg; weighted where weights were given. */
  features: FeatureScore[];
  /** L. */
  num_hidden_layers: number;
  /** As given. */
  layer_weights: number[] | null;
  items: StudyItem[];
  /** Items that the model can't score. */
  left_out?: LeftOut[];
  /**
   * Products of the pooled, normalized layers, to mix them anew: for each item 1 + 2 * options blocks [L * L],
   * row-major: caption . caption, then for each statement: statement . statement, caption . statement. null where it
   * would take too much memory.
   */
  products: Float32Array | null;
  /** Tokens that were encoded, each text once. */
  tokens: number;
  texts: number;
  milliseconds: number;
  subset: SubsetName;
  /** false: it was stopped before the end. */
  complete: boolean;
  /** As a report's. */
  provenance: Record<string, any>;
}

export interface FeatureScore {
  feature: Feature;
  accuracy: Accuracy;
  ties: number;
}

export interface StudyItem {
  caption_type: string;
  question_type: string;
  /** The number of statements. */
  options: number;
  /** The index of the right statement. */
  correct: number;
}

export interface SubsetName {
  id: string;
  definition: string;
}

// --- benchmark ---

/** Which clock a figure comes from: the device's timestamps, or time as it passes. */
export type Clock = 'device' | 'wall';

/** What the device can do, and what each part of the model makes of it. */
export interface BenchReport {
  provenance: BenchProvenance;
  budget_seconds: number;
  seconds: number;
  /** false: it was stopped before the end. */
  complete: boolean;
  peak: BenchPeak;
  /** The clock of kernels and the layer; the model is timed by the wall clock. */
  clock: Clock;
  /** Why the clock is not the device's own. */
  clock_reason: string;
  /** Subtracted where a kernel is timed by the wall clock. */
  read_back_ms: number;
  /** Extra time of the first pass, measured against a later one. */
  warm_up_ms: number | null;
  dispatches_per_layer: number | null;
  rows: BenchRow[];
  skipped: BenchSkipped[];
}

/** What an older version did not write may be absent. */
export interface BenchProvenance {
  /** The number of the format. */
  format?: number;
  model: BenchModel;
  device: BenchDevice;
  versions: Record<string, string>;
  build?: Build;
}

/** The build of the program. */
export interface Build {
  version: string;
  /** null: the sources were not in a repository. */
  commit: string | null;
  /** Whether the sources differed from those of the commit. */
  dirty: boolean;
  /** A digest of the sources, 16 hexadecimal digits. */
  source: string;
}

/** What an older version did not write may be absent. */
export interface BenchModel {
  name: string;
  family?: string;
  files?: WeightFile[];
  /** Type -> number of tensors. */
  tensor_types: Record<string, number>;
  num_hidden_layers?: number;
  hidden_size?: number;
  intermediate_size?: number;
  /** Tokens of the longest text. */
  max_length?: number;
  /** Digests of the configuration as it was read, and of the tokenizer. */
  config_sha256?: string;
  tokenizer_sha256?: string;
  /** The tokens that the tokenizer adds before and after each text. */
  begin_tokens?: string[];
  end_tokens?: string[];
  quantize?: Quantize | null;
  arithmetic?: Arithmetic;
  streamed?: boolean;
}

export interface BenchDevice {
  kind: 'gpu' | 'cpu';
  adapter: string;
  software: boolean;
}

export interface BenchPeak {
  gflops: number | null;
  copy_gb_per_second: number | null;
}

export interface BenchSkipped {
  tokens: number;
  name: string;
  reason: string;
}

export interface BenchRow {
  /** The length of the text. */
  tokens: number;
  /** A part of a layer, `layer`, `model`, or `other`: what no part accounts for. */
  name: string;
  kernel: string;
  shape: string;
  /** Calls in a pass through the model. */
  calls: number;
  /** Time of one call. */
  milliseconds: BenchTime;
  gflop: number;
  gigabytes: number;
  gflops: number;
  gb_per_second: number;
  percent_of_peak: number | null;
  bound: 'compute' | 'memory' | null;
  /** The share of the pass, 0 to 1. */
  share: number | null;
  tokens_per_second: number | null;
  ms_per_token: number | null;
  ms_per_token_without_attention: number | null;
  bytes_per_token: number | null;
}

export interface BenchTime {
  median: number;
  min: number;
  max: number;
  first: number;
  samples: number;
  runs: number;
  clock: Clock;
}
