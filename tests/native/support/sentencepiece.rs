//! Writes models of SentencePiece: as `ModelProto`, in its own wire format, and as metadata of GGUF.

use super::model::GgufWriter;

/// A piece with its score and its type (1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte).
pub type Piece = (String, f32, i32);

/// A model and its settings, with the schema's defaults.
#[derive(Clone)]
pub struct SpmWriter {
    pub pieces: Vec<Piece>,
    /// 1 unigram, 2 BPE.
    pub model_type: u64,
    pub byte_fallback: bool,
    /// Unknown, begin, end, padding.
    pub ids: [i64; 4],
    pub charsmap: Vec<u8>,
    pub space_prefix: bool,
    pub remove_extra_whitespaces: bool,
}

impl Default for SpmWriter {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            model_type: 1,
            byte_fallback: false,
            ids: [0, 1, 2, -1],
            charsmap: Vec::new(),
            space_prefix: true,
            remove_extra_whitespaces: true,
        }
    }
}

impl SpmWriter {
    /// spiece.model, tokenizer.model.
    pub fn proto(&self) -> Vec<u8> {
        let mut file = Vec::new();
        for (text, score, kind) in &self.pieces {
            let mut piece = bytes(1, text.as_bytes());
            piece.extend([&[2 << 3 | 5][..], &score.to_le_bytes()].concat());
            piece.extend(number(3, *kind as u64));
            file.extend(bytes(1, &piece));
        }
        let mut trainer = number(3, self.model_type);
        trainer.extend(number(35, self.byte_fallback.into()));
        for (id, field) in self.ids.into_iter().zip(40..) {
            trainer.extend(number(field, id as u64));
        }
        file.extend(bytes(2, &trainer));
        let mut normalizer = bytes(1, b"nmt_nfkc");
        if !self.charsmap.is_empty() {
            normalizer.extend(bytes(2, &self.charsmap));
        }
        normalizer.extend(number(3, self.space_prefix.into()));
        normalizer.extend(number(4, self.remove_extra_whitespaces.into()));
        file.extend(bytes(3, &normalizer));
        file
    }

    /// The metadata of GGUF.
    pub fn gguf(&self, writer: GgufWriter) -> GgufWriter {
        let key = |key: &str| format!("tokenizer.ggml.{key}");
        let flag = |writer: GgufWriter, name: &str, on: bool| writer.raw(&key(name), 7, &[on.into()]);
        let is_unigram = self.model_type == 1;
        let texts: Vec<&str> = self.pieces.iter().map(|piece| piece.0.as_str()).collect();
        let scores: Vec<u8> = self.pieces.iter().flat_map(|piece| piece.1.to_le_bytes()).collect();
        let types: Vec<i32> = self.pieces.iter().map(|piece| piece.2).collect();
        let mut writer = writer
            .str(&key("model"), if is_unigram { "t5" } else { "llama" })
            .str(&key("pre"), "default")
            .strings(&key("tokens"), &texts)
            .array(&key("scores"), 6, texts.len(), &scores)
            .i32s(&key("token_type"), &types);
        for (name, id) in ["unknown", "bos", "eos", "padding"].into_iter().zip(self.ids) {
            if let Ok(id) = u32::try_from(id) {
                writer = writer.u32(&key(&format!("{name}_token_id")), id);
            }
        }
        if !self.charsmap.is_empty() {
            writer = writer.array(&key("precompiled_charsmap"), 0, self.charsmap.len(), &self.charsmap);
        }
        let writer = flag(writer, "add_space_prefix", self.space_prefix);
        let writer = flag(writer, "remove_extra_whitespaces", self.remove_extra_whitespaces);
        flag(flag(writer, "add_bos_token", !is_unigram), "add_eos_token", is_unigram)
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [varint(field << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
}
