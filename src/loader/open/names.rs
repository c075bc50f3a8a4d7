//! The names of tensors: each family, format and exporter has its own. Ours are those of Hugging Face's llama without a
//! prefix; where other families have a part that llama has not, it has a name like them.

use crate::model::{Config, Family};

/// The names of one kind of checkpoint.
pub(super) struct Scheme {
    /// What stands before a layer's tensors; `{}` is its number.
    pub layer: &'static str,
    /// Our names for modules, and those of the checkpoint: of a layer's without what stands before them. A name with
    /// `.weight` is of that tensor alone. Modules without an entry have our names.
    parts: &'static [(&'static str, &'static str)],
    /// Further names of the token table, which are taken where the first one is missing.
    other_tables: &'static [&'static str],
    /// The end of the prefix, where models have parts of the same names.
    pub prefix_end: &'static str,
    /// Whether q, k and v of a layer lie in one tensor.
    pub stacked_qkv: bool,
}

/// The name of the token table.
const TABLE: &str = "embed_tokens.weight";

const LLAMA: Scheme =
    Scheme { layer: "layers.{}.", parts: &[], other_tables: &[], prefix_end: "", stacked_qkv: false };

const GEMMA: Scheme = Scheme {
    parts: &[
        ("post_self_attn_layernorm", "post_attention_layernorm"),
        ("post_attention_layernorm", "pre_feedforward_layernorm"),
    ],
    ..LLAMA
};

const T5_GEMMA: Scheme = Scheme {
    parts: &[
        ("input_layernorm", "pre_self_attn_layernorm"),
        ("post_attention_layernorm", "pre_feedforward_layernorm"),
    ],
    prefix_end: "encoder.",
    ..LLAMA
};

const T5_PARTS: &[(&str, &str)] = &[
    ("embed_tokens", "shared"),
    ("relative_attention_bias", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"),
    ("input_layernorm", "layer.0.layer_norm"),
    ("self_attn.q_proj", "layer.0.SelfAttention.q"),
    ("self_attn.k_proj", "layer.0.SelfAttention.k"),
    ("self_attn.v_proj", "layer.0.SelfAttention.v"),
    ("self_attn.o_proj", "layer.0.SelfAttention.o"),
    ("self_attn.relative_attention_bias", "layer.0.SelfAttention.relative_attention_bias"),
    ("post_attention_layernorm", "layer.1.layer_norm"),
    ("mlp.gate_proj", "layer.1.DenseReluDense.wi_0"),
    ("mlp.up_proj", "layer.1.DenseReluDense.wi_1"),
    ("mlp.down_proj", "layer.1.DenseReluDense.wo"),
    ("norm", "encoder.final_layer_norm"),
];

const T5: Scheme = Scheme {
    layer: "encoder.block.{}.",
    parts: T5_PARTS,
    other_tables: &["encoder.embed_tokens.weight"],
    ..LLAMA
};

/// T5 of before version 1.1, and others whose MLP has no gate.
const T5_PLAIN: Scheme = Scheme {
    parts: &[
        ("embed_tokens", "shared"),
        ("relative_attention_bias", "encoder.block.0.layer.0.SelfAttention.relative_attention_bias"),
        ("input_layernorm", "layer.0.layer_norm"),
        ("self_attn.q_proj", "layer.0.SelfAttention.q"),
        ("self_attn.k_proj", "layer.0.SelfAttention.k"),
        ("self_attn.v_proj", "layer.0.SelfAttention.v"),
        ("self_attn.o_proj", "layer.0.SelfAttention.o"),
        ("self_attn.relative_attention_bias", "layer.0.SelfAttention.relative_attention_bias"),
        ("post_attention_layernorm", "layer.1.layer_norm"),
        ("mlp.up_proj", "layer.1.DenseReluDense.wi"),
        ("mlp.down_proj", "layer.1.DenseReluDense.wo"),
        ("norm", "encoder.final_layer_norm"),
    ],
    ..T5
};

/// Wan's own file of UMT5.
const WAN: Scheme = Scheme {
    layer: "blocks.{}.",
    parts: &[
        ("embed_tokens", "token_embedding"),
        ("relative_attention_bias", "blocks.0.pos_embedding.embedding"),
        ("input_layernorm", "norm1"),
        ("self_attn.q_proj", "attn.q"),
        ("self_attn.k_proj", "attn.k"),
        ("self_attn.v_proj", "attn.v"),
        ("self_attn.o_proj", "attn.o"),
        ("self_attn.relative_attention_bias", "pos_embedding.embedding"),
        ("post_attention_layernorm", "norm2"),
        ("mlp.gate_proj", "ffn.gate.0"),
        ("mlp.up_proj", "ffn.fc1"),
        ("mlp.down_proj", "ffn.fc2"),
    ],
    ..LLAMA
};

const CLIP: Scheme = Scheme {
    layer: "encoder.layers.{}.",
    parts: &[
        ("embed_tokens", "embeddings.token_embedding"),
        ("embed_positions", "embeddings.position_embedding"),
        ("input_layernorm", "layer_norm1"),
        ("self_attn.o_proj", "self_attn.out_proj"),
        ("post_attention_layernorm", "layer_norm2"),
        ("mlp.up_proj", "mlp.fc1"),
        ("mlp.down_proj", "mlp.fc2"),
        ("norm", "final_layer_norm"),
    ],
    ..LLAMA
};

const OPEN_CLIP: Scheme = Scheme {
    layer: "transformer.resblocks.{}.",
    parts: &[
        ("embed_tokens", "token_embedding"),
        ("embed_positions.weight", "positional_embedding"),
        ("input_layernorm", "ln_1"),
        ("self_attn.q_proj", "attn.q_proj"),
        ("self_attn.k_proj", "attn.k_proj"),
        ("self_attn.v_proj", "attn.v_proj"),
        ("self_attn.o_proj", "attn.out_proj"),
        ("post_attention_layernorm", "ln_2"),
        ("mlp.up_proj", "mlp.c_fc"),
        ("mlp.down_proj", "mlp.c_proj"),
        ("norm", "ln_final"),
    ],
    stacked_qkv: true,
    ..LLAMA
};

const XLM_ROBERTA_PARTS: &[(&str, &str)] = &[
    ("embed_tokens", "roberta.embeddings.word_embeddings"),
    ("embed_positions", "roberta.embeddings.position_embeddings"),
    ("embed_token_types", "roberta.embeddings.token_type_embeddings"),
    ("embed_norm", "roberta.embeddings.LayerNorm"),
    ("self_attn.q_proj", "attention.self.query"),
    ("self_attn.k_proj", "attention.self.key"),
    ("self_attn.v_proj", "attention.self.value"),
    ("self_attn.o_proj", "attention.output.dense"),
    ("post_self_attn_layernorm", "attention.output.LayerNorm"),
    ("mlp.up_proj", "intermediate.dense"),
    ("mlp.down_proj", "output.dense"),
    ("post_feedforward_layernorm", "output.LayerNorm"),
];

const XLM_ROBERTA: Scheme = Scheme { layer: "roberta.encoder.layer.{}.", parts: XLM_ROBERTA_PARTS, ..LLAMA };

/// As transformers 5 writes it.
const XLM_ROBERTA_5: Scheme = Scheme { layer: "roberta.encoder.layers.{}.", ..XLM_ROBERTA };

const GGUF_PARTS: &[(&str, &str)] = &[
    ("embed_tokens", "token_embd"),
    ("input_layernorm", "attn_norm"),
    ("post_self_attn_layernorm", "post_attention_norm"),
    ("post_attention_layernorm", "ffn_norm"),
    ("post_feedforward_layernorm", "post_ffw_norm"),
    ("self_attn.q_proj", "attn_q"),
    ("self_attn.k_proj", "attn_k"),
    ("self_attn.v_proj", "attn_v"),
    ("self_attn.o_proj", "attn_output"),
    ("self_attn.q_norm", "attn_q_norm"),
    ("self_attn.k_norm", "attn_k_norm"),
    ("mlp.gate_proj", "ffn_gate"),
    ("mlp.up_proj", "ffn_up"),
    ("mlp.down_proj", "ffn_down"),
    ("norm", "output_norm"),
];

const GGUF: Scheme = Scheme { layer: "blk.{}.", parts: GGUF_PARTS, ..LLAMA };

const GGUF_T5: Scheme = Scheme {
    layer: "enc.blk.{}.",
    parts: &[
        ("embed_tokens", "token_embd"),
        ("relative_attention_bias", "enc.blk.0.attn_rel_b"),
        ("input_layernorm", "attn_norm"),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_o"),
        ("self_attn.relative_attention_bias", "attn_rel_b"),
        ("post_attention_layernorm", "ffn_norm"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("norm", "enc.output_norm"),
    ],
    ..LLAMA
};

/// The names that safetensors checkpoints of such a network have; the usual ones come first.
pub(super) fn schemes(config: &Config) -> &'static [Scheme] {
    match config.family {
        Family::T5 | Family::Umt5 if !config.gated => &[T5_PLAIN],
        Family::T5 | Family::Umt5 => &[T5, WAN],
        family => schemes_of(family),
    }
}

/// All names that checkpoints of a family may have.
pub(super) fn schemes_of(family: Family) -> &'static [Scheme] {
    match family {
        Family::Gemma2 | Family::Gemma3 => &[GEMMA],
        Family::T5Gemma => &[T5_GEMMA],
        Family::T5 | Family::Umt5 => &[T5, T5_PLAIN, WAN],
        Family::Clip => &[CLIP, OPEN_CLIP],
        Family::XlmRoberta => &[XLM_ROBERTA, XLM_ROBERTA_5],
        _ => &[LLAMA],
    }
}

/// The names of GGUF files whose tensors are `names`.
pub(super) fn gguf_scheme<'a>(mut names: impl Iterator<Item = &'a str>) -> &'static Scheme {
    if names.any(|name| name.starts_with("enc.blk.")) { &GGUF_T5 } else { &GGUF }
}

impl Scheme {
    /// The checkpoint's name for one of ours.
    pub(super) fn name(&self, ours: &str) -> String {
        let (before, rest) = match ours.strip_prefix("layers.").and_then(|rest| rest.split_once('.')) {
            Some((layer, rest)) => (self.layer.replace("{}", layer), rest),
            None => (String::new(), ours),
        };
        let find = |part: &str| self.parts.iter().find(|(ours, _)| *ours == part).map(|(_, theirs)| *theirs);
        if let Some(theirs) = find(rest) {
            return format!("{before}{theirs}");
        }
        match rest.rsplit_once('.') {
            Some((module, end)) => format!("{before}{}.{end}", find(module).unwrap_or(module)),
            None => format!("{before}{rest}"),
        }
    }

    /// The names that the token table may have; the first one is taken where a file has several.
    pub(super) fn tables(&self) -> impl Iterator<Item = String> {
        std::iter::once(self.name(TABLE)).chain(self.other_tables.iter().map(|name| (*name).into()))
    }

    /// What the names of all layers begin with.
    pub(super) fn layers(&self) -> &'static str {
        self.layer.split("{}").next().unwrap_or_default()
    }

    /// A tensor that every first layer has.
    pub(super) fn first_layer(&self) -> String {
        if self.stacked_qkv {
            return format!("{}attn.in_proj_weight", self.layer.replace("{}", "0"));
        }
        self.name("layers.0.self_attn.q_proj.weight")
    }
}

/// Whether a tensor is a buffer that some exports hold beside the weights, and whose values follow from the
/// configuration: the frequencies and tables of the rotation, the mask of causality, the list of positions.
pub(super) fn is_buffer(name: &str) -> bool {
    const BUFFERS: [&str; 9] = [
        "rotary_emb.inv_freq",
        "rotary_emb.original_inv_freq",
        "rotary_emb.cos_cached",
        "rotary_emb.sin_cached",
        "self_attn.masked_bias",
        "self_attn.causal_mask",
        "self_attn.attn_mask",
        "attn_rot_embd.weight",
        "embeddings.position_ids",
    ];
    let ends =
        |end: &&str| name.strip_suffix(*end).is_some_and(|before| before.is_empty() || before.ends_with('.'));
    BUFFERS.iter().any(ends)
}
