//! The names of tensors: each format and exporter has its own; ours are those of Hugging Face without a prefix.

use crate::error::{Error, Result};
use std::collections::BTreeSet;

/// Where the decoder's tensors stand among those of a safetensors checkpoint.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefix {
    /// What stands before the names: `model.`, `module.model.language_model.`, …
    pub prefix: String,
    /// The full name of the tensor that serves as token table, where it has the name of a tied output head.
    head: Option<String>,
}

/// The name of the output head, which is the token table in a model that ties them.
const HEAD: &str = "lm_head.weight";
/// The name of the token table.
const TABLE: &str = "embed_tokens.weight";

impl Prefix {
    /// Finds the decoder among the tensors `names` of `file` by what follows the prefix: a token table, a first layer with
    /// an attention, and a final norm. Where `tied`, an output head serves as the table.
    ///
    /// Halves for images and other decoders have some of these, or lie under a prefix that has no table. Where no prefix
    /// has everything, the one that has most is taken, and what is missing is named later.
    ///
    /// # Errors
    /// [`Error::Malformed`] where two prefixes have everything.
    pub(super) fn find<'a>(file: &str, names: impl Iterator<Item = &'a str>, tied: bool) -> Result<Self> {
        let (mut tables, mut layers, mut norms) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut heads = Vec::new();
        for name in names {
            let before = |end: &str| {
                name.strip_suffix(end).filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
            };
            tables.extend(before(TABLE));
            norms.extend(before("norm.weight"));
            layers.extend(before("layers.0.self_attn.q_proj.weight"));
            heads.extend(before(HEAD).map(|prefix| (prefix, name)));
        }
        let whole = |table: &dyn Fn(&str) -> bool| -> Vec<&str> {
            layers.iter().copied().filter(|prefix| norms.contains(prefix) && table(prefix)).collect()
        };
        let of =
            |prefix: &str, head: Option<&str>| Self { prefix: prefix.into(), head: head.map(Into::into) };

        match whole(&|prefix| tables.contains(prefix))[..] {
            [prefix] => return Ok(of(prefix, None)),
            [first, second, ..] => {
                let found = format!("two, under `{first}` and under `{second}`");
                return Err(Error::malformed(file, "the list of tensors", "one decoder", found));
            }
            [] => {}
        }
        // A head stands beside the decoder, or beside a module that holds it.
        let head = |prefix: &str| heads.iter().find(|(before, _)| prefix.starts_with(before));
        if tied
            && let [prefix] = whole(&|prefix| head(prefix).is_some())[..]
            && let Some((_, name)) = head(prefix)
        {
            return Ok(of(prefix, Some(name)));
        }
        let most = whole(&|_| true).into_iter().next();
        let most = most.or(layers.iter().next().copied()).or(tables.iter().next().copied());
        Ok(of(most.unwrap_or_default(), None))
    }

    /// The part of `full` that all exports share; `None` for a tensor of something else.
    pub(super) fn strip<'a>(&self, full: &'a str) -> Option<&'a str> {
        match &self.head {
            Some(head) if head == full => Some(TABLE),
            _ => full.strip_prefix(self.prefix.as_str()),
        }
    }
}

/// Whether a tensor of a layer is a buffer that some exports hold beside the weights, and whose values follow from the
/// configuration: the frequencies and tables of the rotation, the mask of causality.
pub(super) fn is_buffer(name: &str) -> bool {
    const BUFFERS: [&str; 8] = [
        "rotary_emb.inv_freq",
        "rotary_emb.original_inv_freq",
        "rotary_emb.cos_cached",
        "rotary_emb.sin_cached",
        "self_attn.masked_bias",
        "self_attn.causal_mask",
        "self_attn.attn_mask",
        "attn_rot_embd.weight",
    ];
    BUFFERS.iter().any(|end| name.strip_suffix(end).is_some_and(|before| before.ends_with('.')))
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
