// Texts of strangers (files, links, servers) on the page: each view draws a state in which every text is hostile. What
// is shown has no control characters and no marks of direction, and is bounded.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { drawn } from '../support/drawn.mjs';
import { HOSTILE, hostileState } from '../support/hostile.mjs';

const HIDDEN = /(?![\n\t])[\p{Cc}\p{Cs}\p{Bidi_Control}\u2028\u2029]/u;
const MOST = 40_000; // characters of a text that is shown

test('no text of a stranger hides, turns or floods what the page shows', () => {
  for (const hostile of [HOSTILE, `${HOSTILE}${'x'.repeat(1e6)}`]) {
    const texts = drawn(hostileState(hostile));
    const quoted = new Set(texts.filter(({ text }) => text.includes('\\u{202e}')).map(({ id }) => id));
    for (const id of ['ted-result', 'items-list', 'item', 'compare-reports', 'compare-result', 'model-facts'])
      assert.ok(quoted.has(id), `${id} shows none of it: ${[...quoted]}`);
    for (const { id, text } of texts) {
      assert.ok(!HIDDEN.test(text), `#${id}: ${JSON.stringify(text.slice(0, 200))}`);
      assert.ok(text.length <= MOST, `#${id}: ${text.length} characters`);
    }
  }
});
