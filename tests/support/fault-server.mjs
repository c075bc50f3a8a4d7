// A host of one model file, with ranges, CORS and an ETag, that treats each request as a plan says: it cuts the
// connection, stalls, answers something else, sends short, long or altered bytes, or has another file. It records what
// it sent.
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';

/**
 * @typedef {object} Fault what happens to one request; an empty one sends the bytes as asked for
 * @property {number} [cut] the connection breaks after so many bytes
 * @property {number} [stall] nothing is sent after so many bytes
 * @property {number} [status]
 * @property {string} [retryAfter]
 * @property {number} [short] so many bytes at the end are silently left out
 * @property {number} [long] so many more bytes are sent
 * @property {number} [alter] a bit of the byte at this place of the answer is flipped
 * @property {number} [shift] the bytes are from so much further on
 * @property {Uint8Array} [swap] the host has this file from now on
 * @property {boolean} [bare] the answer is without CORS
 * @property {string} [mirror] the name of another host of the same file, whose ETag and date differ
 *
 * @typedef {object} Request
 * @property {string} method
 * @property {string} path
 * @property {number} start
 * @property {number} end
 * @property {number} sent the bytes of the body that were sent
 * @property {Fault} fault
 */

/**
 * @param {Uint8Array} file
 * @param {object} [options]
 * @param {(request: Request, at: number) => Fault | void} [options.plan] called for each request of the file; `at`
 *   counts them
 * @param {Record<string, Uint8Array | string>} [options.others] other files by path
 * @param {number} [options.pace] bytes per second, over all connections
 * @param {boolean} [options.expose] whether pages of other sites see Content-Range and ETag
 */
export async function faultServer(file, { plan = () => {}, others = {}, pace = Infinity, expose = true } = {}) {
  let current = file;
  let version = 1;
  const modified = new Date('2026-01-02T03:04:05Z');
  /** @type {Request[]} */
  const requests = [];
  const options = { plan, pace };
  let clock = 0; // ms: the time when the line is free again

  const server = createServer(async (incoming, response) => {
    const { pathname } = new URL(incoming.url ?? '/', 'http://host');
    const cors = {
      'access-control-allow-origin': '*',
      'access-control-allow-headers': 'range',
      ...(expose ? { 'access-control-expose-headers': 'content-range, etag' } : {}),
    };
    if (incoming.method === 'OPTIONS') return void response.writeHead(204, cors).end();
    const other = Object.hasOwn(others, pathname) ? others[pathname] : null;
    const content = other === null ? current : Buffer.from(other);
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(incoming.headers.range ?? '') ?? [];
    const start = Number(from ?? 0);
    const end = Math.min(Number(to ?? content.length - 1) + 1, content.length);
    /** @type {Request} */
    const request = { method: incoming.method ?? '', path: pathname, start, end, sent: 0, fault: {} };
    requests.push(request);
    if (!/\.(gguf|safetensors)$/.test(pathname) && other === null) return void response.writeHead(404, cors).end();
    const fault = (request.fault =
      (other === null || pathname.endsWith('.safetensors') ? options.plan(request, requests.length - 1) : null) ?? {});
    if (fault.swap) {
      current = fault.swap;
      version++;
      modified.setSeconds(modified.getSeconds() + 1);
    }
    const bytes = Buffer.from(
      (other === null ? current : content).subarray(
        start + (fault.shift ?? 0),
        end + (fault.shift ?? 0) + (fault.long ?? 0),
      ),
    );
    if (fault.alter !== undefined && bytes.length) bytes[fault.alter % bytes.length] ^= 4;
    const body = bytes.subarray(0, bytes.length - (fault.short ?? 0));
    const status = fault.status ?? (from === undefined ? 200 : start >= content.length ? 416 : 206);
    const own = other === null || pathname.endsWith('.safetensors');
    const tag = own ? version : createHash('sha256').update(other).digest('hex');
    response.writeHead(status, {
      ...(fault.bare ? {} : cors),
      etag: `"${fault.mirror ?? ''}version-${tag}"`,
      'last-modified': (fault.mirror ? new Date(0) : modified).toUTCString(),
      'accept-ranges': 'bytes',
      ...(fault.retryAfter === undefined ? {} : { 'retry-after': fault.retryAfter }),
      ...(status === 206
        ? { 'content-range': `bytes ${start}-${end - 1}/${(other === null ? current : content).length}` }
        : {}),
      ...(fault.short || fault.long || fault.cut !== undefined || fault.stall !== undefined
        ? {}
        : { 'content-length': status < 300 ? body.length : 0 }),
    });
    if (incoming.method === 'HEAD' || status >= 300) return void response.end();
    for (let at = 0; at < body.length;) {
      const stop = Math.min(at + 65536, body.length, fault.cut ?? Infinity, fault.stall ?? Infinity);
      if (stop > at) {
        await turn(stop - at);
        if (response.destroyed) return;
        response.write(body.subarray(at, stop));
        request.sent = at = stop;
      }
      if (at === fault.stall) return;
      if (at === fault.cut) {
        await new Promise((resolve) => setTimeout(resolve, 10)); // so that what was written leaves first
        return void incoming.socket.destroy();
      }
    }
    response.end();
  });

  /** Waits until the line is free for so many bytes. @param {number} bytes */
  async function turn(bytes) {
    if (options.pace === Infinity) return;
    const now = performance.now();
    clock = Math.max(clock, now) + (1000 * bytes) / options.pace;
    await new Promise((resolve) => setTimeout(resolve, clock - now));
  }

  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}/`,
    requests,
    options,
    /** The number of chunks that were requested again after an answer had brought their end. @param {number} chunk */
    repeated(chunk) {
      const [ended, again] = [new Set(), new Set()];
      for (const { start, end, sent, path, fault } of requests) {
        if (end - start <= 16 || Object.hasOwn(others, path)) continue;
        const index = Math.floor(start / chunk);
        if (ended.has(index)) again.add(index);
        const whole = sent === end - start && fault.cut === undefined && fault.stall === undefined;
        if (whole && end === Math.min((index + 1) * chunk, current.length)) ended.add(index);
      }
      return again.size;
    },
    get sent() {
      return requests.reduce((sum, request) => sum + request.sent, 0);
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
