//! The table of the keys, by place. A key that no list names is told as not read.

use super::record::Value;
use super::{Key, Place, Reading};
use crate::model::{Config, Family, RopeScaling};

use Family::*;

/// The decoders of the llama kind, and T5Gemma's encoder, which has their keys.
const ALL: &[Family] = &[Llama, Mistral, SmolLm3, Qwen2, Qwen2Vl, Qwen3, Qwen3Vl, Gemma2, Gemma3, T5Gemma];
const GEMMA: &[Family] = &[Gemma2, Gemma3, T5Gemma];
const NOT_GEMMA: &[Family] = &[Llama, Mistral, SmolLm3, Qwen2, Qwen2Vl, Qwen3, Qwen3Vl];
const GEMMA3: &[Family] = &[Gemma3];
const NOT_GEMMA3: &[Family] = &[Llama, Mistral, SmolLm3, Qwen2, Qwen2Vl, Qwen3, Qwen3Vl, Gemma2, T5Gemma];
const SMOLLM3: &[Family] = &[SmolLm3];
const NOT_SMOLLM3: &[Family] = &[Llama, Mistral, Qwen2, Qwen2Vl, Qwen3, Qwen3Vl, Gemma2, Gemma3, T5Gemma];
/// Families whose classes in transformers have windows of attention.
const WINDOWED: &[Family] = &[Mistral, SmolLm3, Qwen2, Qwen2Vl, Qwen3, Gemma2, Gemma3, T5Gemma];
/// Those of them that ask `use_sliding_window` and `max_window_layers`.
const ASKED: &[Family] = &[SmolLm3, Qwen2, Qwen2Vl, Qwen3];
const NOT_ASKED: &[Family] = &[Llama, Mistral, Qwen3Vl, Gemma2, Gemma3, T5Gemma];
/// Families whose classes have none, and overlook the keys of others.
const WHOLE: &[Family] = &[Llama, Qwen3Vl];
/// Families whose classes have biases on q, k and v whatever `attention_bias` says.
const QWEN2: &[Family] = &[Qwen2, Qwen2Vl];
const NOT_QWEN2: &[Family] = &[Llama, Mistral, SmolLm3, Qwen3, Qwen3Vl, Gemma2, Gemma3, T5Gemma];
const MLP_BIAS: &[Family] = &[Llama, SmolLm3];
const NOT_MLP_BIAS: &[Family] = &[Mistral, Qwen2, Qwen2Vl, Qwen3, Qwen3Vl, Gemma2, Gemma3, T5Gemma];
/// Families whose config.json may hold the text part under a key of its own, and those that don't.
const PARTS: &[Family] = &[Mistral, Qwen2Vl, Qwen3Vl, Gemma3, T5Gemma, Clip, XlmRoberta];
const ALONE: &[Family] = &[Llama, SmolLm3, Qwen2, Qwen3, Gemma2, T5, Umt5];
const VISION: &[Family] = &[Qwen2Vl, Qwen3Vl];
const T5S: &[Family] = &[T5, Umt5];
const CLIP: &[Family] = &[Clip];
const XLM_ROBERTA: &[Family] = &[XlmRoberta];
/// Encoders whose keys are named as BERT's.
const BERTS: &[Family] = &[Clip, XlmRoberta];
const EVERY: &[Family] = Family::ALL;
/// Families that GGUF files have.
const IN_GGUF: &[Family] =
    &[Llama, Mistral, SmolLm3, Qwen2, Qwen2Vl, Qwen3, Qwen3Vl, Gemma2, Gemma3, T5Gemma, T5, Umt5];
const GEMMA2: &[Family] = &[Gemma2];
const NOT_GEMMA2: &[Family] = &[Llama, Mistral, SmolLm3, Qwen2, Qwen2Vl, Qwen3, Qwen3Vl, Gemma3, T5Gemma];

/// Every key that is known. Where the same name stands twice, it is for other families.
pub static KEYS: &[Key] = &[
    // --- config.json, or its text_config ---
    applied(Place::Config, "model_type", EVERY),
    applied(Place::Config, "text_config", PARTS),
    applied(Place::Config, "llm_config", PARTS),
    applied(Place::Config, "encoder", PARTS),
    refused(Place::Config, "text_config", ALONE, "none in a model of text alone", never),
    refused(Place::Config, "llm_config", ALONE, "none in a model of text alone", never),
    refused(Place::Config, "encoder", ALONE, "none in a model of text alone", never),
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
    applied(Place::Config, "use_sliding_window", ASKED),
    applied(Place::Config, "sliding_window", WINDOWED),
    applied(Place::Config, "max_window_layers", ASKED),
    applied(Place::Config, "layer_types", WINDOWED),
    applied(Place::Config, "sliding_window_pattern", GEMMA3),
    applied(Place::Config, "_sliding_window_pattern", GEMMA3),
    applied(Place::Config, "rope_local_base_freq", GEMMA3),
    no_effect(Place::Config, "use_sliding_window", NOT_ASKED, NO_WINDOWS),
    no_effect(Place::Config, "sliding_window", WHOLE, NO_WINDOWS),
    no_effect(Place::Config, "max_window_layers", NOT_ASKED, NO_WINDOWS),
    no_effect(Place::Config, "layer_types", WHOLE, NO_WINDOWS),
    applied(Place::Config, "attention_bias", NOT_QWEN2),
    no_effect(
        Place::Config,
        "attention_bias",
        QWEN2,
        "Qwen2Attention has its own; the biases of the file are added",
    ),
    applied(Place::Config, "mlp_bias", MLP_BIAS),
    no_effect(Place::Config, "mlp_bias", NOT_MLP_BIAS, BIASES),
    no_effect(Place::Config, "qkv_bias", ALL, BIASES),
    no_effect(Place::Config, "use_bias", ALL, BIASES),
    applied(Place::Config, "tie_word_embeddings", EVERY),
    applied(Place::Config, "transformers_weights", EVERY), // the file of the weights
    refused(Place::Config, "per_layer_config", EVERY, "none", empty),
    refused(Place::Config, "tie_last_hidden_states", EVERY, "true", on),
    applied(Place::Config, "hidden_act", NOT_GEMMA),
    applied(Place::Config, "hidden_activation", GEMMA),
    no_effect(Place::Config, "hidden_act", GEMMA, "the classes of this family read hidden_activation"),
    refused(Place::Config, "hidden_activation", NOT_GEMMA, SILU, silu),
    refused(Place::Config, "attention_multiplier", ALL, SCALE, attention_scale),
    applied(Place::Config, "query_pre_attn_scalar", GEMMA),
    applied(Place::Config, "attn_logit_softcapping", GEMMA),
    refused(Place::Config, "query_pre_attn_scalar", NOT_GEMMA, "head_dim", head_dim),
    refused(Place::Config, "attn_logit_softcapping", NOT_GEMMA, "none", zero),
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
    applied(Place::Config, "no_rope_layers", SMOLLM3),
    applied(Place::Config, "no_rope_layer_interval", SMOLLM3),
    refused(Place::Config, "no_rope_layers", NOT_SMOLLM3, "none", never),
    refused(Place::Config, "no_rope_layer_interval", NOT_SMOLLM3, "none", zero),
    refused(Place::Config, "num_kv_shared_layers", ALL, "0", zero),
    refused(Place::Config, "num_experts", ALL, "0", zero),
    refused(Place::Config, "num_local_experts", ALL, "0", zero),
    refused(Place::Config, "n_routed_experts", ALL, "0", zero),
    refused(Place::Config, "parallel_attn", ALL, "false", zero),
    refused(Place::Config, "use_parallel_residual", ALL, "false", zero),
    refused(Place::Config, "use_bidirectional_attention", ALL, "false", zero),
    refused(Place::Config, "quantization_config", EVERY, PLAIN, stored_so),
    refused(Place::Config, "compression_config", EVERY, PLAIN, stored_so),
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
    no_effect(Place::Config, "initializer_range", EVERY, TRAINING),
    no_effect(Place::Config, "use_cache", EVERY, GENERATION),
    no_effect(Place::Config, "bos_token_id", EVERY, GENERATION),
    no_effect(Place::Config, "eos_token_id", EVERY, GENERATION),
    no_effect(Place::Config, "pad_token_id", ALL, GENERATION),
    no_effect(Place::Config, "pad_token_id", T5S, GENERATION),
    no_effect(Place::Config, "pad_token_id", CLIP, GENERATION),
    no_effect(Place::Config, "cache_implementation", GEMMA, GENERATION),
    no_effect(Place::Config, "pretraining_tp", ALL, "it splits the same products"),
    no_effect(Place::Config, "architectures", EVERY, "the classes around the decoder"),
    no_effect(Place::Config, "transformers_version", EVERY, NAMES),
    no_effect(Place::Config, "_name_or_path", EVERY, NAMES),
    no_effect(Place::Config, "torch_dtype", EVERY, DTYPE),
    no_effect(Place::Config, "dtype", EVERY, DTYPE),
    no_effect(Place::Config, "_attn_implementation", EVERY, "the same attention by another program"),
    no_effect(Place::Config, "_attn_implementation_autoset", EVERY, "the same attention by another program"),
    // --- config.json of vision-language models that have their text part beside the image part ---
    no_effect(Place::Config, "vision_config", VISION, IMAGES),
    no_effect(Place::Config, "image_token_id", VISION, IMAGES),
    no_effect(Place::Config, "video_token_id", VISION, IMAGES),
    no_effect(Place::Config, "vision_token_id", VISION, IMAGES),
    no_effect(Place::Config, "vision_start_token_id", VISION, IMAGES),
    no_effect(Place::Config, "vision_end_token_id", VISION, IMAGES),
    // --- config.json of T5, UMT5 and ByT5 ---
    applied(Place::Config, "d_model", T5S),
    applied(Place::Config, "d_ff", T5S),
    applied(Place::Config, "d_kv", T5S),
    applied(Place::Config, "num_heads", T5S),
    applied(Place::Config, "num_layers", T5S),
    applied(Place::Config, "vocab_size", T5S),
    applied(Place::Config, "layer_norm_epsilon", T5S),
    applied(Place::Config, "relative_attention_num_buckets", T5S),
    applied(Place::Config, "relative_attention_max_distance", T5S),
    applied(Place::Config, "feed_forward_proj", T5S),
    applied(Place::Config, "dense_act_fn", T5S),
    applied(Place::Config, "is_gated_act", T5S),
    refused(Place::Config, "is_decoder", T5S, "false", zero),
    no_effect(Place::Config, "is_encoder_decoder", T5S, "the encoder alone is read"),
    no_effect(Place::Config, "num_decoder_layers", T5S, DECODER),
    no_effect(Place::Config, "decoder_start_token_id", T5S, DECODER),
    no_effect(Place::Config, "scale_decoder_outputs", T5S, DECODER),
    no_effect(Place::Config, "n_positions", T5S, "distances have biases, and positions none"),
    no_effect(Place::Config, "output_past", T5S, GENERATION),
    no_effect(Place::Config, "tokenizer_class", T5S, NAMES),
    no_effect(Place::Config, "task_specific_params", T5S, GENERATION),
    no_effect(Place::Config, "dropout_rate", T5S, TRAINING),
    no_effect(Place::Config, "classifier_dropout", T5S, TRAINING),
    no_effect(Place::Config, "initializer_factor", T5S, TRAINING),
    // --- config.json of CLIP and XLM-RoBERTa ---
    applied(Place::Config, "hidden_size", BERTS),
    applied(Place::Config, "intermediate_size", BERTS),
    applied(Place::Config, "num_hidden_layers", BERTS),
    applied(Place::Config, "num_attention_heads", BERTS),
    applied(Place::Config, "vocab_size", BERTS),
    applied(Place::Config, "max_position_embeddings", BERTS),
    applied(Place::Config, "layer_norm_eps", BERTS),
    applied(Place::Config, "hidden_act", BERTS),
    applied(Place::Config, "pad_token_id", XLM_ROBERTA), // positions begin after it
    refused(Place::Config, "position_embedding_type", XLM_ROBERTA, "absolute", absolute),
    refused(Place::Config, "type_vocab_size", XLM_ROBERTA, "1", one),
    refused(Place::Config, "is_decoder", XLM_ROBERTA, "false", zero),
    no_effect(Place::Config, "projection_dim", BERTS, PROJECTION),
    no_effect(Place::Config, "project_dim", XLM_ROBERTA, PROJECTION),
    no_effect(Place::Config, "pooler_fn", XLM_ROBERTA, PROJECTION),
    no_effect(Place::Config, "dropout", CLIP, TRAINING),
    no_effect(Place::Config, "attention_dropout", CLIP, TRAINING),
    no_effect(Place::Config, "hidden_dropout_prob", XLM_ROBERTA, TRAINING),
    no_effect(Place::Config, "attention_probs_dropout_prob", XLM_ROBERTA, TRAINING),
    no_effect(Place::Config, "initializer_factor", BERTS, TRAINING),
    // --- config.json of T5Gemma's encoder ---
    no_effect(Place::Config, "dropout_rate", GEMMA, TRAINING),
    refused(Place::Config, "is_decoder", GEMMA, "false", zero),
    // --- config.json beside its text_config ---
    applied(Place::Beside, "model_type", EVERY),
    applied(Place::Beside, "text_config", EVERY),
    applied(Place::Beside, "tie_word_embeddings", EVERY),
    applied(Place::Beside, "transformers_weights", EVERY),
    refused(Place::Beside, "tie_last_hidden_states", EVERY, "true", on),
    refused(Place::Beside, "quantization_config", EVERY, PLAIN, stored_so),
    refused(Place::Beside, "compression_config", EVERY, PLAIN, stored_so),
    no_effect(Place::Beside, "vision_config", EVERY, IMAGES),
    no_effect(Place::Beside, "image_token_id", EVERY, IMAGES),
    no_effect(Place::Beside, "video_token_id", EVERY, IMAGES),
    no_effect(Place::Beside, "vision_start_token_id", EVERY, IMAGES),
    no_effect(Place::Beside, "vision_end_token_id", EVERY, IMAGES),
    applied(Place::Beside, "llm_config", EVERY),
    applied(Place::Beside, "encoder", EVERY),
    no_effect(Place::Beside, "decoder", EVERY, DECODER),
    no_effect(Place::Beside, "is_encoder_decoder", EVERY, "the encoder alone is read"),
    no_effect(Place::Beside, "vocab_size", EVERY, "the text part has its own"),
    no_effect(Place::Beside, "dropout_rate", EVERY, TRAINING),
    no_effect(Place::Beside, "attention_dropout", EVERY, TRAINING),
    no_effect(Place::Beside, "classifier_dropout_rate", EVERY, TRAINING),
    no_effect(Place::Beside, "initializer_range", EVERY, TRAINING),
    no_effect(Place::Beside, "initializer_factor", EVERY, TRAINING),
    no_effect(Place::Beside, "logit_scale_init_value", EVERY, TRAINING),
    no_effect(Place::Beside, "projection_dim", EVERY, PROJECTION),
    no_effect(Place::Beside, "image_token_index", EVERY, IMAGES),
    no_effect(Place::Beside, "boi_token_index", EVERY, IMAGES),
    no_effect(Place::Beside, "eoi_token_index", EVERY, IMAGES),
    no_effect(Place::Beside, "mm_tokens_per_image", EVERY, IMAGES),
    no_effect(Place::Beside, "bos_token_id", EVERY, GENERATION),
    no_effect(Place::Beside, "eos_token_id", EVERY, GENERATION),
    no_effect(Place::Beside, "pad_token_id", EVERY, GENERATION),
    no_effect(Place::Beside, "architectures", EVERY, "the classes around the decoder"),
    no_effect(Place::Beside, "transformers_version", EVERY, NAMES),
    no_effect(Place::Beside, "_name_or_path", EVERY, NAMES),
    no_effect(Place::Beside, "torch_dtype", EVERY, DTYPE),
    no_effect(Place::Beside, "dtype", EVERY, DTYPE),
    // --- rope_parameters, rope_scaling ---
    applied(Place::Rope, "rope_type", ALL),
    applied(Place::Rope, "type", ALL),
    applied(Place::Rope, "rope_theta", ALL),
    applied(Place::Rope, "factor", ALL),
    refused(Place::Rope, "partial_rotary_factor", ALL, "1 with a linear factor", whole_or_default),
    no_effect(Place::Rope, "mrope_section", ALL, "the positions of text are the same in all sections"),
    no_effect(Place::Rope, "mrope_interleaved", ALL, "the positions of text are the same in all sections"),
    applied(Place::Rope, "original_max_position_embeddings", ALL),
    applied(Place::Rope, "attention_factor", ALL),
    applied(Place::Rope, "beta_fast", ALL),
    applied(Place::Rope, "beta_slow", ALL),
    applied(Place::Rope, "mscale", ALL),
    applied(Place::Rope, "mscale_all_dim", ALL),
    applied(Place::Rope, "truncate", ALL),
    applied(Place::Rope, "low_freq_factor", ALL),
    applied(Place::Rope, "high_freq_factor", ALL),
    no_effect(Place::Rope, "short_factor", ALL, OTHER_TYPE),
    no_effect(Place::Rope, "long_factor", ALL, OTHER_TYPE),
    // --- GGUF metadata of the architecture ---
    applied(Place::Gguf, "embedding_length", IN_GGUF),
    applied(Place::Gguf, "feed_forward_length", IN_GGUF),
    applied(Place::Gguf, "block_count", IN_GGUF),
    applied(Place::Gguf, "attention.head_count", IN_GGUF),
    applied(Place::Gguf, "attention.head_count_kv", IN_GGUF),
    applied(Place::Gguf, "attention.key_length", IN_GGUF),
    applied(Place::Gguf, "attention.layer_norm_rms_epsilon", IN_GGUF),
    applied(Place::Gguf, "context_length", ALL),
    applied(Place::Gguf, "rope.freq_base", ALL),
    applied(Place::Gguf, "rope.scaling.type", ALL),
    applied(Place::Gguf, "rope.scaling.factor", ALL),
    applied(Place::Gguf, "rope.scale_linear", ALL),
    applied(Place::Gguf, "attention.causal", ALL),
    refused(Place::Gguf, "attention.value_length", IN_GGUF, "the length of keys", head_dim),
    applied(Place::Gguf, "attention.relative_buckets_count", T5S),
    no_effect(Place::Gguf, "context_length", T5S, "distances have biases, and positions none"),
    no_effect(Place::Gguf, "attention.layer_norm_epsilon", T5S, "these families have RMS norms alone"),
    no_effect(Place::Gguf, "decoder_start_token_id", T5S, DECODER),
    no_effect(Place::Gguf, "decoder_block_count", T5S, DECODER),
    no_effect(Place::Gguf, "vocab_size", T5S, "the token table says it"),
    refused(
        Place::Gguf,
        "rope.dimension_count",
        ALL,
        "a rotation of the whole head (partial rotary is not)",
        head_dim,
    ),
    refused(Place::Gguf, "hidden_activation", ALL, SILU, silu),
    applied(Place::Gguf, "attention.sliding_window", GEMMA),
    refused(
        Place::Gguf,
        "attention.sliding_window",
        NOT_GEMMA,
        "none, or one that no text reaches",
        no_window,
    ),
    refused(Place::Gguf, "attention.scale", ALL, SCALE, attention_scale),
    refused(Place::Gguf, "attention.output_scale", ALL, "1", one),
    refused(Place::Gguf, "attention.value_scale", ALL, "1", one),
    refused(Place::Gguf, "attention.temperature_scale", ALL, "0", zero),
    refused(Place::Gguf, "attention.temperature_length", ALL, "0", zero),
    refused(Place::Gguf, "attention.clamp_kqv", ALL, "0", zero),
    refused(Place::Gguf, "attention.max_alibi_bias", ALL, "0", zero),
    refused(Place::Gguf, "attention.shared_kv_layers", ALL, "0", zero),
    refused(Place::Gguf, "attention.chunk_size", ALL, "0", zero),
    applied(Place::Gguf, "attn_logit_softcapping", GEMMA2),
    refused(Place::Gguf, "attn_logit_softcapping", NOT_GEMMA2, "0", zero),
    refused(Place::Gguf, "embedding_scale", ALL, "1", one_or_zero),
    refused(Place::Gguf, "residual_scale", ALL, "1", one_or_zero),
    refused(Place::Gguf, "rope.scaling.attn_factor", ALL, "1", one),
    refused(Place::Gguf, "rope.scaling.yarn_log_multiplier", ALL, "0", zero),
    refused(Place::Gguf, "expert_count", ALL, "0", zero),
    refused(Place::Gguf, "nextn_predict_layers", ALL, "0", zero),
    refused(Place::Gguf, "use_parallel_residual", ALL, "false", zero),
    refused(Place::Gguf, "attention.sliding_window_pattern", GEMMA, "the family's own pattern", pattern),
    no_effect(
        Place::Gguf,
        "attention.sliding_window_pattern",
        NOT_GEMMA,
        "it says which layers have a window, which is refused",
    ),
    applied(Place::Gguf, "rope.freq_base_swa", GEMMA3),
    no_effect(
        Place::Gguf,
        "rope.freq_base_swa",
        NOT_GEMMA3,
        "it is of layers with a window, which is refused",
    ),
    no_effect(
        Place::Gguf,
        "rope.dimension_count_swa",
        ALL,
        "it is of layers with a window, which is refused",
    ),
    applied(Place::Gguf, "rope.scaling.original_context_length", ALL),
    no_effect(Place::Gguf, "rope.scaling.finetuned", ALL, NAMES),
    refused(Place::Gguf, "rope.scaling.yarn_ext_factor", ALL, "1 with YaRN", one_or_no_yarn),
    refused(Place::Gguf, "rope.scaling.yarn_attn_factor", ALL, "1 with YaRN", one_or_no_yarn),
    applied(Place::Gguf, "rope.scaling.yarn_beta_fast", ALL),
    applied(Place::Gguf, "rope.scaling.yarn_beta_slow", ALL),
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
    applied(Place::File, "general.architecture", EVERY),
    applied(Place::File, "general.alignment", EVERY),
    applied(Place::File, "split.*", EVERY),
    no_effect(Place::File, "general.*", EVERY, NAMES),
    no_effect(Place::File, "quantize.*", EVERY, NAMES),
    no_effect(Place::File, "tokenizer.*", EVERY, "it is the tokenizer's"),
];

const SILU: &str = "silu or swish";
const SCALE: &str = "1 / sqrt(head_dim)";
const QK_NORM: &str = "true for qwen3 and qwen3vl, false for others";
const PLAIN: &str = "none, or fp8 (in blocks of 128 by 128), compressed-tensors' quantized floats or integers, or 4 bits of \
                     bitsandbytes";
const NO_WINDOWS: &str = "the classes of this family in transformers 5.24 have no windows";
const BIASES: &str = "the biases of the file are added";
const HEAD: &str = "it is of the output head, which is not used";
const TRAINING: &str = "it is of training";
const GENERATION: &str = "it is of generation";
const NAMES: &str = "a note";
const DTYPE: &str = "the type of the reference's arithmetic";
const IMAGES: &str = "it is of images";
const OTHER_TYPE: &str = "it is of a type of scaling that is refused";
const DECODER: &str = "it is of the decoder";
const PROJECTION: &str = "it is of what follows the network";

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

fn empty(value: Value, _: &Config) -> bool {
    matches!(value, Value::Json(serde_json::Value::Object(record)) if record.is_empty())
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
    let scaled = config.ropes().iter().any(|rope| rope.scaling != RopeScaling::None);
    !scaled || value.float() == Some(1.0)
}

fn one_or_no_yarn(value: Value, config: &Config) -> bool {
    let yarn = config.ropes().iter().any(|rope| matches!(rope.scaling, RopeScaling::Yarn { .. }));
    !yarn || value.float() == Some(1.0)
}

fn absolute(value: Value, _: &Config) -> bool {
    value.text() == Some("absolute")
}

/// Every other layer, or five of six.
fn pattern(value: Value, config: &Config) -> bool {
    value.size() == Some(if config.family == Gemma2 { 2 } else { 6 })
}

/// Weights that are stored as they are, or so that the tensors beside them say how they are read.
fn stored_so(value: Value, _: &Config) -> bool {
    let Value::Json(serde_json::Value::Object(record)) = value else { return false };
    let word = |key: &str| record.get(key).and_then(serde_json::Value::as_str).unwrap_or_default();
    match word("quant_method") {
        "fp8" => record
            .get("weight_block_size")
            .is_none_or(|size| size.is_null() || *size == serde_json::json!([128, 128])),
        "compressed-tensors" => {
            ["float-quantized", "naive-quantized", "int-quantized"].contains(&word("format"))
        }
        "bitsandbytes" => record.get("load_in_4bit").and_then(serde_json::Value::as_bool) == Some(true),
        _ => record.is_empty(),
    }
}
