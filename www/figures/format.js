// Numbers as people read them.

/** 98362432 -> "98.4 MB". @param {number} bytes */
export function formatBytes(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let unit = 0;
  for (; bytes >= 999.5 && unit < units.length - 1; unit++) bytes /= 1000;
  return `${unit === 0 || bytes >= 99.95 ? Math.round(bytes) : bytes.toFixed(1)} ${units[unit]}`;
}

/** 134515008 -> "135 M". @param {number} count */
export function formatParameters(count) {
  return count >= 1e9 ? `${(count / 1e9).toFixed(2)} B` : `${Math.round(count / 1e6)} M`;
}

/** 12345 -> "12,345". @param {number} count */
export function formatCount(count) {
  return Math.round(count).toLocaleString('en-US');
}

/** 0.525 -> "52.5 %". @param {number} fraction */
export function formatPercent(fraction) {
  return `${(100 * fraction).toFixed(1)} %`;
}

/** [0.371, 0.674] -> "[37.1, 67.4]". @param {[number, number]} interval */
export function formatInterval([low, high]) {
  return `[${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
}

/** 0.1912 -> "0.191", 0.00001 -> "<0.001". @param {number} p */
export function formatP(p) {
  return p < 0.0005 ? '<0.001' : p.toFixed(3);
}

/** 340 -> "340 ms", 4200 -> "4.2 s", 75000 -> "1 min 15 s". @param {number} milliseconds */
export function formatDuration(milliseconds) {
  if (milliseconds < 999.5) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 59_950) return `${(milliseconds / 1000).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

/** Tokens per second, to three figures. @param {number} tokens @param {number} milliseconds */
export function formatSpeed(tokens, milliseconds) {
  const speed = (1000 * tokens) / milliseconds;
  return `${speed >= 100 ? formatCount(speed) : speed.toPrecision(3)} tokens/s`;
}

/** "3 prompts", "1 prompt". @param {number} count @param {string} noun */
export function plural(count, noun) {
  return `${formatCount(count)} ${noun}${count === 1 ? '' : 's'}`;
}
