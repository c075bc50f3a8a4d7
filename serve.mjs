// Static server for dist/: Range requests, ETags, MIME types, precompressed .br and .gz files (all by sirv).
// `./build.sh serve` runs it as a program; the browser tests import `serve`, also to mount dist/ under a sub-path.
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import sirv from 'sirv';

/** Serves `root` at `prefix` on 127.0.0.1, on the first free port from `port` on (0: any).
 * @param {{ root: string, port?: number, prefix?: string }} options
 * @returns {Promise<{ url: string, close: () => void }>}
 */
export async function serve({ root, port = 0, prefix = '/' }) {
  const send = sirv(root, {
    dev: true, // reads the folder at each request, so that a new build needs no restart
    etag: true,
    brotli: true,
    gzip: true,
    setHeaders(response, path) {
      // cached but always revalidated: a browser keeps the compiled code of a cached module
      response.setHeader('cache-control', 'no-cache');
      if (/\.(gguf|safetensors)$/.test(path)) response.setHeader('content-type', 'application/octet-stream');
    },
  });
  const server = createServer((request, response) => {
    const url = request.url ?? '/';
    if (!url.startsWith(prefix)) return void response.writeHead(404).end();
    request.url = url.slice(prefix.length - 1);
    send(request, response);
  });
  for (; ; port++) {
    const error = await new Promise((resolve) => {
      server.once('error', resolve).listen(port, '127.0.0.1', () => resolve(null));
    });
    if (!error) break;
    if (error.code !== 'EADDRINUSE') throw error;
  }
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${address.port}${prefix}`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({
    options: { port: { type: 'string', default: '8080' }, root: { type: 'string', default: 'dist' } },
  });
  const { url } = await serve({ root: values.root, port: Number(values.port) });
  console.log(url);
}
