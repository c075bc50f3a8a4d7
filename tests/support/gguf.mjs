// Writes small GGUF files for tests, correct and faulty ones: a llama of one layer, 32 wide, its weights all the same.

/** @typedef {{ name: string, shape: number[], type?: number }} Tensor slowest dimension first; type 0 is F32 */

/**
 * @param {object} [options]
 * @param {string} [options.architecture]
 * @param {string} [options.tokenizer]
 * @param {[tensors: number, entries: number]} [options.counts]
 * @param {(tensors: Tensor[]) => Tensor[]} [options.change]
 * @param {string} [options.begin] a token that the file adds before each text
 */
export function ggufFile({
  architecture = 'llama',
  tokenizer = 'gpt2',
  counts,
  change = (tensors) => tensors,
  begin,
} = {}) {
  const tokens = ['a', ...(begin ? [begin] : [])];
  const entries = [
    text('general.architecture', architecture),
    ...Object.entries({ block_count: 1, embedding_length: 32, feed_forward_length: 32, 'attention.head_count': 1 }).map(
      ([key, value]) => entry(`llama.${key}`, 4, uint32(value)),
    ),
    entry('llama.attention.layer_norm_rms_epsilon', 6, Buffer.from(Float32Array.of(1e-5).buffer)),
    text('tokenizer.ggml.model', tokenizer),
    text('tokenizer.ggml.pre', 'smollm'),
    entry('tokenizer.ggml.tokens', 9, Buffer.concat([uint32(8), uint64(tokens.length), ...tokens.map(string)])),
    entry('tokenizer.ggml.merges', 9, Buffer.concat([uint32(8), uint64(0)])),
    ...(begin
      ? [
          entry('tokenizer.ggml.token_type', 9, Buffer.concat([uint32(5), uint64(2), uint32(1), uint32(3)])),
          entry('tokenizer.ggml.bos_token_id', 4, uint32(1)),
          entry('tokenizer.ggml.add_bos_token', 7, Buffer.of(1)),
        ]
      : []),
  ];
  const matrices = ['attn_q', 'attn_k', 'attn_v', 'attn_output', 'ffn_gate', 'ffn_up', 'ffn_down'].map((name) => ({
    name: `blk.0.${name}.weight`,
    shape: [32, 32],
  }));
  const norms = ['blk.0.attn_norm', 'blk.0.ffn_norm', 'output_norm'].map((name) => ({
    name: `${name}.weight`,
    shape: [32],
  }));
  const tensors = change([{ name: 'token_embd.weight', shape: [tokens.length, 32] }, ...matrices, ...norms]);

  const weights = (/** @type {number} */ count) => Buffer.from(new Float32Array(count).fill(0.01).buffer);
  const data = tensors.map(({ shape }) => weights(shape.reduce((product, size) => product * size, 1)));
  const infos = tensors.map(({ name, shape, type = 0 }, at) =>
    Buffer.concat([
      string(name),
      uint32(shape.length),
      ...shape.toReversed().map(uint64),
      uint32(type),
      uint64(Buffer.concat(data.slice(0, at)).length),
    ]),
  );
  const [tensorCount, entryCount] = counts ?? [tensors.length, entries.length];
  const header = Buffer.concat([
    Buffer.from('GGUF'),
    uint32(3),
    uint64(tensorCount),
    uint64(entryCount),
    ...entries,
    ...infos,
  ]);
  return Buffer.concat([header, Buffer.alloc((32 - (header.length % 32)) % 32), ...data]);
}

/** @param {string} key @param {number} type the type of the value @param {Buffer} value */
function entry(key, type, value) {
  return Buffer.concat([string(key), uint32(type), value]);
}

/** @param {string} key @param {string} value */
function text(key, value) {
  return entry(key, 8, string(value));
}

/** @param {string} value */
function string(value) {
  return Buffer.concat([uint64(Buffer.byteLength(value)), Buffer.from(value)]);
}

/** @param {number} value */
function uint32(value) {
  return Buffer.from(Uint32Array.of(value).buffer);
}

/** @param {number} value */
function uint64(value) {
  return Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
}
