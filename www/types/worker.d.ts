// The wire between page and worker: the worker's methods.
import type { CheckProgress, DownloadProgress, ModelFile } from './storage';
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

/** What the browser offers; looked up before anything is fetched. */
export interface Probe {
  /** Whether the page came by https:, or from this machine. */
  secure: boolean;
  webgpu: boolean;
  adapter: { vendor: string; architecture: string; device: string; description: string; fallback: boolean } | null;
}

/** The worker's methods, as the page calls them: name -> parameters, result, progress. */
export interface Methods {
  probe: { params: {}; result: Probe; progress: never };
  open: {
    params: { device: DeviceKind; adapter: string; kernels: 'gpu' | 'software' | null };
    result: DeviceInfo;
    progress: never;
  };
  /** A large download whose size is not `agreed` to ends with the code `Agree` before it begins. */
  load: {
    params: { files: ModelFile[]; agreed: boolean; options: LoadOptions };
    result: { card: ModelCard; heap_bytes: number; note: string };
    progress: CheckProgress | LoadProgress | DownloadProgress | { plan: ModelPlan };
  };
  /** Finds the pieces of a stored file that are no longer what was downloaded, [start, end] of each, and drops them. */
  verify: { params: { id: string }; result: [number, number][]; progress: CheckProgress };
  remove: { params: { id: string }; result: void; progress: never };
  embed: { params: { texts: string[]; settings: Settings }; result: Embeddings; progress: never };
  open_dataset: { params: { name: string; bytes: Uint8Array }; result: Dataset; progress: never };
  count: { params: { subset: Subset }; result: Count; progress: never };
  load_adapter: { params: { file: File }; result: AdapterCard; progress: never };
  drop_adapter: { params: {}; result: void; progress: never };
  layer_products: {
    params: { texts: string[]; pooling: 'mean' | 'last_token' };
    result: LayerProducts;
    progress: never;
  };
  item: { params: { caption_key: string; question_type: string }; result: Item; progress: never };
  evaluate: { params: { subset: Subset; settings: Settings }; result: Report; progress: EvaluateProgress };
  study: {
    params: { subset: Subset; pooling: 'mean' | 'last_token'; layer_weights: number[] | null };
    result: LayerStudy;
    progress: StudyProgress;
  };
  bench: { params: { seconds: number; tokens: number[] | null }; result: BenchReport; progress: BenchProgress };
  import_report: { params: { name: string; bytes: Uint8Array }; result: Report; progress: never };
  compare_reports: { params: { first: Report; second: Report }; result: Comparison; progress: never };
  export_report: { params: { report: Report; format: 'csv' | 'jsonl' }; result: string; progress: never };
}
