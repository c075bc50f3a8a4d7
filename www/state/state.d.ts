// What the page knows, in one object. The parts of app/ change it, the views show it; initial.js makes the first one.
import type { Column, Leaderboard } from '../figures/published.js';
import type { Catalogue } from '../sources/catalogue.js';
import type { DatasetSource } from '../sources/dataset.js';
import type { ModelSource } from '../sources/model.js';
import type { CheckProgress, DownloadProgress, StoredModel } from '../types/storage';
import type {
  AdapterCard,
  Arithmetic,
  BenchProgress,
  BenchReport,
  Comparison,
  Count,
  Dataset,
  DeviceInfo,
  DeviceKind,
  Embeddings,
  EvaluateProgress,
  Feature,
  Item,
  LayerProducts,
  LayerStudy,
  LoadOptions,
  LoadProgress,
  ModelCard,
  ModelPlan,
  Pooling,
  Quantize,
  Report,
  Settings,
  SpecialTokens,
  StudyProgress,
  Subset,
} from '../types/wasm';
import type { Methods } from '../types/worker';
import type { Choice } from '../worker/device.js';

/** A section of the page: its work runs as one task, its error is shown in it. */
export type Section =
  | 'device'
  | 'model'
  | 'stored'
  | 'catalogue'
  | 'adapter'
  | 'prompts'
  | 'ted'
  | 'layers'
  | 'items'
  | 'compare'
  | 'leaderboard'
  | 'bench'
  | 'share';

export interface State {
  /** The fragment of the page's address. */
  fragment: string;
  /** null while the browser is being asked. */
  choice: Choice | null;
  /** The device that is asked for; null: automatic. */
  wanted: DeviceKind | null;
  /** Whether the address chose the device; that choice is not kept. */
  forced: boolean;
  /** Known once the session is open. */
  device: DeviceInfo | null;
  /** The text of a panic; '' while there was none. */
  panic: string;
  /** The section whose work runs now; one at a time. */
  task: Section | null;
  errors: Record<Section, string>;
  model: ModelState;
  stored: Stored;
  catalogue: Catalogue | null;
  adapter: Adapter;
  prompts: string[];
  /** What to look for in an example's prompts. */
  hint: string;
  /** Whether a prompt without text was refused. */
  emptyPrompt: boolean;
  settings: Settings;
  comparison: PromptComparison | null;
  datasetSource: DatasetSource | null;
  /** The data set as the worker has it open. */
  dataset: Dataset | null;
  /** The subset with the types that are ticked. */
  subset: Subset;
  count: Count | null;
  run: Run | null;
  outcome: Outcome | null;
  /** Set while a run goes on, too: a reload finds it. */
  unfinished: Unfinished | null;
  /** The outcome that a paused run has so far. */
  partial: Outcome | null;
  /** The layers of the compared prompts. */
  mixing: Mixing | null;
  weightsOpen: boolean;
  study: Study | null;
  /** before: tokens that were done before a pause. elapsed: ms. */
  studyRun: { progress: StudyProgress; before: number; elapsed: number } | null;
  /** The study that the worker holds, and goes on with. */
  studyPaused: { progress: StudyProgress; params: Methods['study']['params'] } | null;
  /** Why the page keeps nothing; '' while it does. */
  unkept: string;
  /** Why the worker keeps no vectors; '' while it does. */
  unstored: string;
  link: Link | null;
  sharing: { url: string; note: string } | null;
  /** Reports of files, and runs that were kept. */
  imported: NamedReport[];
  browse: Browse;
  item: OpenedItem | null;
  itemLink: { name: string; url: string; note: string } | null;
  /** Ids of the reports to compare. */
  pair: { first: string; second: string };
  compared: { first: NamedReport; second: NamedReport; comparison: Comparison } | null;
  bench: Bench;
  board: Board;
}

export interface ModelState {
  source: ModelSource;
  card: ModelCard | null;
  /** Bytes of the wasm memory after the load. */
  heap: number;
  loading: boolean;
  progress: LoadProgress | CheckProgress | null;
  /** The download, or until its size is agreed to, what it will be. */
  download: DownloadProgress | null;
  /** What the model takes; known once its header is read. */
  plan: ModelPlan | null;
  /** The options of the next load. */
  options: LoadOptions;
  /** What is not as it should be. */
  note: string;
  /** The names of files that were picked before a reload. */
  missing: string;
}

/** Where a model came from, how it was packed, how it computed and what it added to texts. */
export interface HeldSource {
  kind: ModelSource['kind'];
  name: string;
  quantize: Quantize | null;
  arithmetic: Arithmetic;
  special_tokens: SpecialTokens;
}

/** The models in this browser's storage. */
export interface Stored {
  models: StoredModel[];
  /** Bytes of this page's whole storage; null: the browser does not tell. */
  usage: number | null;
  quota: number | null;
  /** Whether the browser promises not to clear the storage by itself. */
  persisted: boolean;
  /** Why there is no storage; '' where there is one. */
  refused: string;
  checking: { id: string; progress: CheckProgress } | null;
  /** What verifying found, by id. */
  verdicts: Record<string, string>;
}

export interface Adapter {
  file: File | null;
  card: AdapterCard | null;
  /** The name of a file that was picked before a reload. */
  missing: string;
  note: string;
}

/** Prompts that were compared. */
export interface PromptComparison {
  texts: string[];
  settings: Settings;
  embeddings: Embeddings;
  /** The model's name. */
  model: string;
  /** Whether the sliders mixed it from the layers' products; it has no vectors then. */
  mixed: boolean;
}

/** The layers of prompts, multiplied with each other. */
export interface Mixing {
  texts: string[];
  products: LayerProducts;
  pooling: 'mean' | 'last_token';
}

/** A run that goes on. */
export interface Run {
  progress: EvaluateProgress;
  /** ms since it began. */
  elapsed: number;
  /** Where the encoding began, after what was restored: tokens and ms. */
  from: { done: number; elapsed: number };
}

/** A run that ended. */
export interface Outcome {
  report: Report;
  settings: Settings;
  /** Whether the data set was the page's own sample. */
  sample: boolean;
  /** The name of the data set's file. */
  file: string;
  /** The model's name. */
  model: string;
  source: HeldSource;
}

/** A run that was paused, or that a reload or a fault ended. */
export interface Unfinished {
  subset: Subset;
  settings: Settings;
  /** Texts that are done. */
  texts: number;
  total_texts: number;
  /** Items that are scored. */
  items: number;
  correct: number;
  data: { name: string; sample: boolean; sha256: string };
  /** card: its name in the model card. sha256: the one that its file should have. */
  model: HeldSource & { card: string; sha256?: string };
  /** The adapter, where the settings need it. */
  adapter: { name: string; sha256: string } | null;
  /** The device that encoded; on another one every text is encoded again. */
  device: DeviceKind;
}

export interface Study {
  result: LayerStudy;
  /** The model's name. */
  model: string;
  /** The name of the data set's file. */
  file: string;
  sample: boolean;
  /** The score under the weights of now. */
  mixed: { correct: number; total: number; ties: number } | null;
}

/** The link that the page was opened by. */
export interface Link {
  shared: SharedState;
  /** A sentence for each thing in it that was refused. */
  problems: string[];
  followed: boolean;
}

/** The part of the state that a link holds; null where it does not say. */
export interface SharedState {
  prompts: string[];
  feature: Feature | null;
  pooling: Pooling | null;
  weights: number[] | null;
  reference_precision: boolean;
  device: DeviceKind | null;
  /** The model's address. */
  model: string | null;
  /** The SHA-256 of the model's one file. */
  sha256: string | null;
  quantize: Quantize | null;
  arithmetic: Arithmetic;
  special_tokens: SpecialTokens;
  data: 'sample' | null;
  subset: Subset;
  subset_id: string | null;
  item: ItemId | null;
  result: Headline | null;
}

/** The score that a link tells. */
export interface Headline {
  correct: number;
  total: number;
  feature: Feature;
  pooling: Pooling;
}

export interface NamedReport {
  id: string;
  name: string;
  report: Report;
  /** Whether it is a report of the page's own sample. */
  sample: boolean;
}

export interface ItemId {
  caption_key: string;
  question_type: string;
}

/** The item that is shown at the head of its section. */
export interface OpenedItem extends ItemId {
  /** The item as the data set has it. */
  item: Item | null;
  /** Ids of the reports that it was opened from: other reports may have another item of that name. */
  from: string[];
  /** Whether a person or a link asked for it; a reload does not. */
  called: boolean;
}

/** Which items are listed. */
export interface Browse {
  /** The report's id. */
  report: string;
  caption_type: string;
  question_type: string;
  outcome: '' | 'right' | 'wrong' | 'tie';
  /** By the data set's order, or by margin. */
  sort: 'index' | 'lowest' | 'highest';
  page: number;
}

export interface Bench {
  /** The budget. */
  seconds: number;
  /** Lengths of texts; null: the usual ones. */
  tokens: number[] | null;
  progress: BenchProgress | null;
  report: BenchReport | null;
  /** Why a benchmark that the address asks for has not begun; '' where it has, or asks for none. */
  waiting: string;
}

/** The leaderboard. */
export interface Board {
  figures: Leaderboard | null;
  /** The column that the chart shows. */
  column: Column;
  /** The column that the table is sorted by. */
  key: Column | 'model' | 'kind';
  descending: boolean;
}
