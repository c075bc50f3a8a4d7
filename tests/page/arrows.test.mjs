// The rooms of www/ import each other only along the arrows of docs/architecture.md.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { problemsOf, readArrows, readSources } from '../support/arrows.mjs';

/** A page of two rooms. */
const FILES = {
  'main.js': `import { view } from './views/view.js';`,
  'views/view.js': `/** @import { Fact } from '../types/wasm' */\nimport { fact } from './fact.js';`,
  'views/fact.js': '',
  'types/wasm.d.ts': '',
};
const ARROWS = '```arrows www\nmain.js -> views\nviews -> types\n```\n';

/** @param {Record<string, string>} changed @param {string} [document] */
const problems = (changed, document = ARROWS) =>
  problemsOf(new Map(Object.entries({ ...FILES, ...changed })), readArrows(document, 'www'));

test('every import of the page is along an arrow, every arrow is needed, and there is no circle', async () => {
  const arrows = readArrows(await readFile('docs/architecture.md', 'utf8'), 'www');
  const files = readSources('www');
  assert.ok(files.size > 80, `${files.size} files`);
  assert.deepEqual(problemsOf(files, arrows), []);
});

test('an import without an arrow is reported, whichever way it is written', () => {
  assert.deepEqual(problems({}), []);
  for (const text of [
    `import { view } from '../views/view.js';`,
    `import {\n  view,\n} from '../views/view.js';`,
    `import '../views/view.js';`,
    `export { view } from '../views/view.js';`,
    `const view = await import('../views/view.js');`,
    `/** @import { View } from '../views/view.js' */`,
    `/** @type {import('../views/view.js').View} */`,
    `const path = new URL('../views/view.js', import.meta.url);`,
    `new Worker(new URL('../views/view.js', import.meta.url));`,
    `new Worker('../views/view.js');`,
  ]) {
    assert.deepEqual(
      problems({ 'types/wasm.d.ts': '', 'types/odd.js': text }),
      ['types/odd.js imports views/view.js: there is no arrow types -> views.'],
      text,
    );
  }
});

test('files that import each other in a circle are reported, within a room and by types too', () => {
  const found = problems({ 'views/fact.js': `/** @import { View } from './view.js' */` });
  assert.deepEqual(found, [
    'These files import each other in a circle: views/view.js -> views/fact.js -> views/view.js.',
  ]);
});

test('a circle of arrows, an arrow to no room, one that nothing needs and a file that is not there are reported', () => {
  const circle = '```arrows www\nmain.js -> views\nviews -> types\ntypes -> views\n```\n';
  assert.deepEqual(problems({ 'types/odd.js': `import '../views/fact.js';` }, circle), [
    'The arrows form a circle: views -> types -> views.',
  ]);
  const absent = '```arrows www\nmain.js -> views, attic\nviews -> types\n```\n';
  assert.deepEqual(problems({}, absent), ['There is no room attic.', 'No import needs the arrow main.js -> attic.']);
  assert.deepEqual(problems({ 'main.js': '' }), ['No import needs the arrow main.js -> views.']);
  assert.deepEqual(problems({ 'views/fact.js': `import './gone.js';` }), [
    'views/fact.js imports views/gone.js, which is not there.',
  ]);
});

test('a document without the block, with two of them or with a line that is no arrow is refused', () => {
  for (const document of [
    '',
    ARROWS + ARROWS,
    '```arrows www\nviews\n```\n',
    '```arrows www\nviews -> types\nviews -> ui\n```\n',
  ])
    assert.throws(() => readArrows(document, 'www'));
});
