//! The tensors that the files hold, matched with those that the network needs.

use super::names::strip;
use crate::error::{Error, Result};
use crate::format::safetensors::Index;
use crate::format::{Source, TensorInfo};
use crate::loader::planned::Planned;
use crate::model::config::Expected;
use crate::model::{Config, Family};
use crate::quant::Layout;
use std::collections::HashMap;
use std::rc::Rc;

/// The tensors of the files, by their name without prefix.
pub(super) struct Found {
    /// Gives the file's own name for one of Hugging Face's.
    pub name: fn(&str) -> String,
    /// Each tensor, with the index of the source that it is in.
    pub tensors: HashMap<String, (usize, TensorInfo)>,
    /// For a tensor that is in two sources, the index of the first.
    twice: HashMap<String, usize>,
    /// Names and types of the tensors whose types this program doesn't read.
    pub skipped: HashMap<String, String>,
    /// The index of a sharded model: which shard each tensor should be in.
    pub index: Option<Index>,
}

impl Found {
    pub(super) fn new(name: fn(&str) -> String) -> Self {
        Self { name, tensors: HashMap::new(), twice: HashMap::new(), skipped: HashMap::new(), index: None }
    }

    /// Adds the tensors of one source. `strip` takes the prefix off a name.
    pub(super) fn add(&mut self, source: usize, tensors: Vec<TensorInfo>, strip: fn(&str) -> &str) {
        for info in tensors {
            let name = strip(&info.name).to_string();
            if let Some((first, _)) = self.tensors.insert(name.clone(), (source, info)) {
                self.twice.insert(name, first);
            }
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.skipped.contains_key(name)
    }

    pub(super) fn take(
        &mut self,
        sources: &[Rc<dyn Source>],
        expected: Expected,
        config: &Config,
    ) -> Result<Planned> {
        let name = (self.name)(&expected.name);
        let Some((source, info)) = self.tensors.remove(&name) else {
            return Err(self.missing(sources[0].name(), name));
        };
        if let Some(first) = self.twice.get(&name) {
            let [first, second] = [*first, source].map(|source| sources[source].name().into());
            return Err(Error::DuplicateTensor { tensor: info.name, first, second });
        }
        if info.shape != expected.shape {
            return Err(Error::WrongShape {
                file: sources[source].name().into(),
                tensor: info.name,
                expected: expected.shape,
                found: info.shape,
            });
        }
        let is_gguf_llama = config.family == Family::Llama && name != expected.name;
        let heads = match expected.name.rsplit('.').nth(1) {
            Some("q_proj") if is_gguf_llama => Some(config.num_attention_heads),
            Some("k_proj") if is_gguf_llama => Some(config.num_key_value_heads),
            _ => None,
        };
        let layout = Layout::of(info.dtype);
        let joined = Vec::new();
        Ok(Planned { source, info, name: expected.name, role: expected.role, layout, heads, joined })
    }

    fn missing(&mut self, file: &str, tensor: String) -> Error {
        if let Some(found) = self.skipped.remove(&tensor) {
            return Error::UnknownTensorType { file: file.into(), tensor, found };
        }
        let in_index = self.index.as_ref().and_then(|index| {
            let (name, shard) = index.weight_map.iter().find(|(name, _)| strip(name) == tensor)?;
            let (file, tensor, shard) = (index.file.clone(), name.clone(), shard.clone());
            Some(Error::MissingFromShard { file, tensor, shard })
        });
        in_index.unwrap_or(Error::MissingTensor { file: file.into(), tensor })
    }
}
