// The functions of the wasm module (src/web), as the worker calls them. Each may reject with an error whose name is a
// code and whose message is a sentence.
import type { ByteSource, VectorStore } from './storage';
import type {
  AdapterCard,
  BenchProgress,
  BenchReport,
  Comparison,
  Count,
  Dataset,
  DeviceInfo,
  DeviceKind,
  Embeddings,
  EvaluateProgress,
  Item,
  LayerProducts,
  LayerStudy,
  LoadOptions,
  LoadProgress,
  ModelCard,
  ModelPlan,
  Report,
  Settings,
  StudyProgress,
  Subset,
} from './wasm';

/** Told of each step; false ends the call. */
type OnProgress<P> = (progress: P) => boolean | Promise<boolean>;

/** `pkg/gran_ted.js`, made by wasm-bindgen. */
export interface Wasm {
  default(options: { module_or_path: URL | string }): Promise<unknown>;
  memory_bytes(): number;
  /** Reads a report of ours or of the reference, as JSON text; its summary is computed again. */
  import_report(name: string, bytes: Uint8Array): Report;
  compare_reports(first: Report, second: Report): Comparison;
  export_report(report: Report, format: 'csv' | 'jsonl'): string;
  Session: {
    /** kernels: of another class than the adapter's; null: the adapter's own. */
    open(device: DeviceKind, adapter: string, kernels: 'gpu' | 'software' | null): Promise<Session>;
  };
}

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
  evaluate(
    subset: Subset,
    settings: Settings,
    progress: OnProgress<EvaluateProgress>,
    store: VectorStore | null,
  ): Promise<Report>;
  /** tokens: lengths of texts, in place of the usual ones. */
  bench(seconds: number, tokens: Uint32Array | undefined, progress: OnProgress<BenchProgress>): Promise<BenchReport>;
  study(
    subset: Subset,
    pooling: 'mean' | 'last_token',
    layer_weights: number[] | null,
    progress: OnProgress<StudyProgress>,
  ): Promise<LayerStudy>;
}
