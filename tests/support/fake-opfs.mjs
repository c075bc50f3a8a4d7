// The browser's private file system (OPFS) in memory, as far as www/storage/vault.js uses it: exclusive and shared
// handles, a quota, and crashes. After `killAt` operations everything throws, and what was not flushed is lost or
// torn, by a seed.
import { random } from './random.mjs';

/**
 * @typedef {object} Disk
 * @property {Uint8Array} durable the bytes that a crash surely leaves
 * @property {Uint8Array} now
 * @property {number} locks
 * @property {boolean} exclusive
 */

/** @typedef {'shared' | 'exclusive'} Locks as Chromium has them, or WebKit, whose handles are all exclusive */

/** @type {Record<Locks, string>} the name of the fault where a lock is taken */
const TAKEN = { shared: 'NoModificationAllowedError', exclusive: 'InvalidStateError' };

/** @type {Locks} */
let locks = 'shared';

/** Chooses the locks of all file systems from now on. @param {Locks} kind */
export function lockAs(kind) {
  locks = kind;
}

/**
 * @param {Map<string, Disk>} [disks] two file systems with the same map are two tabs, or one tab before and after a
 *   crash
 */
export function fakeOpfs(disks = new Map()) {
  const fake = {
    disks,
    quota: Infinity,
    operations: 0,
    killAt: Infinity,
    /**
     * The disk after a power failure: of each file what was flushed, and perhaps a part of what came after.
     * @param {number} seed
     */
    crash(seed) {
      const next = random(seed);
      const after = new Map();
      for (const [name, { durable, now }] of disks) {
        const size =
          next() < 0.5
            ? durable.length
            : durable.length + Math.floor(next() * Math.max(0, now.length - durable.length + 1));
        const left = new Uint8Array(size);
        left.set(durable.subarray(0, size));
        for (let at = 0; at < size; at += 512) {
          if (next() < 0.5) left.set(now.subarray(at, Math.min(at + 512, size, now.length)), at);
        }
        after.set(name, { durable: left, now: left.slice(), locks: 0, exclusive: false });
      }
      return fakeOpfs(after);
    },
    directory: /** @type {FileSystemDirectoryHandle} */ (
      /** @type {unknown} */ ({
        async getFileHandle(/** @type {string} */ name, { create = false } = {}) {
          step();
          if (!disks.has(name)) {
            if (!create) throw fault('NotFoundError');
            disks.set(name, { durable: new Uint8Array(), now: new Uint8Array(), locks: 0, exclusive: false });
          }
          const disk = /** @type {Disk} */ (disks.get(name));
          return {
            getFile: async () => new File([/** @type {any} */ (disk.now.slice())], name),
            createSyncAccessHandle: async ({ mode = 'readwrite' } = {}) => open(disk, mode === 'read-only'),
          };
        },
        async removeEntry(/** @type {string} */ name) {
          step();
          if (!disks.has(name)) throw fault('NotFoundError');
          if (disks.get(name)?.locks) throw fault(TAKEN[locks]);
          disks.delete(name);
        },
        async *keys() {
          yield* [...disks.keys()];
        },
      })
    ),
  };

  function step() {
    if (++fake.operations > fake.killAt) throw fault('Killed');
  }

  /** @param {Disk} disk @param {boolean} reads whether it asks for a handle that only reads */
  function open(disk, reads) {
    step();
    const shared = reads && locks === 'shared';
    if (disk.locks && (disk.exclusive || !shared)) throw fault(TAKEN[locks]);
    disk.locks++;
    disk.exclusive = !shared;
    let closed = false;
    const check = () => {
      if (closed) throw fault('InvalidStateError');
      step();
    };
    return {
      read(/** @type {Uint8Array} */ bytes, /** @type {{ at: number }} */ { at }) {
        check();
        const part = disk.now.subarray(at, at + bytes.length);
        bytes.set(part);
        return part.length;
      },
      write(/** @type {Uint8Array} */ bytes, /** @type {{ at: number }} */ { at }) {
        check();
        const size = Math.max(disk.now.length, at + bytes.length);
        const total = [...disks.values()].reduce((sum, { now }) => sum + now.length, 0);
        if (total - disk.now.length + size > fake.quota) throw fault('QuotaExceededError');
        disk.now = resized(disk.now, size);
        disk.now.set(bytes, at);
        return bytes.length;
      },
      getSize: () => (check(), disk.now.length),
      truncate(/** @type {number} */ size) {
        check();
        disk.now = resized(disk.now, size);
        // a crash may also leave the longer file; that is as bad, and the journal does not mention it
        disk.durable = resized(disk.durable, Math.min(size, disk.durable.length));
      },
      flush() {
        check();
        disk.durable = disk.now.slice();
      },
      close() {
        if (!closed) disk.locks--;
        closed = true;
      },
    };
  }
  return fake;
}

/** @param {Uint8Array} bytes @param {number} size */
function resized(bytes, size) {
  const other = new Uint8Array(size);
  other.set(bytes.subarray(0, size));
  return other;
}

/** @param {string} name */
function fault(name) {
  return Object.assign(new Error(name), { name });
}
