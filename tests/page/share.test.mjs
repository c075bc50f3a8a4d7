// Share links: what goes in comes out, and nothing else gets in.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeState, emptyState, encodeState } from '../../www/link/codec.js';

/** @param {string} fragment a link with one mistake */
function problemOf(fragment) {
  const { state, problems } = decodeState(fragment);
  assert.equal(problems.length, 1, problems.join('\n'));
  return { state, problem: problems[0] };
}

test('a state survives the link', () => {
  /** @type {import('../../www/state/state').SharedState} */
  const state = {
    prompts: ['a red cube & a "blue" ball = 1 + 1', '<b>größer</b>\n你好 🎲', '#v=2'],
    feature: 'layer(15)',
    pooling: 'last_token',
    weights: null,
    reference_precision: true,
    device: 'webgpu',
    model: 'https://example.org/a.gguf?x=1&y=2',
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    quantize: 'q4',
    arithmetic: 'int8',
    special_tokens: 'none',
    data: 'sample',
    subset: {
      caption_types: ['image'],
      question_types: ['OCR', 'Spatial Relationship'],
      per_type: 2,
      captions: 5,
      seed: 7,
    },
    subset_id: '8f1b2c3d4e',
    item: { caption_key: 'видео_1 | a&b=c', question_type: 'Spatial Relationship' },
    result: { correct: 21, total: 40, feature: 'norm_avg', pooling: 'mean' },
  };
  const fragment = encodeState(state);
  assert.match(fragment, /^[\w.~*+%&=-]+$/);
  assert.deepEqual(decodeState(`#${fragment}`), { state, problems: [] });
  assert.deepEqual(decodeState(encodeState(emptyState())), { state: emptyState(), problems: [] });
});

test('each arithmetic is taken by both ends of a link, and no other', () => {
  for (const arithmetic of /** @type {const} */ (['f32', 'f16', 'int8'])) {
    const { state, problems } = decodeState(encodeState({ ...emptyState(), arithmetic }));
    assert.deepEqual([state.arithmetic, problems], [arithmetic, []]);
  }
  const { state, problems } = decodeState('v=1&arithmetic=int4');
  assert.equal(state.arithmetic, 'f32');
  assert.match(problems.join(), /int4.*f32, f16, int8/);
});

test('each choice of special tokens is taken by both ends of a link, and no other', () => {
  for (const special_tokens of /** @type {const} */ (['file', 'none'])) {
    const { state, problems } = decodeState(encodeState({ ...emptyState(), special_tokens }));
    assert.deepEqual([state.special_tokens, problems], [special_tokens, []]);
  }
  const { state, problems } = decodeState('v=1&special_tokens=both');
  assert.equal(state.special_tokens, 'file');
  assert.match(problems.join(), /special_tokens "both" .*file, none/);
});

test('the key of an item is taken by both ends of a link or by neither', () => {
  const linked = (/** @type {string} */ caption_key) =>
    encodeState({ ...emptyState(), item: { caption_key, question_type: 'OCR' } });
  for (const key of ['x'.repeat(121), 'x'.repeat(1000), 'a|b|c'])
    assert.equal(decodeState(linked(key)).state.item?.caption_key, key);
  for (const key of ['x'.repeat(1001), 'a\nb', '']) assert.throws(() => linked(key), /at most 1000/);
  assert.equal(decodeState(`v=1&item=${'x'.repeat(900)}|OCR${'x'.repeat(200)}|OCR`).state.item, null);
});

test('no fragment is no state and no problem', () => {
  for (const fragment of ['', '#']) assert.deepEqual(decodeState(fragment), { state: emptyState(), problems: [] });
});

test('other versions are not guessed at', () => {
  for (const fragment of ['v=2&p=a', 'p=a', 'v=', '#top', '%', '&v=2']) {
    const { state, problem } = problemOf(fragment);
    assert.match(problem, /version/);
    assert.deepEqual(state, emptyState());
  }
});

test('each value out of its range is refused by name, and the rest is kept', () => {
  for (const [field, name] of /** @type {const} */ ([
    ['feature=attention', /feature "attention".*norm_avg/],
    ['feature=layer(0)', /feature/],
    ['feature=layer(1e9)', /feature/],
    ['weights=1,x', /weights "1,x".*numbers/],
    ['weights=', /weights/],
    ['weights=1,NaN', /weights/],
    ['weights=1e9', /weights/],
    ['weights=1,,2', /weights/],
    [`weights=${Array(129).fill('0').join(',')}`, /more than 128 layer weights/],
    ['reference_precision=yes', /reference_precision "yes"/],
    ['pooling=max', /pooling "max".*last_token/],
    ['device=cuda', /device "cuda".*webgpu/],
    ['data=https://evil.example/x.json', /data set .*sample/],
    ['per_type=0', /per_type "0".*whole number/],
    ['per_type=-1', /per_type/],
    ['captions=0', /captions "0".*whole number/],
    ['captions=1e3', /captions/],
    ['seed=4294967296', /seed.*4294967295/],
    ['seed=1e3', /seed/],
    ['seed=', /seed/],
    ['question_type=<img src=x>', /type of item/],
    [`caption_type=${'x'.repeat(41)}`, /type of item "x{40}…"/],
    ['id=8F1B2C3D4E', /subset id "8F1B2C3D4E".*ten hexadecimal/],
    ['id=8f1b2c3d4', /subset id/],
    ['id=', /subset id/],
    ['item=image_0', /item "image_0".*image_0\|OCR/],
    ['item=|OCR', /item/],
    ['item=image_0|', /item/],
    ['item=image_0|<b>', /item "image_0\|<b>"/],
    ['item=image%00|OCR', /item/],
    ['item=image%0A|OCR', /item/],
    [`item=${'x'.repeat(1001)}|OCR`, /item "x{40}…"/],
    [`item=image_0|${'x'.repeat(41)}`, /item/],
    [`item=${'|'.repeat(10_000)}OCR`, /item/],
    ['result=41/40,norm_avg,mean', /result/],
    ['result=0/0,norm_avg,mean', /result/],
    ['result=best in the world', /result/],
    ['result=1/2,norm_avg,sum', /pooling "sum"/],
    ['model=javascript:alert(1)', /javascript:/],
    ['model=data:text/html,x', /data:/],
    ['model=file:///etc/passwd', /file:/],
    ['model=//example.org/a.gguf', /whole URL/],
    ['model=https://user:pass@example.org/a.gguf', /password/],
    [`model=https://example.org/${'a'.repeat(2048)}`, /2068 characters; at most 2048/],
    [`sha256=${'B1'.repeat(32)}`, /sha256 "B1B1.*64 hexadecimal digits/],
    ['sha256=b179', /sha256 "b179"/],
    ['__proto__=x', /unknown field "__proto__"/],
    ['constructor=x', /unknown field/],
    ['%FF%FE=x', /unknown field/],
  ])) {
    const { state, problem } = problemOf(`v=1&p=kept&${field}`);
    assert.match(problem, name);
    assert.deepEqual(state, { ...emptyState(), prompts: ['kept'] }, field);
  }
});

test('a field that may stand once is refused the second time', () => {
  const { state, problem } = problemOf('v=1&seed=1&seed=2');
  assert.match(problem, /"seed" twice/);
  assert.equal(state.subset.seed, 1);
});

test('lengths are bounded, before anything is parsed', () => {
  const long = problemOf(`v=1&p=${'a'.repeat(16 * 1024)}`);
  assert.match(long.problem, /16390 characters; at most 16384/);
  assert.deepEqual(long.state, emptyState());

  assert.match(problemOf(`v=1&p=${'a'.repeat(4001)}`).problem, /prompt of 4001 characters; at most 4000/);
  const many = problemOf(`v=1${'&p=a'.repeat(1000)}`);
  assert.match(many.problem, /more than 32 prompts/);
  assert.equal(many.state.prompts.length, 32);

  const noise = Array.from({ length: 500 }, (_, at) => `&x${at}=1`).join('');
  assert.equal(decodeState(`v=1${noise}`).problems.length, 10);
});

test('a state too long for a link is refused when the link is made', () => {
  const state = { ...emptyState(), prompts: Array(5).fill('a'.repeat(4000)) };
  assert.throws(() => encodeState(state), /too long for a link/);
});

test('layer weights travel with four decimals, adapters as a word', () => {
  const weights = [0, 0.5, -1.25, 1 / 3, -0.00001, 4];
  const { state, problems } = decodeState(
    encodeState({ ...emptyState(), feature: 'weighted', pooling: 'adapter', weights }),
  );
  assert.deepEqual(problems, []);
  assert.deepEqual(
    [state.feature, state.pooling, state.weights],
    ['weighted', 'adapter', [0, 0.5, -1.25, 0.3333, 0, 4]],
  );
  assert.throws(() => encodeState({ ...emptyState(), weights: Array(129).fill(0) }), /at most 128/);
  const { result } = decodeState('v=1&result=1/2,weighted,adapter').state;
  assert.deepEqual(result, { correct: 1, total: 2, feature: 'weighted', pooling: 'adapter' });
});

test('a hostile link leaves Object.prototype alone', () => {
  decodeState('v=1&__proto__[polluted]=1&constructor.prototype.polluted=1&toString=1');
  assert.equal(/** @type {any} */ ({}).polluted, undefined);
});
