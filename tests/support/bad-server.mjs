// A host of models with a common fault: /whole.gguf answers a range request with the whole file and status 200; other
// paths are 404.
import { createServer } from 'node:http';

/** @param {Buffer} file @returns {Promise<{ url: string, close: () => void }>} */
export async function badServer(file) {
  const server = createServer((request, response) => {
    const headers = { 'access-control-allow-origin': '*', 'access-control-allow-headers': 'range' };
    if (request.method === 'OPTIONS') response.writeHead(204, headers).end();
    else if (request.url === '/whole.gguf')
      response
        .writeHead(200, { ...headers, 'content-length': file.length })
        .end(request.method === 'HEAD' ? undefined : file);
    else response.writeHead(404, headers).end();
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}/`,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
