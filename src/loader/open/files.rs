//! Which of the files that a person has given is what: by their content and by the conventions of those who write them,
//! on the command line and in the page alike. Files that belong to something else are left out; where two readings are
//! left, the error names both.

use super::beside::one_beside;
use super::foreign::{not_a_model, several, texts_only};
use super::json::read_json;
use super::role::{Role, Roles, take};
use super::sets::Sets;
use super::tokenizers::TokenizerFiles;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::format::{Source, sniff};
use serde_json::Value;
use std::rc::Rc;

pub(super) type File = Rc<dyn Source>;

/// The files of one model, by what they are.
#[derive(Default)]
pub(super) struct Files {
    pub config: Option<File>,
    pub tokenizer: TokenizerFiles,
    pub index: Option<File>,
    /// GGUF files or safetensors files, at least one.
    pub weights: Vec<File>,
    pub is_gguf: bool,
}

/// Sorts `given`, the files of one model and whatever was given with them.
///
/// # Errors
/// [`Error::NotAModel`] where there are no weights, [`Error::SeveralModels`], [`Error::LoraBeside`].
pub(super) async fn choose(given: Vec<File>) -> Result<Files> {
    // 1. By name, then by the first bytes.
    let mut roles = Roles::new();
    for file in given {
        roles.entry(Role::of(file.name())).or_default().push(file);
    }
    let mut weights = Weights::sort(take(&mut roles, Role::Weights)).await?;
    let indices = take(&mut roles, Role::Index);
    let adapter_configs = take(&mut roles, Role::AdapterConfig);

    // 2. What belongs to something else.
    let is_alone = weights.ggufs.len() + weights.tensors.len() <= 1;
    let mut sets = Sets::read(std::mem::take(&mut weights.tensors), &indices).await?;
    let lora = match sets.lora.take() {
        Some(file) => Some(file),
        None => peft_config(&adapter_configs).await?,
    };
    if !is_alone {
        sets.drop_adapters(!weights.ggufs.is_empty());
        weights.ggufs = texts_only(weights.ggufs).await;
    }
    let first_set = sets.sets.first().and_then(|set| set.files.first());
    if let Some(lora) = lora {
        const ALONE: &str = "a LoRA adapter, not a model: merge it into its base (peft's `merge_and_unload`)";
        return Err(match weights.ggufs.first().or(first_set) {
            Some(base) => Error::LoraBeside { file: lora.name().into(), base: base.name().into() },
            None => not_a_model(&lora, ALONE),
        });
    }
    if let (Some(gguf), Some(tensors)) = (weights.ggufs.first(), first_set) {
        return Err(several(gguf, tensors));
    }

    // 3. One model.
    let is_gguf = !weights.ggufs.is_empty();
    let named = indices.first().or(adapter_configs.first()).cloned();
    let (chosen, index) = match is_gguf {
        true => (std::mem::take(&mut weights.ggufs), None),
        false => sets.one(indices)?,
    };
    if chosen.is_empty() {
        return weights.none_of(roles, named);
    }
    let mut beside = |role: Role| one_beside(&chosen[0], take(&mut roles, role));
    let config = beside(Role::Config)?;
    let json = beside(Role::Tokenizer)?;
    // What a tokenizer.json stands for may lie there in several forms.
    let mut other = |role: Role| if json.is_some() { Ok(None) } else { beside(role) };
    let tokenizer = TokenizerFiles {
        pieces: other(Role::Pieces)?,
        tekken: other(Role::Tekken)?,
        json,
        vocab: beside(Role::Vocab)?,
        merges: beside(Role::Merges)?,
        config: beside(Role::TokenizerConfig)?,
        special: beside(Role::SpecialTokens)?,
        added: beside(Role::AddedTokens)?,
    };
    let mut files = Files { config, tokenizer, index, weights: chosen, is_gguf };
    if !is_gguf && (files.config.is_none() || files.tokenizer.is_none()) {
        files.recognize(take(&mut roles, Role::Json)).await?;
    }
    Ok(files)
}

impl Files {
    /// Takes a configuration and a tokenizer of other names for what they are, where there is none of the usual name.
    async fn recognize(&mut self, json: Vec<File>) -> Result<()> {
        let is_configured = self.config.is_some();
        for file in json {
            let Ok(value) = serde_json::from_slice::<Value>(sniff::without_mark(&read_json(&*file).await?))
            else {
                continue;
            };
            if value.get("model_type").is_some() {
                if is_configured {
                    continue;
                }
                if let Some(first) = self.config.replace(file.clone()) {
                    return Err(several(&first, &file));
                }
            } else if value.pointer("/model/vocab").is_some() && self.tokenizer.is_none() {
                self.tokenizer.json = Some(file);
            } else if value.pointer("/vocab/0/token_bytes").is_some() && self.tokenizer.is_none() {
                self.tokenizer.tekken = Some(file);
            }
        }
        Ok(())
    }
}

/// The adapter_config.json of peft.
async fn peft_config(files: &[File]) -> Result<Option<File>> {
    for file in files {
        let json: Option<Value> =
            serde_json::from_slice(sniff::without_mark(&read_json(&**file).await?)).ok();
        if json.is_some_and(|json| json.get("peft_type").is_some() || json.get("lora_alpha").is_some()) {
            return Ok(Some(file.clone()));
        }
    }
    Ok(None)
}
