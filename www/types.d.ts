// The contract between the wasm module (src/web) and the page. Types only: nothing here runs.

export type DeviceKind = 'webgpu' | 'cpu';
export type Feature = 'last' | 'penultimate' | 'norm_avg' | `layer(${number})`;
export type Pooling = 'mean' | 'last_token';
export type Settings = { feature: Feature; pooling: Pooling };
export type Subset = {
  caption_types: string[]; // empty = all, likewise below
  question_types: string[];
  per_type: number | null;
  captions: number | null;
  seed: number;
};

export type LoadProgress = { stage: 'header' | 'weights' | 'ready'; done: number; total: number }; // bytes
export type EvaluateProgress = {
  stage: 'evaluate';
  done: number; // tokens
  total: number;
  texts: number;
  total_texts: number;
  items: number;
  correct: number;
};
type OnProgress<P> = (progress: P) => boolean | Promise<boolean>; // false ends the call

export type DeviceInfo = {
  kind: DeviceKind;
  adapter: string;
  software: boolean;
  max_buffer_bytes: number | null;
  self_test_ms: number;
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
  tensor_types: Record<string, number>; // type -> tensors
  sha256: string;
  load_ms: number;
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
export type Count = { items: number; texts: number };
export type Accuracy = { accuracy: number; correct: number; total: number };
export type Report = {
  summary: {
    accuracy_statistics: {
      overall_accuracy: number; // 0..1
      total_correct: number;
      total_samples: number;
      caption_type_accuracy: Record<string, Accuracy>;
      question_type_accuracy: Record<string, Accuracy>;
      combined_accuracy: Record<string, Accuracy>;
    };
    average_confidence: number;
    ties: number;
    complete: boolean;
  };
  results: { caption_type: string; question_type: string; all_scores: number[]; is_correct: boolean }[];
  provenance: Record<string, unknown>;
};

export type ModelFile = { url: string } | File;

export interface Session {
  device(): DeviceInfo;
  load(files: ModelFile[], progress: OnProgress<LoadProgress>): Promise<ModelCard>;
  embed(texts: string[], settings: Settings): Promise<Embeddings>;
  open_dataset(name: string, bytes: Uint8Array): Dataset;
  count(subset: Subset): Count;
  evaluate(subset: Subset, settings: Settings, progress: OnProgress<EvaluateProgress>): Promise<Report>;
}

/** `pkg/gran_ted.js`, made by wasm-bindgen. */
export type Wasm = {
  default(options: { module_or_path: URL | string }): Promise<unknown>;
  memory_bytes(): number;
  Session: { open(device: DeviceKind): Promise<Session> };
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
  open: { params: { device: DeviceKind }; result: DeviceInfo; progress: never };
  load: { params: { files: ModelFile[] }; result: { card: ModelCard; heap_bytes: number }; progress: LoadProgress };
  embed: { params: { texts: string[]; settings: Settings }; result: Embeddings; progress: never };
  open_dataset: { params: { name: string; bytes: Uint8Array }; result: Dataset; progress: never };
  count: { params: { subset: Subset }; result: Count; progress: never };
  evaluate: { params: { subset: Subset; settings: Settings }; result: Report; progress: EvaluateProgress };
};
