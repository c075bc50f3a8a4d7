// The contracts of the browser's storage: with the wasm module, which reads files and keeps vectors through it, and
// with the page.

/** Where finished vectors are kept. Keys are hexadecimal; a scope stands for one model, feature, pooling and device. */
export interface VectorStore {
  get(scope: string, keys: string[]): Promise<(Float32Array | null)[]>;
  put(scope: string, keys: string[], vectors: Float32Array[]): Promise<void>;
}

/** A file of a model: at an address, with the SHA-256 that it should have, or picked. */
export type ModelFile = { url: string; sha256?: string } | File;

/** A file that the wasm module reads: from the browser's storage, or from the web. */
export interface ByteSource {
  name: string;
  size: number;
  /** The SHA-256 of the whole file, where every byte that is read is known to be of it. */
  sha256?: string;
  /**
   * Reads the bytes from `start` to `end`, all of them; they are good until the next read. Rejects with an error whose
   * name is a code and whose message is a sentence.
   */
  read(start: number, end: number): Promise<Uint8Array>;
}

/**
 * The part of FileSystemSyncAccessHandle, which only workers have, that is used.
 * @see https://developer.mozilla.org/docs/Web/API/FileSystemSyncAccessHandle
 */
export interface SyncHandle {
  read(bytes: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  getSize(): number;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

/** A model file in the browser's storage. */
export interface StoredModel {
  id: string;
  name: string;
  url: string;
  /** Bytes of the whole file. */
  size: number;
  /** Bytes that are stored. */
  stored: number;
  complete: boolean;
  /** The time of the last load, in ms since 1970. */
  used: number;
  /** The SHA-256 that it should have, else the one that it has; '' where neither is known. */
  sha256: string;
}

/** Stored bytes are read again and compared with what was downloaded. */
export interface CheckProgress {
  stage: 'check';
  done: number;
  total: number;
}

/** The files from the web, before they are read and while they are downloaded. */
export interface DownloadProgress {
  stage: 'plan' | 'download';
  /** Bytes that are here. */
  done: number;
  total: number;
  /** Bytes that were here before. */
  resumed: number;
  /** Bytes per second. */
  speed: number;
  /** Bytes that the browser still grants for storing; null: it does not tell. */
  room: number | null;
  storing: boolean;
  /** What the download waits for; '' while bytes come. */
  trouble: string;
  /** Where it is kept, or what is not stored and why. */
  note: string;
}
