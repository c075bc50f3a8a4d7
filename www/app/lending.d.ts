// The contract between the app and its parts: what app.js lends to each of them, written once.
import type { Section, State } from '../state/state';
import type { Methods } from '../types/worker';

/** A call of a method of the worker. */
export type Call = <M extends keyof Methods>(
  method: M,
  params: Methods[M]['params'],
  options?: { progress?: (value: Methods[M]['progress']) => void; signal?: AbortSignal },
) => Promise<Methods[M]['result']>;

export interface Lending {
  state: State;
  /** The page's address. */
  base: string;
  /** Shows the state. */
  changed(): void;
  /** Runs one task; a second one is refused while it runs. */
  work(section: Section, work: (signal: AbortSignal) => Promise<void>): Promise<void>;
  /** Asks the running task to stop. */
  stop(): void;
  /** Ends the worker and starts a fresh one. */
  restart(): Promise<void>;
  /** Opens the encoder, unless it is open. */
  open(): Promise<void>;
  /** Calls a method that needs no encoder. */
  ask: Call;
  /** Calls a method, with the encoder opened before where it is not open yet. */
  call: Call;
  /** Calls a method that reports each of its steps: their pace decides how long a stop waits for the running step. */
  paced: Call;
  /** Loads the chosen model, unless it is loaded. */
  ensureModel(signal: AbortSignal): Promise<void>;
  /** Opens the chosen data set, unless it is open. */
  ensureDataset(): Promise<void>;
}
