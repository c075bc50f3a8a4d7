//! A configuration for a safetensors file that comes without one, from the names and shapes of its tensors: most users
//! have their encoder as such a single file.
//!
//! The rules are those by which image generators tell the encoders apart, with rows instead of columns, which packed types
//! halve. What is found is written as a config.json, which is then read as any other; what neither names nor shapes can
//! tell is decided here, and said.

use super::names::{Scheme, schemes_of};
use crate::error::{Error, Result};
use crate::model::Family;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A configuration that was found, and why.
#[derive(Clone, Debug)]
pub(super) struct Detected {
    /// What config.json would say.
    pub config: Value,
    /// What stands before the names of the encoder's tensors.
    pub prefix: String,
    /// The encoder in words, with the tensors that show it.
    pub recognized: String,
    /// What was decided without a tensor that shows it, and other encoders of the file that are left out.
    pub decided: Vec<String>,
}

/// Names and shapes of a file's tensors.
pub(super) struct Tensors<'a> {
    pub file: &'a str,
    pub shapes: BTreeMap<&'a str, &'a [usize]>,
}

/// The width of a head of CLIP and of XLM-RoBERTa in all of their sizes.
const HEAD: usize = 64;

impl<'a> Tensors<'a> {
    /// The encoder of the file; of several the one with the largest token table, and the others are named.
    ///
    /// # Errors
    /// [`Error::NotAModel`], which says what the file seems to hold instead.
    pub(super) fn detect(&self) -> Result<Detected> {
        let mut found: Vec<Detected> = Vec::new();
        let mut seen = false;
        for (family, scheme) in candidates() {
            for prefix in self.prefixes(scheme) {
                let part = Part { tensors: self, scheme, prefix };
                seen = true;
                let known = found.iter().any(|found| found.prefix == prefix);
                if !known && let Some(detected) = part.describe(family) {
                    found.push(detected);
                }
            }
        }
        let size = |found: &Detected| {
            let number = |key: &str| found.config.get(key).and_then(Value::as_u64).unwrap_or(1);
            number("hidden_size").max(number("d_model"))
                * number("num_hidden_layers").max(number("num_layers"))
        };
        found.sort_by_key(|found| std::cmp::Reverse(size(found)));
        let mut all = found.into_iter();
        let mut first = all.next().ok_or_else(|| self.nothing(seen))?;
        for other in all {
            first.decided.push(format!(
                "the file holds another encoder under `{}` ({}): it is left out",
                other.prefix, other.recognized
            ));
        }
        Ok(first)
    }

    /// What stands before the token table and the first layer of `scheme`.
    fn prefixes(&self, scheme: &Scheme) -> Vec<&'a str> {
        let layer = scheme.first_layer();
        let tables: Vec<String> = scheme.tables().collect();
        let before = |name: &&'a str| {
            let prefix = name.strip_suffix(layer.as_str())?;
            let whole = (prefix.is_empty() || prefix.ends_with('.'))
                && prefix.ends_with(scheme.prefix_end)
                && tables.iter().any(|table| self.shapes.contains_key(format!("{prefix}{table}").as_str()));
            whole.then_some(prefix)
        };
        self.shapes.keys().filter_map(before).collect()
    }

    fn has(&self, part: &str) -> bool {
        self.shapes.keys().any(|name| name.contains(part))
    }

    /// The error of a file without an encoder, or with one whose sizes can't be told: `seen`.
    fn nothing(&self, seen: bool) -> Error {
        const SEEMS: [(&str, &str); 9] = [
            ("double_blocks.0.", "a diffusion transformer, not an encoder"),
            ("joint_blocks.0.", "a diffusion transformer, not an encoder"),
            ("transformer_blocks.0.", "a diffusion transformer, not an encoder"),
            ("diffusion_model.", "a diffusion model without an encoder in it"),
            ("lora_", "a LoRA, not an encoder"),
            ("decoder.block.0.", "the decoder half of T5, without its encoder"),
            ("decoder.conv_in.", "an image autoencoder (VAE), not an encoder of texts"),
            ("vision_model.encoder.", "the image half of a model, without its text half"),
            ("visual.blocks.0.", "the image half of a model, without its text half"),
        ];
        if seen {
            let found = "an encoder whose tensors do not show how wide its heads are";
            let expected = "config.json beside the .safetensors file";
            return Error::NotAModel { file: self.file.into(), expected, found: found.into() };
        }
        let seems = SEEMS.iter().find(|(part, _)| self.has(part)).map(|(_, seems)| *seems);
        Error::NotAModel {
            file: self.file.into(),
            expected: "the tensors of a text encoder that is known, or config.json beside the .safetensors file",
            found: seems.unwrap_or("no config.json, and tensors of no encoder that is known").into(),
        }
    }
}

/// The families that are looked for, those with the most special names first.
fn candidates() -> impl Iterator<Item = (Family, &'static Scheme)> {
    let order =
        [Family::T5, Family::Clip, Family::XlmRoberta, Family::T5Gemma, Family::Gemma2, Family::Qwen3];
    order.into_iter().flat_map(|family| schemes_of(family).iter().map(move |scheme| (family, scheme)))
}

/// A part of a file that has the names of an encoder.
struct Part<'a> {
    tensors: &'a Tensors<'a>,
    scheme: &'a Scheme,
    prefix: &'a str,
}

impl Part<'_> {
    /// The shape of one of our names.
    fn shape(&self, ours: &str) -> Option<&[usize]> {
        let name = format!("{}{}", self.prefix, self.scheme.name(ours));
        self.tensors.shapes.get(name.as_str()).copied()
    }

    fn rows(&self, ours: &str) -> Option<usize> {
        self.shape(ours)?.first().copied()
    }

    /// The number of layers: those from 0 on.
    fn layers(&self) -> usize {
        let has = |layer: &usize| {
            let start = format!("{}{}", self.prefix, self.scheme.layer.replace("{}", &layer.to_string()));
            self.tensors
                .shapes
                .range(start.as_str()..)
                .next()
                .is_some_and(|(name, _)| name.starts_with(&start))
        };
        (0..1024).take_while(has).count()
    }

    /// The height of the token table.
    fn vocab_size(&self) -> Option<usize> {
        let rows = |table: String| {
            self.tensors.shapes.get(format!("{}{table}", self.prefix).as_str())?.first().copied()
        };
        self.scheme.tables().find_map(rows)
    }

    fn describe(&self, family: Family) -> Option<Detected> {
        match family {
            Family::T5 => self.t5(),
            Family::Clip => self.clip(),
            Family::XlmRoberta => self.xlm_roberta(),
            Family::T5Gemma => self.t5_gemma(),
            Family::Gemma2 => self.gemma(),
            _ => self.llama(),
        }
    }

    fn detected(&self, config: Value, recognized: String, decided: Vec<String>) -> Option<Detected> {
        Some(Detected { config, prefix: self.prefix.into(), recognized, decided })
    }

    fn t5(&self) -> Option<Detected> {
        let own = self.shape("layers.1.self_attn.relative_attention_bias.weight").is_some();
        let bias = self.shape("layers.0.self_attn.relative_attention_bias.weight")?;
        let &[buckets, heads] = bias else { return None };
        let gated = self.shape("layers.0.mlp.gate_proj.weight").is_some();
        let up = self.rows("layers.0.mlp.up_proj.weight")?;
        let (width, layers) = (self.rows("layers.0.input_layernorm.weight")?, self.layers());
        let config = json!({
            "model_type": if own { "umt5" } else { "t5" }, "d_model": width, "d_ff": up, "num_heads": heads,
            "d_kv": self.rows("layers.0.self_attn.q_proj.weight")? / heads.max(1), "num_layers": layers,
            "vocab_size": self.vocab_size()?, "relative_attention_num_buckets": buckets,
            "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6,
            "feed_forward_proj": if gated { "gated-gelu" } else { "relu" },
        });
        let name = if own {
            "UMT5, as each layer has relative biases"
        } else {
            "T5, as one layer has relative biases"
        };
        self.detected(config, format!("{name}: {layers} layers of width {width}"), Vec::new())
    }

    fn clip(&self) -> Option<Detected> {
        let (width, layers) = (self.rows("layers.0.input_layernorm.weight")?, self.layers());
        // OpenAI's model has the quick activation; those of OpenCLIP, also under Hugging Face's names, the exact one.
        let quick = !self.scheme.stacked_qkv && !matches!(width, 1024 | 1280);
        let activation = if quick { "quick_gelu" } else { "gelu" };
        let config = json!({
            "model_type": "clip_text_model", "hidden_size": width, "num_hidden_layers": layers,
            "intermediate_size": self.rows("layers.0.mlp.up_proj.weight")?, "num_attention_heads": width / HEAD,
            "vocab_size": self.vocab_size()?, "max_position_embeddings": self.rows("embed_positions.weight")?,
            "hidden_act": activation, "layer_norm_eps": 1e-5,
        });
        let names = if self.scheme.stacked_qkv { "OpenCLIP's" } else { "Hugging Face's" };
        let decided = vec![format!("the activation is {activation}, and a head is {HEAD} wide")];
        self.detected(config, format!("CLIP by {names} names: {layers} layers of width {width}"), decided)
    }

    fn xlm_roberta(&self) -> Option<Detected> {
        let (width, layers) = (self.rows("embed_norm.weight")?, self.layers());
        let config = json!({
            "model_type": "altclip_text_model", "hidden_size": width, "num_hidden_layers": layers,
            "intermediate_size": self.rows("layers.0.mlp.up_proj.weight")?, "num_attention_heads": width / HEAD,
            "vocab_size": self.vocab_size()?, "max_position_embeddings": self.rows("embed_positions.weight")?,
            "hidden_act": "gelu", "layer_norm_eps": 1e-5, "pad_token_id": 1,
        });
        let decided = vec![format!("a head is {HEAD} wide")];
        self.detected(config, format!("XLM-RoBERTa: {layers} layers of width {width}"), decided)
    }

    /// The sizes that all decoders have; `head_dim` is the width of a head.
    fn sizes(&self, head_dim: usize) -> Option<Value> {
        let heads = |part: &str| {
            let rows = self.rows(&format!("layers.0.self_attn.{part}_proj.weight"))?;
            (rows > 0 && rows.is_multiple_of(head_dim)).then(|| rows / head_dim)
        };
        let (q, kv) = (heads("q")?, heads("k")?);
        Some(json!({
            "hidden_size": self.rows("layers.0.input_layernorm.weight")?, "num_hidden_layers": self.layers(),
            "intermediate_size": self.rows("layers.0.mlp.up_proj.weight")?,
            "num_attention_heads": q, "num_key_value_heads": kv,
            "head_dim": head_dim, "vocab_size": self.vocab_size()?,
        }))
    }

    fn t5_gemma(&self) -> Option<Detected> {
        self.shape("layers.0.post_self_attn_layernorm.weight")?;
        let mut part = self.sizes(256)?;
        add(
            &mut part,
            json!({
                "model_type": "t5_gemma_module", "rms_norm_eps": 1e-6, "rope_theta": 1e4, "sliding_window": 4096,
                "query_pre_attn_scalar": 256, "attn_logit_softcapping": 50.0, "max_position_embeddings": 8192,
            }),
        );
        let decided = vec!["a head is 256 wide, theta is 10000, scores are capped at 50".into()];
        let name = format!("T5Gemma's encoder: {} layers", self.layers());
        self.detected(json!({"model_type": "t5gemma", "encoder": part}), name, decided)
    }

    fn gemma(&self) -> Option<Detected> {
        self.shape("layers.0.post_feedforward_layernorm.weight")?;
        let head = self.rows("layers.0.self_attn.q_norm.weight");
        let mut config = self.sizes(head.unwrap_or(256))?;
        let (layers, width) = (self.layers(), self.rows("layers.0.input_layernorm.weight")?);
        let Some(head) = head else {
            add(
                &mut config,
                json!({
                    "model_type": "gemma2", "rms_norm_eps": 1e-6, "rope_theta": 1e4, "sliding_window": 4096,
                    "query_pre_attn_scalar": 256, "attn_logit_softcapping": 50.0, "max_position_embeddings": 8192,
                }),
            );
            let decided = vec!["a head is 256 wide, theta is 10000, scores are capped at 50".into()];
            return self.detected(config, format!("Gemma 2: {layers} layers of width {width}"), decided);
        };
        add(
            &mut config,
            json!({
                "model_type": "gemma3_text", "rms_norm_eps": 1e-6, "rope_theta": 1e6, "rope_local_base_freq": 1e4,
                "sliding_window": 1024, "query_pre_attn_scalar": head, "max_position_embeddings": 131072,
            }),
        );
        // The model with 26 layers reads short texts alone.
        let scaled = layers != 26;
        if scaled {
            add(&mut config, json!({"rope_scaling": {"rope_type": "linear", "factor": 8.0}}));
        }
        let scaling = if scaled { ", positions of layers without a window are divided by 8" } else { "" };
        let decided = vec![format!("theta is 1000000, and 10000 in layers with a window{scaling}")];
        self.detected(config, format!("Gemma 3: {layers} layers of width {width}"), decided)
    }

    fn llama(&self) -> Option<Detected> {
        let (layers, width) = (self.layers(), self.rows("layers.0.input_layernorm.weight")?);
        self.shape("layers.0.post_attention_layernorm.weight")?;
        let head = self.rows("layers.0.self_attn.q_norm.weight");
        let q = self.rows("layers.0.self_attn.q_proj.weight")?;
        let has_bias = self.shape("layers.0.self_attn.k_proj.bias").is_some();
        let described = |family: &str| format!("{family}: {layers} layers of width {width}");
        if let Some(head) = head {
            let mut config = self.sizes(head)?;
            let vision = self.tensors.has("visual.") || self.tensors.has("deepstack");
            let named =
                self.tensors.file.to_ascii_lowercase().replace(['-', '_', '.', ' '], "").contains("qwen3vl");
            let (family, theta) = if vision || named { ("qwen3_vl_text", 5e6) } else { ("qwen3", 1e6) };
            add(
                &mut config,
                json!({
                    "model_type": family, "rope_theta": theta, "rms_norm_eps": 1e-6, "max_position_embeddings": 40960,
                }),
            );
            let why = match (vision, named) {
                (true, _) => "as the file has an image half",
                (_, true) => "by the name of the file",
                _ => "as nothing speaks for Qwen3-VL, whose theta is 5000000",
            };
            let decided = vec![format!("theta is {theta}, {why}")];
            return self.detected(config, described("Qwen3, as heads have norms"), decided);
        }
        let head =
            if q.is_multiple_of(128) && width >= 2560 || has_bias && width >= 1536 { 128 } else { HEAD };
        let mut config = self.sizes(head)?;
        if has_bias {
            add(
                &mut config,
                json!({
                    "model_type": "qwen2_5_vl_text", "rope_theta": 1e6, "rms_norm_eps": 1e-6,
                    "max_position_embeddings": 32768,
                }),
            );
            let decided = vec![format!("theta is 1000000, and a head is {head} wide")];
            return self.detected(config, described("Qwen2.5, as q, k and v have biases"), decided);
        }
        let (family, name, theta, scaling) = match width {
            5120 => ("mistral", "Mistral Small", 1e9, Value::Null),
            3072 if self.vocab_size()? == 131_072 => {
                let yarn =
                    json!({"rope_type": "yarn", "factor": 16.0, "original_max_position_embeddings": 16384});
                ("mistral", "Ministral 3", 1e6, yarn)
            }
            _ => ("llama", "Llama 3", 5e5, Value::Null),
        };
        let name_of_file = self.tensors.file.to_ascii_lowercase();
        let is_31 = family == "llama"
            && ["3.1", "3_1", "3-1", "31_8b", "3.2", "3_2"].iter().any(|n| name_of_file.contains(n));
        let llama3 = json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192});
        add(
            &mut config,
            json!({
                "model_type": family, "rope_theta": theta, "rms_norm_eps": 1e-5, "max_position_embeddings": 131072,
                "rope_scaling": if is_31 { llama3 } else { scaling },
            }),
        );
        let scaled = match (family, is_31) {
            ("llama", true) => ", scaled as Llama 3.1's, by the name of the file",
            ("llama", false) => ", not scaled as Llama 3.1's would be",
            _ => "",
        };
        let decided = vec![format!("theta is {theta}{scaled}, and a head is {head} wide")];
        self.detected(config, described(&format!("{name}, by its width")), decided)
    }
}

/// Adds the entries of `more`.
fn add(config: &mut Value, more: Value) {
    if let (Value::Object(config), Value::Object(more)) = (config, more) {
        config.extend(more);
    }
}
