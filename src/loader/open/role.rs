//! What a file may be by its name alone.

use super::files::File;
use crate::format::safetensors::Index;
use crate::format::short_name;
use std::collections::BTreeMap;

/// The files that were given, by what they may be.
pub(super) type Roles = BTreeMap<Role, Vec<File>>;

/// The files of one role, which are taken out of the others.
pub(super) fn take(roles: &mut Roles, role: Role) -> Vec<File> {
    roles.remove(&role).unwrap_or_default()
}

/// What a file may be by its name alone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    Config,
    Tokenizer,
    Pieces,
    Tekken,
    Vocab,
    Merges,
    TokenizerConfig,
    SpecialTokens,
    AddedTokens,
    AdapterConfig,
    Index,
    /// JSON of another name.
    Json,
    /// What lies beside models and says nothing of them.
    Other,
    /// Weights, where the content says so.
    Weights,
}

impl Role {
    pub(super) fn of(name: &str) -> Self {
        let name = uncopied(&short_name(name).to_ascii_lowercase());
        match name.as_str() {
            name if name.starts_with("._") => Self::Other,
            "config.json" => Self::Config,
            "tokenizer.json" => Self::Tokenizer,
            "tekken.json" => Self::Tekken,
            "vocab.json" => Self::Vocab,
            "merges.txt" => Self::Merges,
            "tokenizer_config.json" => Self::TokenizerConfig,
            "special_tokens_map.json" => Self::SpecialTokens,
            "added_tokens.json" => Self::AddedTokens,
            "adapter_config.json" => Self::AdapterConfig,
            name if Index::is_name(name) => Self::Index,
            name if name.ends_with(".model") => Self::Pieces,
            name if name.ends_with(".json") => Self::Json,
            name if [".txt", ".md", ".py", ".jinja", ".yaml", ".yml", ".png", ".jpg", ".html"]
                .iter()
                .any(|ending| name.ends_with(ending)) =>
            {
                Self::Other
            }
            _ => Self::Weights,
        }
    }
}

/// `config.json` of `config (1).json`, as a browser names a second download.
pub(super) fn uncopied(name: &str) -> String {
    let copied = name.rsplit_once('.').and_then(|(stem, ending)| {
        let (stem, number) = stem.strip_suffix(')')?.rsplit_once(" (")?;
        number.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("{stem}.{ending}"))
    });
    copied.unwrap_or_else(|| name.into())
}
