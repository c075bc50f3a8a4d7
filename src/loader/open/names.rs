//! The names of tensors: each format and exporter has its own; ours are those of Hugging Face without a prefix.

/// The part of a safetensors name that all exports share.
pub(super) fn strip(name: &str) -> &str {
    ["model.language_model.", "language_model.model.", "model."]
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

/// GGUF's name for one of Hugging Face's.
pub(super) fn gguf_name(name: &str) -> String {
    const PARTS: [(&str, &str); 15] = [
        ("embed_tokens", "token_embd"),
        ("layers", "blk"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn", ""),
        ("q_proj", "attn_q"),
        ("k_proj", "attn_k"),
        ("v_proj", "attn_v"),
        ("o_proj", "attn_output"),
        ("q_norm", "attn_q_norm"),
        ("k_norm", "attn_k_norm"),
        ("mlp", ""),
        ("gate_proj", "ffn_gate"),
        ("up_proj", "ffn_up"),
        ("down_proj", "ffn_down"),
    ];
    if name == "norm.weight" {
        return "output_norm.weight".into();
    }
    let part = |part: &str| {
        PARTS.iter().find(|(ours, _)| *ours == part).map_or(part.to_string(), |(_, gguf)| (*gguf).into())
    };
    name.split('.').map(part).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}
