//! A small Hugging Face checkpoint with a tokenizer, whose files tests spread over folders.

use super::files::fixture;
use super::program::Folder;
use serde_json::{Map, Value, json};

/// The merges of the tokenizer, over single letters and a space as `Ġ`.
const MERGES: [&str; 6] = ["r e", "e d", "c u", "b e", "Ġ c", "Ġc u"];
const SPECIAL: &str = "<|im_end|>";

/// The vocabulary: a token for each byte, as byte-level BPE writes it, then one for each merge.
fn vocab() -> Map<String, Value> {
    let plain: Vec<u32> = (33..127).chain(161..173).chain(174..256).collect();
    let mut others = 256..;
    let letter = |byte: u32| if plain.contains(&byte) { byte } else { others.next().unwrap() };
    let letters: Vec<String> = (0..256).map(letter).map(|c| char::from_u32(c).unwrap().to_string()).collect();
    let merged = MERGES.map(|pair| pair.replace(' ', ""));
    letters.into_iter().chain(merged).zip(0..).map(|(token, id)| (token, json!(id))).collect()
}

fn special() -> Value {
    let id = vocab().len();
    json!({ "id": id, "content": SPECIAL, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true })
}

/// A tokenizer.json with the first `merges` of them.
pub fn tokenizer(merges: usize) -> Value {
    let bytes =
        json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false });
    json!({ "added_tokens": [special()], "normalizer": null, "pre_tokenizer": bytes,
            "model": { "type": "BPE", "vocab": vocab(), "merges": MERGES[..merges] } })
}

impl Folder {
    /// Writes a file of JSON, and the folders above it.
    pub fn json_file(&self, name: &str, value: &Value) {
        self.deep_file(name, value.to_string());
    }

    /// Writes a file, and the folders above it.
    pub fn deep_file(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        self.file(name, bytes);
    }

    /// Writes config.json and model.safetensors of the tiny Qwen3-VL into `folder`.
    pub fn weights(&self, folder: &str) {
        for name in ["config.json", "model.safetensors"] {
            self.deep_file(&format!("{folder}/{name}"), fixture(&format!("tiny-qwen3vl/{name}")));
        }
    }

    /// Writes a whole checkpoint into `folder`.
    pub fn checkpoint(&self, folder: &str) {
        self.weights(folder);
        self.json_file(&format!("{folder}/tokenizer.json"), &tokenizer(MERGES.len()));
    }

    /// Writes the same tokenizer as vocab.json, merges.txt and tokenizer_config.json of Qwen.
    pub fn vocab_and_merges(&self, folder: &str) {
        self.json_file(&format!("{folder}/vocab.json"), &Value::Object(vocab()));
        self.deep_file(&format!("{folder}/merges.txt"), format!("#version: 0.2\n{}\n", MERGES.join("\n")));
        let added = json!({ vocab().len().to_string(): special() });
        let config = json!({ "tokenizer_class": "Qwen2Tokenizer", "added_tokens_decoder": added });
        self.json_file(&format!("{folder}/tokenizer_config.json"), &config);
    }

    /// The vector of a text, by the model at `path`.
    pub fn vector(&self, path: &str) -> Value {
        let result =
            self.run_json(&format!("embed {path} 'red cube<|im_end|>' --json --device cpu --feature last"));
        result["texts"][0]["vector"].clone()
    }
}
