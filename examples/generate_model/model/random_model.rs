//! Whole models of random weights as GGUF files, of any family, shape and mixture of types; no two tensors are ever in
//! memory together, so that a file of 5 GB takes a minute and little memory.

use super::gguf_writer::{GgufWriter, tokenizer, type_number};
use super::random::Random;
use gran_ted::format::TensorType;
use gran_ted::quant::dequantize;
use std::io::{self, Write};

const ALIGNMENT: usize = 32;

/// A whole model of random weights with a byte-level tokenizer: small enough to run in a test, unless its sizes are set
/// otherwise. The same fields make the same bytes.
pub struct Tiny {
    /// The model's family: `llama`, `qwen2`, `qwen3` or `qwen3vl`.
    pub family: &'static str,
    /// The type of the linear layers; norms and biases are F32.
    pub weights: TensorType,
    /// Gives another type for some of the linear layers: `mix(name, layer, layers)`.
    pub mix: fn(&str, usize, usize) -> Option<TensorType>,
    /// The type of the token table.
    pub embedding: TensorType,
    /// The type of a head, which the encoder skips; `None` where the token table serves as one.
    pub output: Option<TensorType>,
    pub hidden_size: usize,
    pub intermediate_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub num_key_value_heads: usize,
    pub head_dim: usize,
    /// The size of the vocabulary: 256 bytes, 5 added tokens and up to 61 merges make 261 to 322; no text has the tokens above.
    pub vocab_size: usize,
    pub rope_theta: f32,
    pub seed: u64,
    /// Whether all tensors are stored as F32, with the values of their types.
    pub dense: bool,
}

/// A tensor of a model, and the values it gets.
struct Planned {
    name: String,
    dtype: TensorType,
    shape: Vec<usize>,
    /// F32 values are near this; a weight has `None`, see [`Random::fill`].
    center: Option<f32>,
}

impl Planned {
    fn bytes(&self, dtype: TensorType) -> usize {
        self.shape.iter().product::<usize>() / dtype.block_len() * dtype.block_bytes()
    }
}

impl Tiny {
    /// A model of two layers, 64 wide, or 256 wide where `weights` has blocks of more than 32.
    pub fn new(family: &'static str, weights: TensorType) -> Self {
        let wide = weights.block_len() > 32;
        Self {
            family,
            weights,
            mix: |_, _, _| None,
            embedding: weights,
            output: None,
            hidden_size: if wide { 256 } else { 64 },
            intermediate_size: if wide { 512 } else { 160 },
            num_hidden_layers: 2,
            num_attention_heads: 4,
            num_key_value_heads: 2,
            head_dim: if wide { 64 } else { 16 },
            vocab_size: 300,
            rope_theta: 10_000.0,
            seed: 42,
            dense: false,
        }
    }

    /// The text tower of Qwen3-VL `2b`, `4b` or `8b`, its types as in llama.cpp's Q4_K_M files.
    pub fn qwen3vl(shape: &str) -> Option<Self> {
        use TensorType::{Q4_K, Q6_K};
        // The sizes are hidden, feed-forward, layers, heads. The 8B model has a head of its own, for which Q6_K is kept.
        let (sizes, embedding, output) = match shape {
            "small" => ([1024, 3072, 6, 16], Q6_K, None), // of no real model, for the tests in the browser
            "2b" => ([2048, 6144, 28, 16], Q6_K, None),
            "4b" => ([2560, 9728, 36, 32], Q6_K, None),
            "8b" => ([4096, 12288, 36, 32], Q4_K, Some(Q6_K)),
            _ => return None,
        };
        let [hidden_size, intermediate_size, num_hidden_layers, num_attention_heads] = sizes;
        Some(Self {
            mix: q4_k_m,
            embedding,
            output,
            hidden_size,
            intermediate_size,
            num_hidden_layers,
            num_attention_heads,
            num_key_value_heads: 8,
            head_dim: 128,
            vocab_size: if shape == "small" { 20_000 } else { 151_936 },
            rope_theta: 5e6,
            ..Self::new("qwen3vl", Q4_K)
        })
    }

    /// The file's bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write_to(&mut bytes).expect("a Vec takes everything");
        bytes
    }

    /// Writes the file tensor by tensor.
    pub fn write_to(&self, file: &mut impl Write) -> io::Result<()> {
        self.write_tensors(tokenizer(self.config(), self.pre(), self.vocab_size), &self.tensors(), file)
    }

    /// The file's bytes without those of its tensors, and its length with them.
    pub fn header(&self) -> (Vec<u8>, u64) {
        let (writer, tensors) =
            self.place(tokenizer(self.config(), self.pre(), self.vocab_size), &self.tensors());
        let header = writer.write();
        let len = header.len() as u64 + tensors;
        (header, len)
    }

    /// The same model in `count` files, the first of them with the metadata.
    pub fn split(&self, count: usize) -> Vec<Vec<u8>> {
        let tensors = self.tensors();
        let part = |(number, part): (usize, &[Planned])| {
            let writer = match number {
                0 => tokenizer(self.config(), self.pre(), self.vocab_size),
                _ => GgufWriter::default(),
            };
            let writer = writer
                .u16("split.no", number as u16)
                .u16("split.count", count as u16)
                .i32("split.tensors.count", tensors.len() as i32);
            let mut bytes = Vec::new();
            self.write_tensors(writer, part, &mut bytes).expect("a Vec takes everything");
            bytes
        };
        tensors.chunks(tensors.len().div_ceil(count)).enumerate().map(part).collect()
    }

    fn write_tensors(
        &self,
        writer: GgufWriter,
        tensors: &[Planned],
        file: &mut impl Write,
    ) -> io::Result<()> {
        const PIECE: usize = 1 << 20;
        file.write_all(&self.place(writer, tensors).0.write())?;

        for tensor in tensors {
            // Each tensor has its own sequence, which is the same in a part as in the whole file.
            let mut random = Random(tensor.name.bytes().fold(self.seed, |seed, byte| {
                (seed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3) // FNV-1a
            }));
            let (len, block) = (tensor.bytes(tensor.dtype), tensor.dtype.block_bytes());
            let piece = PIECE / block * block;
            for start in (0..len).step_by(piece) {
                let mut bytes = vec![0; piece.min(len - start)];
                match tensor.center {
                    Some(center) => random.fill_around(center, &mut bytes),
                    None => random.fill(tensor.dtype, tensor.shape[1], &mut bytes),
                }
                if self.dense {
                    let values = dequantize(tensor.dtype, &bytes);
                    bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                }
                file.write_all(&bytes)?;
            }
            let len = tensor.bytes(self.stored(tensor));
            file.write_all(&vec![0; len.next_multiple_of(ALIGNMENT) - len])?;
        }
        Ok(())
    }

    /// Adds the tensors' places, one behind the other; gives the bytes of them all too.
    fn place(&self, mut writer: GgufWriter, tensors: &[Planned]) -> (GgufWriter, u64) {
        let mut offset = 0;
        for tensor in tensors {
            let dims: Vec<u64> = tensor.shape.iter().rev().map(|&dim| dim as u64).collect();
            let number = type_number(self.stored(tensor));
            writer = writer.raw_tensor(&tensor.name, &dims, number, Some(offset), Vec::new());
            offset += tensor.bytes(self.stored(tensor)).next_multiple_of(ALIGNMENT) as u64;
        }
        (writer, offset)
    }

    fn stored(&self, tensor: &Planned) -> TensorType {
        if self.dense { TensorType::F32 } else { tensor.dtype }
    }

    fn tensors(&self) -> Vec<Planned> {
        let table = [self.vocab_size, self.hidden_size];
        let matrix = |name: String, dtype: TensorType, shape: [usize; 2]| {
            assert!(shape[1].is_multiple_of(dtype.block_len()), "{dtype:?} has no rows of {}", shape[1]);
            Planned { name, dtype, shape: shape.to_vec(), center: None }
        };
        let vector = |name: String, center, len| Planned {
            name,
            dtype: TensorType::F32,
            shape: vec![len],
            center: Some(center),
        };
        let mut all = vec![matrix("token_embd.weight".into(), self.embedding, table)];
        all.extend(self.output.map(|dtype| matrix("output.weight".into(), dtype, table)));
        for layer in 0..self.num_hidden_layers {
            let name = |name: &str| format!("blk.{layer}.{name}");
            all.extend(self.vectors().into_iter().map(|(end, center, len)| vector(name(end), center, len)));
            for (end, shape) in self.matrices() {
                let dtype = (self.mix)(end, layer, self.num_hidden_layers).unwrap_or(self.weights);
                all.push(matrix(name(&format!("{end}.weight")), dtype, shape));
            }
        }
        all.push(vector("output_norm.weight".into(), 1.0, self.hidden_size));
        all
    }

    /// The norms and biases of one layer, each with its name, center and length.
    fn vectors(&self) -> Vec<(&'static str, f32, usize)> {
        let (hidden, head) = (self.hidden_size, self.head_dim);
        let (q, kv) = (self.num_attention_heads * head, self.num_key_value_heads * head);
        let mut all = vec![("attn_norm.weight", 1.0, hidden), ("ffn_norm.weight", 1.0, hidden)];
        match self.family {
            "qwen2" => {
                all.extend([("attn_q.bias", 0.0, q), ("attn_k.bias", 0.0, kv), ("attn_v.bias", 0.0, kv)])
            }
            "llama" => {}
            _ => all.extend([("attn_q_norm.weight", 1.0, head), ("attn_k_norm.weight", 1.0, head)]),
        }
        all
    }

    /// The weights of one layer.
    fn matrices(&self) -> [(&'static str, [usize; 2]); 7] {
        let (hidden, ffn) = (self.hidden_size, self.intermediate_size);
        let (q, kv) = (self.num_attention_heads * self.head_dim, self.num_key_value_heads * self.head_dim);
        [
            ("attn_q", [q, hidden]),
            ("attn_k", [kv, hidden]),
            ("attn_v", [kv, hidden]),
            ("attn_output", [hidden, q]),
            ("ffn_gate", [ffn, hidden]),
            ("ffn_up", [ffn, hidden]),
            ("ffn_down", [hidden, ffn]),
        ]
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
            .f32(&key("rope.freq_base"), self.rope_theta);
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

/// The mixture of llama.cpp's Q4_K_M: values and the way down are Q6_K in the first and the last eighth of the layers, and in
/// every third between.
pub fn q4_k_m(name: &str, layer: usize, layers: usize) -> Option<TensorType> {
    let eighth = layers / 8;
    let more_bits = layer < eighth || layer >= 7 * layers / 8 || (layer - eighth) % 3 == 2;
    (more_bits && matches!(name, "attn_v" | "ffn_down")).then_some(TensorType::Q6_K)
}
