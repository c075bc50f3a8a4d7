// Writes what dist/ carries of other people: name, version, license expression and license texts of every crate that is
// compiled into the wasm module, of the page's JavaScript and style, and of the default model. Nothing is fetched: the
// texts are those that cargo and npm brought with the packages.
//
//   node scripts/licenses.mjs FILE
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {{ name: string, version: string, license: string, authors: string[], source?: string,
 *   texts: string[] }} Part
 */

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const TARGET = 'wasm32-unknown-unknown';
const LICENSE_FILE = /^(licen[sc]e|copying|copyright|notice|unlicense)([-._].*)?$/i;

/** What the page's packages name for their own command lines, and what is in no file of www/vendor. */
const NOT_IN_THE_PAGE = new Set(['commander', 'iconv-lite', 'rw', 'safer-buffer']);
/** Where www/vendor comes from (`npm run vendor`). */
const VENDORED = ['@picocss/pico', 'd3', '@observablehq/plot'];

const MODEL = {
    name: 'SmolLM2-135M-Instruct (weights, by Hugging Face)',
    version: 'Q4_1',
    license: 'Apache-2.0', // as `general.license` of the file and its model card say
    authors: ['Hugging Face'],
    texts: [],
};

/** @param {string[]} options */
function cargo(...options) {
    return execFileSync('cargo', options, { cwd: ROOT, encoding: 'utf8', maxBuffer: 1 << 28 });
}

/**
 * "name version" of every crate that is compiled into the module. `cargo tree` resolves features as a build does;
 * `cargo metadata` also names optional crates that no feature asks for.
 *
 * @returns {string[]}
 */
export function compiledCrates() {
    const options = ['--locked', '--target', TARGET, '--edges', 'normal,no-proc-macro', '--prefix', 'none'];
    const lines = cargo('tree', ...options, '--format', '{p}').split('\n');
    const names = lines.map((line) => /^(\S+) v(\S+)(?! \(proc-macro\))/.exec(line)).flatMap((found) => found ?? []);
    const crates = new Set();
    for (let at = 0; at < names.length; at += 3) crates.add(`${names[at + 1]} ${names[at + 2]}`);
    crates.delete(ownPackage());
    return [...crates].sort();
}

function ownPackage() {
    const manifest = readFileSync(join(ROOT, 'Cargo.toml'), 'utf8');
    return `${/^name = "(.*)"$/m.exec(manifest)?.[1]} ${/^version = "(.*)"$/m.exec(manifest)?.[1]}`;
}

/** @returns {Part[]} */
function crates() {
    const options = ['--locked', '--filter-platform', TARGET, '--format-version', '1'];
    /** @type {{ packages: { name: string, version: string, license: string | null, license_file: string | null,
     *   authors: string[], repository: string | null, manifest_path: string }[] }} */
    const { packages } = JSON.parse(cargo('metadata', ...options));
    const known = new Map(packages.map((found) => [`${found.name} ${found.version}`, found]));
    return compiledCrates().map((crate) => {
        const found = known.get(crate);
        if (!found) throw new Error(`${crate} is compiled, and cargo metadata does not know it`);
        const folder = dirname(found.manifest_path);
        const texts = licenseTexts(folder);
        if (found.license_file) texts.push(readFileSync(join(folder, found.license_file), 'utf8'));
        const { name, version, license, authors } = found;
        const source = found.repository ?? `https://crates.io/crates/${name}/${version}`;
        return { name, version, license: license ?? (texts.length > 0 ? 'see its text' : ''), authors, source, texts };
    });
}

/** The standard library is compiled into the module too. @returns {Part} */
function standardLibrary() {
    const version = execFileSync('rustc', ['--version'], { encoding: 'utf8' }).split(' ')[1];
    const authors = ['The Rust Project Developers'];
    return { name: 'the Rust standard library', version, license: 'MIT OR Apache-2.0', authors, texts: [] };
}

/**
 * The packages whose code or style is in www/vendor: those that are copied, and what their bundles hold.
 *
 * @returns {Part[]}
 */
export function pageParts() {
    /** @type {Map<string, Part>} */
    const parts = new Map();
    /** @param {string} name */
    const add = (name) => {
        if (parts.has(name) || NOT_IN_THE_PAGE.has(name)) return;
        const folder = join(ROOT, 'node_modules', name);
        /** @type {{ version: string, license?: string, author?: string | { name: string }, dependencies?: object }} */
        const found = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
        const { version, license = '', author, dependencies = {} } = found;
        const authors = author ? [typeof author === 'string' ? author : author.name] : [];
        parts.set(name, { name, version, license, authors, texts: licenseTexts(folder) });
        Object.keys(dependencies).forEach(add);
    };
    VENDORED.forEach(add);
    return [...parts.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** @param {string} folder */
function licenseTexts(folder) {
    const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => LICENSE_FILE.test(entry.name));
    return names
        .flatMap((entry) => {
            const path = join(folder, entry.name);
            return entry.isDirectory() ? readdirSync(path).map((name) => join(path, name)) : [path];
        })
        .sort()
        .map((path) => readFileSync(path, 'utf8'));
}

/**
 * The texts of a part: its own, or, where its package brings none, the standard text of a license that it names.
 *
 * @param {Part} part
 * @returns {string[]}
 */
export function textsOf({ name, version, license, authors, source, texts }) {
    if (!license) throw new Error(`${name} ${version} names no license`);
    if (texts.length > 0) return texts;
    const choices = license.replace(/[()]/g, '').split(/\s+OR\s+|\s*\/\s*/);
    if (choices.includes('Apache-2.0')) return [readFileSync(join(ROOT, 'LICENSE'), 'utf8')];
    if (choices.includes('MIT')) return [mit(authors.length > 0 ? authors.join(', ') : `the authors of ${name}`)];
    if (license === 'MPL-2.0' && source) return [mpl(name, source)];
    throw new Error(`${name} ${version} brings no license text, and there is no standard text here of ${license}`);
}

/**
 * The notice of the license's Exhibit A, and where the source is to be had.
 *
 * @param {string} name
 * @param {string} source
 */
const mpl = (
    name,
    source,
) => `This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0. If a copy of the MPL
was not distributed with this file, You can obtain one at https://mozilla.org/MPL/2.0/.

The source of ${name} is at ${source}.
`;

/** @param {string} authors */
const mit = (authors) => `MIT License

Copyright (c) ${authors}

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all
copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
SOFTWARE.
`;

/**
 * The document: a list of the parts, each with the numbers of its texts, and then every text once.
 *
 * @param {[string, Part[]][]} groups
 */
export function written(groups) {
    /** @type {Map<string, number>} */
    const numbers = new Map();
    /** @type {Map<string, string>} */
    const shown = new Map(); // a text without its layout, and as it is written
    /** @param {string} text */
    const numberOf = (text) => {
        const key = text.replace(/\s+/g, ' ').trim();
        if (!numbers.has(key)) numbers.set(key, numbers.size + 1);
        shown.set(key, shown.get(key) ?? text.replace(/\r\n?/g, '\n').trim());
        return `[${numbers.get(key)}]`;
    };
    const lists = groups.map(([title, parts]) => {
        const lines = parts.map((part) => {
            const texts = [...new Set(textsOf(part).map(numberOf))].join(' ');
            const standard = part.texts.length === 0 ? ' (its package brings no text: this is the standard one)' : '';
            return `${part.name} ${part.version} | ${part.license} | ${texts}${standard}\n`;
        });
        return `${title}\n\n${lines.join('')}`;
    });
    const texts = [...shown].map(([key, text]) => `--- [${numbers.get(key)}] ---\n\n${text}\n`);
    return [
        'Licenses of what gran-ted carries of other people. The numbers are those of the texts below.\n',
        ...lists,
        ...texts,
    ].join('\n');
}

/** The document of this checkout. */
export function licenses() {
    return written([
        ['The default model', [MODEL]],
        ['JavaScript and style of the page', pageParts()],
        ['Rust crates in the wasm module', [standardLibrary(), ...crates()]],
    ]);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    // The mark says UTF-8 where a host does not.
    writeFileSync(process.argv[2], '\ufeff' + licenses());
}
