// The peak resident memory of this program's Chromium, by kind of process, as Linux counts it.
import { readdirSync, readFileSync } from 'node:fs';

/**
 * The largest VmHWM of each kind (renderer, gpu-process, browser, utility) among this process' descendants, in bytes.
 * @returns {Record<string, number>}
 */
export function peakMemory() {
  /** @type {Map<number, number[]>} */
  const children = new Map();
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) && read(`/proc/${name}/stat`);
    if (!stat) continue;
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
  }
  /** @type {Record<string, number>} */
  const peaks = {};
  const open = [...(children.get(process.pid) ?? [])];
  for (let pid = open.pop(); pid !== undefined; pid = open.pop()) {
    open.push(...(children.get(pid) ?? []));
    const kind = /--type=([\w-]+)/.exec(read(`/proc/${pid}/cmdline`))?.[1] ?? 'browser';
    const peak = /^VmHWM:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`));
    if (peak) peaks[kind] = Math.max(peaks[kind] ?? 0, 1024 * Number(peak[1]));
  }
  return peaks;
}

/** Reads a file; '' if the process ended meanwhile. @param {string} path */
function read(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
