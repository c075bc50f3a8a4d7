//! The table of the keys, by place. A key that no list names is told as not read.

use super::record::Value;
use super::{Key, Place, Reading};
use crate::model::{Config, Family};

const ALL: &[Family] = &[Family::Llama, Family::Qwen2, Family::Qwen3, Family::Qwen3Vl];
const LLAMA: &[Family] = &[Family::Llama];
const QWEN2: &[Family] = &[Family::Qwen2];
const QWEN3_VL: &[Family] = &[Family::Qwen3Vl];
/// Families whose classes in transformers have windows of attention.
const WINDOWED: &[Family] = &[Family::Qwen2, Family::Qwen3];
/// Families whose classes have none, and overlook the keys of others.
const WHOLE: &[Family] = &[Family::Llama, Family::Qwen3Vl];
const NOT_QWEN2: &[Family] = &[Family::Llama, Family::Qwen3, Family::Qwen3Vl];
const NOT_LLAMA: &[Family] = &[Family::Qwen2, Family::Qwen3, Family::Qwen3Vl];
const NOT_QWEN3_VL: &[Family] = &[Family::Llama, Family::Qwen2, Family::Qwen3];

/// Every key that is known. Where the same name stands twice, it is for other families.
pub static KEYS: &[Key] = &[
    // --- config.json, or its text_config ---
    applied(Place::Config, "model_type", ALL),
    applied(Place::Config, "text_config", QWEN3_VL),
    refused(Place::Config, "text_config", NOT_QWEN3_VL, "none in a model of text alone", never),
    applied(Place::Config, "hidden_size", ALL),
    applied(Place::Config, "intermediate_size", ALL),
    applied(Place::Config, "num_hidden_layers", ALL),
    applied(Place::Config, "num_attention_heads", ALL),
    applied(Place::Config, "num_key_value_heads", ALL),
    applied(Place::Config, "head_dim", ALL),
    applied(Place::Config, "vocab_size", ALL),
    applied(Place::Config, "rms_norm_eps", ALL),
    applied(Place::Config, "max_position_embeddings", ALL), // texts are cut to it
    applied(Place::Config, "rope_theta", ALL),
    applied(Place::Config, "rope_parameters", ALL),
    applied(Place::Config, "rope_scaling", ALL),
    applied(Place::Config, "is_causal", ALL),
    applied(Place::Config, "use_sliding_window", WINDOWED),
    applied(Place::Config, "sliding_window", WINDOWED),
    applied(Place::Config, "max_window_layers", WINDOWED),
    applied(Place::Config, "layer_types", WINDOWED),
    no_effect(Place::Config, "use_sliding_window", WHOLE, NO_WINDOWS),
    no_effect(Place::Config, "sliding_window", WHOLE, NO_WINDOWS),
    no_effect(Place::Config, "max_window_layers", WHOLE, NO_WINDOWS),
    no_effect(Place::Config, "layer_types", WHOLE, NO_WINDOWS),
    applied(Place::Config, "attention_bias", NOT_QWEN2),
    no_effect(
        Place::Config,
        "attention_bias",
        QWEN2,
        "Qwen2Attention has its own; the biases of the file are added",
    ),
    applied(Place::Config, "mlp_bias", LLAMA),
    no_effect(Place::Config, "mlp_bias", NOT_LLAMA, BIASES),
    no_effect(Place::Config, "qkv_bias", ALL, BIASES),
    no_effect(Place::Config, "use_bias", ALL, BIASES),
    applied(Place::Config, "tie_word_embeddings", ALL),
    applied(Place::Config, "transformers_weights", ALL), // the file of the weights
    refused(Place::Config, "per_layer_config", ALL, "none", empty),
    refused(Place::Config, "tie_last_hidden_states", ALL, "true", on),
    refused(Place::Config, "hidden_act", ALL, SILU, silu),
    refused(Place::Config, "hidden_activation", ALL, SILU, silu),
    refused(Place::Config, "attention_multiplier", ALL, SCALE, attention_scale),
    refused(Place::Config, "query_pre_attn_scalar", ALL, "head_dim", head_dim),
    refused(Place::Config, "attn_logit_softcapping", ALL, "none", zero),
    refused(Place::Config, "embedding_multiplier", ALL, "1", one),
    refused(Place::Config, "embedding_scale", ALL, "1", one),
    refused(Place::Config, "scale_emb", ALL, "1", one),
    refused(Place::Config, "residual_multiplier", ALL, "1", one),
    refused(Place::Config, "residual_scale", ALL, "1", one),
    refused(Place::Config, "scale_depth", ALL, "none", never),
    refused(Place::Config, "clip_qkv", ALL, "none", zero),
    refused(Place::Config, "qk_layernorm", ALL, QK_NORM, qk_norm),
    refused(Place::Config, "qk_norm", ALL, QK_NORM, qk_norm),
    refused(Place::Config, "use_qk_norm", ALL, QK_NORM, qk_norm),
    refused(Place::Config, "alibi", ALL, "false", zero),
    refused(Place::Config, "use_alibi", ALL, "false", zero),
    refused(Place::Config, "attention_chunk_size", ALL, "none", zero),
    refused(Place::Config, "no_rope_layers", ALL, "none", never),
    refused(Place::Config, "no_rope_layer_interval", ALL, "none", zero),
    refused(Place::Config, "num_kv_shared_layers", ALL, "0", zero),
    refused(Place::Config, "num_experts", ALL, "0", zero),
    refused(Place::Config, "num_local_experts", ALL, "0", zero),
    refused(Place::Config, "n_routed_experts", ALL, "0", zero),
    refused(Place::Config, "parallel_attn", ALL, "false", zero),
    refused(Place::Config, "use_parallel_residual", ALL, "false", zero),
    refused(Place::Config, "use_bidirectional_attention", ALL, "false", zero),
    refused(Place::Config, "quantization_config", ALL, PLAIN, empty),
    refused(Place::Config, "compression_config", ALL, PLAIN, empty),
    no_effect(
        Place::Config,
        "partial_rotary_factor",
        ALL,
        "transformers 5.24 turns whole heads of these families",
    ),
    no_effect(Place::Config, "rope_interleaved", ALL, "no class of transformers 5.24 reads it"),
    no_effect(Place::Config, "is_llama_config", ALL, "no class of transformers 5.24 reads it"),
    no_effect(Place::Config, "logit_scale", ALL, HEAD),
    no_effect(Place::Config, "logits_scaling", ALL, HEAD),
    no_effect(Place::Config, "final_logit_softcapping", ALL, HEAD),
    no_effect(Place::Config, "attention_dropout", ALL, TRAINING),
    no_effect(Place::Config, "initializer_range", ALL, TRAINING),
    no_effect(Place::Config, "use_cache", ALL, GENERATION),
    no_effect(Place::Config, "bos_token_id", ALL, GENERATION),
    no_effect(Place::Config, "eos_token_id", ALL, GENERATION),
    no_effect(Place::Config, "pad_token_id", ALL, GENERATION),
    no_effect(Place::Config, "pretraining_tp", ALL, "it splits the same products"),
    no_effect(Place::Config, "architectures", ALL, "the classes around the decoder"),
    no_effect(Place::Config, "transformers_version", ALL, NAMES),
    no_effect(Place::Config, "_name_or_path", ALL, NAMES),
    no_effect(Place::Config, "torch_dtype", ALL, DTYPE),
    no_effect(Place::Config, "dtype", ALL, DTYPE),
    no_effect(Place::Config, "_attn_implementation", ALL, "the same attention by another program"),
    no_effect(Place::Config, "_attn_implementation_autoset", ALL, "the same attention by another program"),
    // --- config.json beside its text_config ---
    applied(Place::Beside, "model_type", ALL),
    applied(Place::Beside, "text_config", ALL),
    applied(Place::Beside, "tie_word_embeddings", ALL),
    applied(Place::Beside, "transformers_weights", ALL),
    refused(Place::Beside, "tie_last_hidden_states", ALL, "true", on),
    refused(Place::Beside, "quantization_config", ALL, PLAIN, empty),
    refused(Place::Beside, "compression_config", ALL, PLAIN, empty),
    no_effect(Place::Beside, "vision_config", ALL, IMAGES),
    no_effect(Place::Beside, "image_token_id", ALL, IMAGES),
    no_effect(Place::Beside, "video_token_id", ALL, IMAGES),
    no_effect(Place::Beside, "vision_start_token_id", ALL, IMAGES),
    no_effect(Place::Beside, "vision_end_token_id", ALL, IMAGES),
    no_effect(Place::Beside, "bos_token_id", ALL, GENERATION),
    no_effect(Place::Beside, "eos_token_id", ALL, GENERATION),
    no_effect(Place::Beside, "pad_token_id", ALL, GENERATION),
    no_effect(Place::Beside, "architectures", ALL, "the classes around the decoder"),
    no_effect(Place::Beside, "transformers_version", ALL, NAMES),
    no_effect(Place::Beside, "_name_or_path", ALL, NAMES),
    no_effect(Place::Beside, "torch_dtype", ALL, DTYPE),
    no_effect(Place::Beside, "dtype", ALL, DTYPE),
    // --- rope_parameters, rope_scaling ---
    applied(Place::Rope, "rope_type", ALL),
    applied(Place::Rope, "type", ALL),
    applied(Place::Rope, "rope_theta", ALL),
    applied(Place::Rope, "factor", ALL),
    refused(Place::Rope, "partial_rotary_factor", ALL, "1 with a linear factor", whole_or_default),
    no_effect(Place::Rope, "mrope_section", ALL, "the positions of text are the same in all sections"),
    no_effect(Place::Rope, "mrope_interleaved", ALL, "the positions of text are the same in all sections"),
    no_effect(Place::Rope, "original_max_position_embeddings", ALL, OTHER_TYPE),
    no_effect(Place::Rope, "attention_factor", ALL, OTHER_TYPE),
    no_effect(Place::Rope, "beta_fast", ALL, OTHER_TYPE),
    no_effect(Place::Rope, "beta_slow", ALL, OTHER_TYPE),
    no_effect(Place::Rope, "mscale", ALL, OTHER_TYPE),
    no_effect(Place::Rope, "mscale_all_dim", ALL, OTHER_TYPE),
    no_effect(Place::Rope, "truncate", ALL, OTHER_TYPE),
    no_effect(Place::Rope, "low_freq_factor", ALL, OTHER_TYPE),
    no_effect(Place::Rope, "high_freq_factor", ALL, OTHER_TYPE),
    no_effect(Place::Rope, "short_factor", ALL, OTHER_TYPE),
    no_effect(Place::Rope, "long_factor", ALL, OTHER_TYPE),
    // --- GGUF metadata of the architecture ---
    applied(Place::Gguf, "embedding_length", ALL),
    applied(Place::Gguf, "feed_forward_length", ALL),
    applied(Place::Gguf, "block_count", ALL),
    applied(Place::Gguf, "attention.head_count", ALL),
    applied(Place::Gguf, "attention.head_count_kv", ALL),
    applied(Place::Gguf, "attention.key_length", ALL),
    applied(Place::Gguf, "attention.layer_norm_rms_epsilon", ALL),
    applied(Place::Gguf, "context_length", ALL),
    applied(Place::Gguf, "rope.freq_base", ALL),
    applied(Place::Gguf, "rope.scaling.type", ALL),
    applied(Place::Gguf, "rope.scaling.factor", ALL),
    applied(Place::Gguf, "rope.scale_linear", ALL),
    applied(Place::Gguf, "attention.causal", ALL),
    refused(Place::Gguf, "attention.value_length", ALL, "the length of keys", head_dim),
    refused(
        Place::Gguf,
        "rope.dimension_count",
        ALL,
        "a rotation of the whole head (partial rotary is not)",
        head_dim,
    ),
    refused(Place::Gguf, "hidden_activation", ALL, SILU, silu),
    refused(Place::Gguf, "attention.sliding_window", ALL, "none, or one that no text reaches", no_window),
    refused(Place::Gguf, "attention.scale", ALL, SCALE, attention_scale),
    refused(Place::Gguf, "attention.output_scale", ALL, "1", one),
    refused(Place::Gguf, "attention.value_scale", ALL, "1", one),
    refused(Place::Gguf, "attention.temperature_scale", ALL, "0", zero),
    refused(Place::Gguf, "attention.temperature_length", ALL, "0", zero),
    refused(Place::Gguf, "attention.clamp_kqv", ALL, "0", zero),
    refused(Place::Gguf, "attention.max_alibi_bias", ALL, "0", zero),
    refused(Place::Gguf, "attention.shared_kv_layers", ALL, "0", zero),
    refused(Place::Gguf, "attention.chunk_size", ALL, "0", zero),
    refused(Place::Gguf, "attn_logit_softcapping", ALL, "0", zero),
    refused(Place::Gguf, "embedding_scale", ALL, "1", one_or_zero),
    refused(Place::Gguf, "residual_scale", ALL, "1", one_or_zero),
    refused(Place::Gguf, "rope.scaling.attn_factor", ALL, "1", one),
    refused(Place::Gguf, "rope.scaling.yarn_log_multiplier", ALL, "0", zero),
    refused(Place::Gguf, "expert_count", ALL, "0", zero),
    refused(Place::Gguf, "nextn_predict_layers", ALL, "0", zero),
    refused(Place::Gguf, "use_parallel_residual", ALL, "false", zero),
    no_effect(
        Place::Gguf,
        "attention.sliding_window_pattern",
        ALL,
        "it says which layers have a window, which is refused",
    ),
    no_effect(Place::Gguf, "rope.freq_base_swa", ALL, "it is of layers with a window, which is refused"),
    no_effect(
        Place::Gguf,
        "rope.dimension_count_swa",
        ALL,
        "it is of layers with a window, which is refused",
    ),
    no_effect(Place::Gguf, "rope.scaling.original_context_length", ALL, OTHER_TYPE),
    no_effect(Place::Gguf, "rope.scaling.finetuned", ALL, NAMES),
    no_effect(Place::Gguf, "rope.scaling.yarn_ext_factor", ALL, OTHER_TYPE),
    no_effect(Place::Gguf, "rope.scaling.yarn_attn_factor", ALL, OTHER_TYPE),
    no_effect(Place::Gguf, "rope.scaling.yarn_beta_fast", ALL, OTHER_TYPE),
    no_effect(Place::Gguf, "rope.scaling.yarn_beta_slow", ALL, OTHER_TYPE),
    no_effect(
        Place::Gguf,
        "rope.dimension_sections",
        ALL,
        "the positions of text are the same in all sections",
    ),
    no_effect(Place::Gguf, "n_deepstack_layers", ALL, IMAGES),
    no_effect(Place::Gguf, "vocab_size", ALL, "the token table says it"),
    no_effect(Place::Gguf, "logit_scale", ALL, HEAD),
    no_effect(Place::Gguf, "final_logit_softcapping", ALL, HEAD),
    no_effect(Place::Gguf, "pooling_type", ALL, "the pooling is chosen by whoever embeds"),
    no_effect(Place::Gguf, "attention.layer_norm_epsilon", ALL, "these families have RMS norms alone"),
    no_effect(Place::Gguf, "expert_used_count", ALL, "there are no experts: expert_count is refused"),
    no_effect(Place::Gguf, "tensor_data_layout", ALL, NAMES),
    // --- other GGUF metadata ---
    applied(Place::File, "general.architecture", ALL),
    applied(Place::File, "general.alignment", ALL),
    applied(Place::File, "split.*", ALL),
    no_effect(Place::File, "general.*", ALL, NAMES),
    no_effect(Place::File, "quantize.*", ALL, NAMES),
    no_effect(Place::File, "tokenizer.*", ALL, "it is the tokenizer's"),
];

const SILU: &str = "silu or swish";
const SCALE: &str = "1 / sqrt(head_dim)";
const QK_NORM: &str = "true for qwen3 and qwen3vl, false for others";
const PLAIN: &str = "none: weights that are stored as they are, or in GGUF's types";
const NO_WINDOWS: &str = "the classes of this family in transformers 5.24 have no windows";
const BIASES: &str = "the biases of the file are added";
const HEAD: &str = "it is of the output head, which is not used";
const TRAINING: &str = "it is of training";
const GENERATION: &str = "it is of generation";
const NAMES: &str = "a note";
const DTYPE: &str = "the type of the reference's arithmetic";
const IMAGES: &str = "it is of images";
const OTHER_TYPE: &str = "it is of a type of scaling that is refused";

const fn applied(place: Place, name: &'static str, families: &'static [Family]) -> Key {
    Key { place, name, families, reading: Reading::Applied, neutral: never }
}

const fn refused(
    place: Place,
    name: &'static str,
    families: &'static [Family],
    unless: &'static str,
    neutral: fn(Value, &Config) -> bool,
) -> Key {
    Key { place, name, families, reading: Reading::Refused(unless), neutral }
}

const fn no_effect(
    place: Place,
    name: &'static str,
    families: &'static [Family],
    because: &'static str,
) -> Key {
    Key { place, name, families, reading: Reading::NoEffect(because), neutral: never }
}

fn never(_: Value, _: &Config) -> bool {
    false
}

fn silu(value: Value, _: &Config) -> bool {
    matches!(value.text(), Some("silu" | "swish"))
}

/// Zero or false: nothing is capped, clamped, shared or switched on.
fn zero(value: Value, _: &Config) -> bool {
    value.float() == Some(0.0) || value.flag() == Some(false)
}

fn on(value: Value, _: &Config) -> bool {
    value.flag() == Some(true)
}

fn one(value: Value, _: &Config) -> bool {
    value.float() == Some(1.0)
}

/// llama.cpp takes a factor of 0 for none.
fn one_or_zero(value: Value, _: &Config) -> bool {
    matches!(value.float(), Some(0.0 | 1.0))
}

fn head_dim(value: Value, config: &Config) -> bool {
    value.float() == Some(config.head_dim as f64) || value.size() == Some(config.head_dim)
}

/// The scale that attention has anyway, as an f32 may hold it; llama.cpp takes 0 for it.
fn attention_scale(value: Value, config: &Config) -> bool {
    let usual = (config.head_dim as f64).powf(-0.5);
    value.float().is_some_and(|scale| (scale - usual).abs() <= 1e-6 * usual)
        || matches!(value, Value::Gguf(_)) && value.float() == Some(0.0)
}

fn qk_norm(value: Value, config: &Config) -> bool {
    value.flag() == Some(config.qk_norm)
}

/// A window that no text reaches.
fn no_window(value: Value, config: &Config) -> bool {
    value.size().is_some_and(|window| window == 0 || window >= config.longest_text())
}

/// Without scaling the factor is overlooked.
fn whole_or_default(value: Value, config: &Config) -> bool {
    config.rope_factor == 1.0 || value.float() == Some(1.0)
}

fn empty(value: Value, _: &Config) -> bool {
    matches!(value, Value::Json(serde_json::Value::Object(record)) if record.is_empty())
}
