//! Safetensors files put together: which of them are one model, which are adapters, and which set is the model where
//! several are given.

use super::files::File;
use super::foreign::several;
use super::json::read_json;
use super::role::uncopied;
use super::split::Part;
use super::weights::read_tensors;
use crate::error::Result;
use crate::format::safetensors::{Index, Safetensors};
use crate::format::short_name;
use std::collections::{BTreeMap, HashSet};

/// Sets of safetensors files, each of which may be a model.
pub(super) struct Sets {
    pub sets: Vec<Set>,
    /// A LoRA adapter.
    pub lora: Option<File>,
}

#[derive(Default)]
pub(super) struct Set {
    pub files: Vec<File>,
    /// The place of the index that lists them.
    index: Option<usize>,
    is_complete: bool,
    names: HashSet<String>,
}

impl Sets {
    /// Puts together what an index lists or what names say; the rest are files of their own.
    pub(super) async fn read(files: Vec<File>, indices: &[File]) -> Result<Self> {
        let mut sets = Vec::new();
        let mut rest = files;
        for (place, file) in indices.iter().enumerate() {
            let index = Index::parse(file.name(), &read_json(&**file).await?)?;
            let shards = index.shards();
            let count = shards.len();
            let (listed, others): (Vec<File>, Vec<File>) =
                rest.into_iter().partition(|file| shards.contains(short_name(file.name())));
            rest = others;
            if !listed.is_empty() {
                let is_complete = listed.len() >= count;
                sets.push(Set { files: listed, index: Some(place), is_complete, names: HashSet::new() });
            }
        }
        let mut loose: BTreeMap<String, Set> = BTreeMap::new();
        let mut lora = None;
        for (place, file) in rest.into_iter().enumerate() {
            // What is wrong with its header is told when it is read as the model.
            let names = read_tensors(&*file).await.map(names_of).unwrap_or_default();
            if is_lora(&names) {
                lora.get_or_insert(file);
                continue;
            }
            let key = match Part::of(file.name()) {
                Some(part) => format!("{}-of-{}{}", part.prefix, part.count, part.ending),
                None => format!("{}\n{place}", file.name()),
            };
            let set = loose.entry(key).or_default();
            set.files.push(file);
            set.names.extend(names);
            set.is_complete = true;
        }
        sets.extend(loose.into_values());
        Ok(Self { sets, lora })
    }

    /// Leaves out GRAN-TED's adapters, as far as something else is left.
    pub(super) fn drop_adapters(&mut self, has_others: bool) {
        let is_adapter = |set: &Set| {
            set.index.is_none()
                && (set.names.contains("pool_token")
                    || set.names.contains("mlp.0.weight") && set.names.contains("out_norm.weight")
                    || set.names.len() == 1 && set.names.contains("layer_weights"))
        };
        if has_others || !self.sets.iter().all(is_adapter) {
            self.sets.retain(|set| !is_adapter(set));
        }
    }

    /// The files of one model and its index. `model.safetensors` comes before an index, as in transformers, and both
    /// before other names; files without a tensor in common are one model.
    pub(super) fn one(self, mut indices: Vec<File>) -> Result<(Vec<File>, Option<File>)> {
        let rank = |set: &Set| match set
            .files
            .first()
            .map(|file| uncopied(short_name(file.name())).to_lowercase())
        {
            Some(name) if name == "model.safetensors" => 0,
            _ if set.index.is_some() && set.is_complete => 1,
            _ if set.index.is_some() => 2,
            _ => 3,
        };
        let best = self.sets.iter().map(rank).min();
        let mut sets: Vec<Set> = self.sets.into_iter().filter(|set| Some(rank(set)) == best).collect();
        let overlap = (1..sets.len()).find(|at| {
            best != Some(3) || sets[..*at].iter().any(|before| !before.names.is_disjoint(&sets[*at].names))
        });
        if let Some(at) = overlap {
            return Err(several(&sets[0].files[0], &sets[at].files[0]));
        }
        // An index alone says which files are missed.
        let index = sets.first().map_or(Some(0), |set| set.index).filter(|place| *place < indices.len());
        let index = index.map(|place| indices.swap_remove(place));
        Ok((sets.drain(..).flat_map(|set| set.files).collect(), index))
    }
}

fn names_of(file: Safetensors) -> HashSet<String> {
    let tensors = file.tensors.into_iter().map(|info| info.name);
    tensors.chain(file.skipped.into_iter().map(|(name, _)| name)).collect()
}

/// Whether tensors have the names of peft's or kohya's low-rank matrices.
fn is_lora(names: &HashSet<String>) -> bool {
    names
        .iter()
        .any(|name| [".lora_A", ".lora_B", "lora_down.", "lora_up."].iter().any(|part| name.contains(part)))
}
