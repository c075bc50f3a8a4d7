// dist/licenses.txt names everything that dist/ carries, each part with its license and a text of it.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compiledCrates, licenses, pageParts, textsOf, written } from '../../scripts/licenses.mjs';

const PART = { name: 'part', version: '1.0', license: 'MIT', authors: ['A. Person'], texts: ['The text.'] };

test('every crate of the wasm module, every package of the page and the model have a license and its text', () => {
  const document = licenses();
  const crates = compiledCrates();
  assert.ok(crates.length > 150, `${crates.length} crates`);
  assert.ok(
    ['burn-flex', 'wgpu', 'tokenizers', 'wasm-bindgen'].every((name) => crates.some((of) => of.startsWith(name + ' '))),
  );
  const names = [...crates, ...pageParts().map(({ name, version }) => `${name} ${version}`)];
  for (const name of [...names, 'SmolLM2-135M-Instruct (weights, by Hugging Face) Q4_1']) {
    const line = document.split('\n').find((line) => line.startsWith(name + ' | '));
    assert.match(line ?? '', /^.+ \| [(A-Za-z0-9].* \| (\[\d+\] ?)+/, name);
    for (const number of line?.match(/\[\d+\]/g) ?? []) assert.ok(document.includes(`\n--- ${number} ---\n`), number);
  }
});

test('what the page takes from its packages is what their bundles say they are', () => {
  const parts = new Map(pageParts().map((part) => [part.name, part.version]));
  /** @param {string} file */
  const banner = (file) => readFileSync('node_modules/' + file, 'utf8').slice(0, 200);
  assert.ok(banner('d3/dist/d3.min.js').includes(`d3js.org v${parts.get('d3')} `));
  assert.ok(banner('@observablehq/plot/dist/plot.umd.min.js').includes(`plot v${parts.get('@observablehq/plot')} `));
  const modules = readdirSync('node_modules').filter((name) => /^d3-/.test(name));
  assert.deepEqual(
    modules.filter((name) => !parts.has(name)),
    [],
  );
  assert.ok(parts.has('@picocss/pico') && parts.has('interval-tree-1d') && parts.has('delaunator'));
});

test('a part without a text gets the standard one of its license, and one without either is refused by name', () => {
  assert.deepEqual(textsOf(PART), ['The text.']);
  assert.match(textsOf({ ...PART, texts: [] })[0], /^MIT License\n\nCopyright \(c\) A. Person\n/);
  for (const license of ['Apache-2.0', 'MIT OR Apache-2.0', 'MIT/Apache-2.0', 'Zlib OR (Apache-2.0 OR MIT)']) {
    assert.match(textsOf({ ...PART, license, texts: [] })[0], /Apache License\s+Version 2.0/, license);
  }
  assert.throws(() => textsOf({ ...PART, license: 'BSD-3-Clause', texts: [] }), /part 1.0 brings no license text/);
  assert.throws(
    () => textsOf({ ...PART, license: 'MIT AND Apache-2.0', texts: [] }),
    /part 1.0 brings no license text/,
  );
  assert.throws(() => textsOf({ ...PART, license: '' }), /part 1.0 names no license/);
});

test('a text stands once, whatever its layout', () => {
  const document = written([['Parts', [PART, { ...PART, name: 'other', texts: ['  The\r\n  text.\n', 'More.'] }]]]);
  assert.ok(document.includes('part 1.0 | MIT | [1]\nother 1.0 | MIT | [1] [2]\n'));
  assert.equal(document.match(/The text\./g)?.length, 1);
});
