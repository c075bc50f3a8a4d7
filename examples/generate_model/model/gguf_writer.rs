//! Writes GGUF files: any metadata, any tensors. Tests make a format's faults with it on purpose (`raw`, `raw_tensor`), so
//! nothing is checked.

use gran_ted::format::TensorType;

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

    pub fn u16(self, key: &str, value: u16) -> Self {
        self.raw(key, 2, &value.to_le_bytes())
    }

    pub fn i32(self, key: &str, value: i32) -> Self {
        self.raw(key, 5, &value.to_le_bytes())
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

/// Adds a tokenizer of kind `pre`: the bytes, merges that make up a few words, the added tokens `<|endoftext|>`,
/// `<|im_start|>`, `<|im_end|>` (control), `<think>` (user-defined) and `[PAD]` (unused), and further unused ones, as
/// llama.cpp's converter fills a table that is higher than the vocabulary.
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
    tokens.extend((tokens.len()..vocab_size).map(|id| format!("[PAD{id}]")));
    types.resize(tokens.len(), 5);
    assert_eq!(tokens.len(), vocab_size, "the bytes and the added tokens are more");
    writer
        .str("tokenizer.ggml.model", "gpt2")
        .str("tokenizer.ggml.pre", pre)
        .strings("tokenizer.ggml.tokens", &tokens)
        .i32s("tokenizer.ggml.token_type", &types)
        .strings("tokenizer.ggml.merges", &merges)
}

/// The character that stands for `byte` in byte-level tokens: the byte itself where it prints, else one from U+0100 on.
pub fn byte_char(byte: u8) -> char {
    let prints = |byte: u8| matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
    if prints(byte) {
        return byte.into();
    }
    let unprintable_before = (0..byte).filter(|&b| !prints(b)).count() as u32;
    char::from_u32(0x100 + unprintable_before).expect("below U+0144")
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
        TensorType::Q2_K => 10,
        TensorType::Q3_K => 11,
        TensorType::IQ2_XXS => 16,
        TensorType::IQ2_XS => 17,
        TensorType::IQ3_XXS => 18,
        TensorType::IQ1_S => 19,
        TensorType::IQ4_NL => 20,
        TensorType::IQ3_S => 21,
        TensorType::IQ2_S => 22,
        TensorType::IQ4_XS => 23,
        TensorType::IQ1_M => 29,
        TensorType::BF16 => 30,
        TensorType::TQ1_0 => 34,
        TensorType::TQ2_0 => 35,
        TensorType::MXFP4 => 39,
        TensorType::NVFP4 => 40,
        other => unreachable!("{other:?} is no type of GGUF"),
    }
}

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}
