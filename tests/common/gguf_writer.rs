//! Writes GGUF files for tests: any metadata, any tensors, and whole tiny models of random weights.
//! A format's faults are made here on purpose (`raw`, `raw_tensor`), so nothing is checked.
//!
//! Use with `#[path = "common/gguf_writer.rs"] mod gguf_writer;`.
#![allow(dead_code, reason = "each test file uses its own part")]

use gran_ted::format::TensorType;
use half::f16;

/// A GGUF file in the making.
pub struct GgufWriter {
    version: u32,
    alignment: usize,
    metadata: Vec<Vec<u8>>,
    tensors: Vec<Tensor>,
}

struct Tensor {
    name: String,
    dims: Vec<u64>,
    type_number: u32,
    offset: Option<u64>,
    data: Vec<u8>,
}

impl Default for GgufWriter {
    fn default() -> Self {
        Self { version: 3, alignment: 32, metadata: Vec::new(), tensors: Vec::new() }
    }
}

impl GgufWriter {
    /// Writes another version than 3.
    pub fn version(self, version: u32) -> Self {
        Self { version, ..self }
    }

    /// Aligns tensors to another power of two than 32, and says so.
    pub fn alignment(self, alignment: usize) -> Self {
        Self { alignment, ..self }.u32("general.alignment", alignment as u32)
    }

    /// Adds a metadata entry of any value type, its value already in bytes.
    pub fn raw(mut self, key: &str, value_type: u32, value: &[u8]) -> Self {
        self.metadata.push([&string(key), &value_type.to_le_bytes()[..], value].concat());
        self
    }

    pub fn u32(self, key: &str, value: u32) -> Self {
        self.raw(key, 4, &value.to_le_bytes())
    }

    pub fn f32(self, key: &str, value: f32) -> Self {
        self.raw(key, 6, &value.to_le_bytes())
    }

    pub fn str(self, key: &str, value: &str) -> Self {
        self.raw(key, 8, &string(value))
    }

    pub fn i32s(self, key: &str, values: &[i32]) -> Self {
        let values = values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<_>>();
        self.array(key, 5, values.len() / 4, &values)
    }

    pub fn strings<S: AsRef<str>>(self, key: &str, values: &[S]) -> Self {
        let bytes = values.iter().flat_map(|v| string(v.as_ref())).collect::<Vec<_>>();
        self.array(key, 8, values.len(), &bytes)
    }

    /// Adds an array of any value type, its values already in bytes.
    pub fn array(self, key: &str, value_type: u32, len: usize, values: &[u8]) -> Self {
        self.raw(key, 9, &[&value_type.to_le_bytes()[..], &(len as u64).to_le_bytes(), values].concat())
    }

    /// Adds a tensor of `shape`, slowest dimension first, after those before it.
    pub fn tensor(self, name: &str, dtype: TensorType, shape: &[usize], data: Vec<u8>) -> Self {
        let dims = shape.iter().rev().map(|&dim| dim as u64).collect::<Vec<_>>();
        self.raw_tensor(name, &dims, type_number(dtype), None, data)
    }

    /// Adds a tensor of any dimensions (fastest first), type number and offset.
    pub fn raw_tensor(
        mut self,
        name: &str,
        dims: &[u64],
        type_number: u32,
        offset: Option<u64>,
        data: Vec<u8>,
    ) -> Self {
        self.tensors.push(Tensor { name: name.into(), dims: dims.to_vec(), type_number, offset, data });
        self
    }

    /// The file's bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(self.version.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.metadata.len() as u64).to_le_bytes());
        file.extend(self.metadata.concat());
        let mut data = Vec::new();
        for tensor in &self.tensors {
            file.extend(string(&tensor.name));
            file.extend((tensor.dims.len() as u32).to_le_bytes());
            file.extend(tensor.dims.iter().flat_map(|dim| dim.to_le_bytes()));
            file.extend(tensor.type_number.to_le_bytes());
            file.extend(tensor.offset.unwrap_or(data.len() as u64).to_le_bytes());
            data.extend(&tensor.data);
            data.resize(data.len().next_multiple_of(self.alignment), 0);
        }
        file.resize(file.len().next_multiple_of(self.alignment), 0);
        file.extend(data);
        file
    }
}

/// A whole model, small enough to run in a test: random weights and a byte-level tokenizer.
pub struct Tiny {
    /// `llama`, `qwen2`, `qwen3` or `qwen3vl`.
    pub family: &'static str,
    /// Of the linear layers; norms and biases are F32.
    pub weights: TensorType,
    /// Of the token table.
    pub embedding: TensorType,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    /// 256 bytes, 5 added tokens, and merges for the rest: 261 to 322.
    pub vocab_size: usize,
    pub seed: u64,
}

impl Tiny {
    /// Two layers of 64 wide, or of 256 where `weights` has blocks of 256.
    pub fn new(family: &'static str, weights: TensorType) -> Self {
        let wide = weights.block_len() == 256;
        Self {
            family,
            weights,
            embedding: weights,
            hidden_size: if wide { 256 } else { 64 },
            intermediate_size: if wide { 512 } else { 160 },
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: if wide { 64 } else { 16 },
            vocab_size: 300,
            seed: 42,
        }
    }

    /// The file's bytes, always the same for the same fields.
    pub fn write(&self) -> Vec<u8> {
        let mut writer = tokenizer(self.config(), self.pre(), self.vocab_size);
        let mut random = Random(self.seed);
        let hidden = self.hidden_size;
        let embedding = random.tensor(self.embedding, &[self.vocab_size, hidden]);
        writer = writer.tensor("token_embd.weight", self.embedding, &[self.vocab_size, hidden], embedding);
        for layer in 0..self.num_hidden_layers {
            writer = self.layer(writer, layer, &mut random);
        }
        let norm = random.around(1.0, hidden);
        writer.tensor("output_norm.weight", TensorType::F32, &[hidden], norm).write()
    }

    fn layer(&self, mut writer: GgufWriter, layer: usize, random: &mut Random) -> GgufWriter {
        let (hidden, ffn) = (self.hidden_size, self.intermediate_size);
        let (q, kv) = (self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim);
        let mut vectors = vec![("attn_norm.weight", 1.0, hidden), ("ffn_norm.weight", 1.0, hidden)];
        if self.family.starts_with("qwen3") {
            vectors
                .extend(["attn_q_norm.weight", "attn_k_norm.weight"].map(|name| (name, 1.0, self.head_dim)));
        }
        if self.family == "qwen2" {
            vectors.extend([("attn_q.bias", 0.0, q), ("attn_k.bias", 0.0, kv), ("attn_v.bias", 0.0, kv)]);
        }
        for (name, center, len) in vectors {
            let values = random.around(center, len);
            writer = writer.tensor(&format!("blk.{layer}.{name}"), TensorType::F32, &[len], values);
        }
        let matrices = [
            ("attn_q", [q, hidden]),
            ("attn_k", [kv, hidden]),
            ("attn_v", [kv, hidden]),
            ("attn_output", [hidden, q]),
            ("ffn_gate", [ffn, hidden]),
            ("ffn_up", [ffn, hidden]),
            ("ffn_down", [hidden, ffn]),
        ];
        for (name, shape) in matrices {
            let weight = random.tensor(self.weights, &shape);
            writer = writer.tensor(&format!("blk.{layer}.{name}.weight"), self.weights, &shape, weight);
        }
        writer
    }

    fn pre(&self) -> &'static str {
        if self.family == "llama" { "smollm" } else { "qwen2" }
    }

    fn config(&self) -> GgufWriter {
        let key = |name: &str| format!("{}.{name}", self.family);
        let mut writer = GgufWriter::default()
            .str("general.architecture", self.family)
            .u32(&key("block_count"), self.num_hidden_layers as u32)
            .u32(&key("context_length"), 2048)
            .u32(&key("embedding_length"), self.hidden_size as u32)
            .u32(&key("feed_forward_length"), self.intermediate_size as u32)
            .u32(&key("attention.head_count"), self.num_attention_heads as u32)
            .u32(&key("attention.head_count_kv"), self.num_key_value_heads as u32)
            .f32(&key("attention.layer_norm_rms_epsilon"), 1e-6)
            .f32(&key("rope.freq_base"), 10000.0);
        if self.family.starts_with("qwen3") || self.head_dim * self.num_attention_heads != self.hidden_size {
            writer = writer
                .u32(&key("attention.key_length"), self.head_dim as u32)
                .u32(&key("attention.value_length"), self.head_dim as u32);
        }
        if self.family == "qwen3vl" {
            let part = (self.head_dim / 8) as i32;
            writer = writer.i32s(&key("rope.dimension_sections"), &[2 * part, part, part, 0]);
        }
        writer
    }
}

/// Adds a tokenizer of kind `pre`: the bytes, merges that make up a few words, and last the added tokens
/// `<|endoftext|>`, `<|im_start|>`, `<|im_end|>` (control), `<think>` (user-defined) and `[PAD]` (unused).
pub fn tokenizer(writer: GgufWriter, pre: &str, vocab_size: usize) -> GgufWriter {
    const ADDED: [(&str, i32); 5] =
        [("<|endoftext|>", 3), ("<|im_start|>", 3), ("<|im_end|>", 3), ("<think>", 4), ("[PAD]", 5)];
    let words = "the red blue cube ball left of is a right on photo small green yellow above behind";
    let mut tokens = (0..=255).map(|byte| byte_char(byte).to_string()).collect::<Vec<_>>();
    let mut merges = Vec::new();
    for word in words.split_whitespace() {
        let mut left = byte_char(b' ').to_string();
        for right in word.bytes().map(byte_char) {
            let merged = format!("{left}{right}");
            if !tokens.contains(&merged) && tokens.len() + ADDED.len() < vocab_size {
                merges.push(format!("{left} {right}"));
                tokens.push(merged.clone());
            }
            left = merged;
        }
    }
    let mut types = vec![1; tokens.len()];
    for (token, kind) in ADDED {
        tokens.push(token.into());
        types.push(kind);
    }
    assert_eq!(tokens.len(), vocab_size, "the words make another number of merges");
    writer
        .str("tokenizer.ggml.model", "gpt2")
        .str("tokenizer.ggml.pre", pre)
        .strings("tokenizer.ggml.tokens", &tokens)
        .i32s("tokenizer.ggml.token_type", &types)
        .strings("tokenizer.ggml.merges", &merges)
}

/// The character that stands for `byte` in byte-level tokens: itself where it prints, one from U+0100 on where not.
pub fn byte_char(byte: u8) -> char {
    let prints = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if prints(byte) {
        return byte.into();
    }
    let unprintable_before = (0..byte).filter(|&b| !prints(b)).count() as u32;
    char::from_u32(0x100 + unprintable_before).expect("below U+0144")
}

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below `limit`.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// From -1 to below 1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    pub fn bytes(&mut self, len: usize) -> impl Iterator<Item = u8> {
        (0..len).map(|_| self.next() as u8)
    }

    /// `len` F32 values within 0.2 of `center`.
    pub fn around(&mut self, center: f32, len: usize) -> Vec<u8> {
        (0..len).flat_map(|_| (center + 0.2 * self.unit()).to_le_bytes()).collect()
    }

    /// The bytes of a tensor of `shape` (slowest dimension first), its values around 0 with a standard deviation of
    /// about 1 / sqrt(row length), so that a linear layer keeps the scale of its input.
    pub fn tensor(&mut self, dtype: TensorType, shape: &[usize]) -> Vec<u8> {
        let row_len = shape[shape.len() - 1];
        assert!(row_len.is_multiple_of(dtype.block_len()), "{dtype:?} has no rows of {row_len}");
        let blocks = shape.iter().product::<usize>() / dtype.block_len();
        let deviation = 1.0 / (row_len as f32).sqrt();
        (0..blocks).flat_map(|_| self.block(dtype, deviation)).collect()
    }

    /// One block: random quants, and scales that undo the quants' own deviation and mean.
    fn block(&mut self, dtype: TensorType, deviation: f32) -> Vec<u8> {
        use TensorType::*;
        // deviation and mean of q, or of q times its 6- or 8-bit scale, as random bytes have them
        let (quants, mean) = match dtype {
            F32 | F16 | BF16 => (0.58, 0.0),
            Q4_0 => (4.6, 0.0),
            Q4_1 => (4.6, 7.5),
            Q5_0 => (9.2, 0.0),
            Q5_1 => (9.2, 15.5),
            Q8_0 => (74.0, 0.0),
            Q4_K => (320.0, 7.5),
            Q5_K => (660.0, 15.5),
            Q6_K => (1370.0, 0.0),
        };
        let d = deviation / quants * (1.0 + 0.5 * self.unit());
        let halves =
            |values: &[f32]| values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect::<Vec<_>>();
        let mut block = match dtype {
            F32 => return (d * self.unit()).to_le_bytes().to_vec(),
            F16 => return f16::from_f32(d * self.unit()).to_le_bytes().to_vec(),
            BF16 => return half::bf16::from_f32(d * self.unit()).to_le_bytes().to_vec(),
            Q4_0 | Q5_0 | Q8_0 => halves(&[d]),
            Q4_1 | Q5_1 => halves(&[d, -mean * d]),
            Q4_K | Q5_K => halves(&[d, mean * d]),
            Q6_K => Vec::new(),
        };
        let rest = dtype.block_bytes() - block.len() - if dtype == Q6_K { 2 } else { 0 };
        block.extend(self.bytes(rest));
        if dtype == Q6_K {
            block.extend(halves(&[d]));
        }
        block
    }
}

/// GGUF's number of a tensor type.
pub fn type_number(dtype: TensorType) -> u32 {
    match dtype {
        TensorType::F32 => 0,
        TensorType::F16 => 1,
        TensorType::Q4_0 => 2,
        TensorType::Q4_1 => 3,
        TensorType::Q5_0 => 6,
        TensorType::Q5_1 => 7,
        TensorType::Q8_0 => 8,
        TensorType::Q4_K => 12,
        TensorType::Q5_K => 13,
        TensorType::Q6_K => 14,
        TensorType::BF16 => 30,
    }
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}
