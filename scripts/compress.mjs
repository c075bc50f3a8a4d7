// Compresses what a page is made of: a .br and a .gz beside each file of a folder that has none and shrinks by it.
//
//   node scripts/compress.mjs FOLDER
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

const folder = process.argv[2];
const brotli = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24 } };
const files = readdirSync(folder, { encoding: 'utf8', recursive: true })
    .map((name) => join(folder, name))
    .filter((path) => /\.(wasm|js|css|json|html|svg|txt)$/.test(path) && !existsSync(path + '.br'));
await Promise.all(
    files.map(async (path) => {
        const bytes = readFileSync(path);
        writeFileSync(path + '.gz', await promisify(gzip)(bytes, { level: 9 }));
        writeFileSync(path + '.br', await promisify(brotliCompress)(bytes, brotli));
    }),
);
