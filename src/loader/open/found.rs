//! The tensors that the files hold, matched with those that the network needs.

use super::names::{Scheme, is_buffer};
use super::prefix::Prefix;
use super::records::Records;
use super::scaled::SCALES;
use crate::error::{Error, Result};
use crate::format::safetensors::Index;
use crate::format::{Source, TensorInfo, TensorType};
use crate::loader::planned::Planned;
use crate::model::config::Expected;
use crate::model::{Config, Family};
use crate::quant::{self, Layout};
use std::collections::HashMap;
use std::rc::Rc;

/// The tensors of the files, by their name without prefix.
pub(super) struct Found {
    /// The names of the files.
    pub scheme: &'static Scheme,
    /// Each tensor, with the index of the source that it is in.
    pub tensors: HashMap<String, (usize, TensorInfo)>,
    /// For a tensor that is in two sources, the index of the first.
    twice: HashMap<String, usize>,
    /// Names and types of the tensors whose types this program doesn't read.
    pub skipped: HashMap<String, String>,
    /// The index of a sharded model: which shard each tensor should be in.
    pub index: Option<Index>,
    /// What stands before the names in the files.
    pub prefix: Prefix,
    /// How the files say that weights are packed.
    pub records: Records,
    /// Whether a weight of fp8 has a scale.
    pub some_scaled: bool,
}

/// The most values of a vector that decides the configuration.
const SMALL: usize = 4096;

impl Found {
    pub(super) fn new(scheme: &'static Scheme, prefix: Prefix) -> Self {
        let (tensors, skipped) = (HashMap::new(), HashMap::new());
        let (twice, records) = (HashMap::new(), Records::default());
        Self { scheme, tensors, twice, skipped, index: None, prefix, records, some_scaled: false }
    }

    /// Adds the tensors of one source, and the names and types of those that are not read. Those of something else than
    /// the decoder, and buffers, are left out.
    pub(super) fn add(&mut self, source: usize, tensors: Vec<TensorInfo>, skipped: Vec<(String, String)>) {
        let prefix = &self.prefix;
        let ours = |name: &str| prefix.strip(name).filter(|name| !is_buffer(name)).map(str::to_owned);
        let split = |info: TensorInfo| if self.scheme.stacked_qkv { split_qkv(info) } else { vec![info] };
        for info in tensors.into_iter().flat_map(split) {
            let Some(name) = ours(&info.name) else { continue };
            if let Some((first, _)) = self.tensors.insert(name.clone(), (source, info)) {
                self.twice.insert(name, first);
            }
        }
        self.skipped.extend(skipped.into_iter().filter_map(|(name, dtype)| Some((ours(&name)?, dtype))));
    }

    /// Reads how the files say that weights are packed.
    ///
    /// # Errors
    /// Those of the sources; [`Error::Malformed`] and [`Error::Absurd`] for a record.
    pub(super) async fn read_records(&mut self, sources: &[Rc<dyn Source>]) -> Result<()> {
        self.records.read_tensors(sources, &mut self.tensors).await?;
        let is_float = |layer: &str| {
            let weight = self.tensors.get(&format!("{layer}.weight"));
            weight.is_some_and(|(_, info)| [TensorType::F8_E4M3, TensorType::F8_E5M2].contains(&info.dtype))
        };
        let is_scaled = |name: &String| {
            SCALES.iter().any(|end| {
                name.strip_suffix(end).and_then(|name| name.strip_suffix('.')).is_some_and(is_float)
            })
        };
        self.some_scaled = self.tensors.keys().any(is_scaled);
        Ok(())
    }

    /// Sets the biases that the files hold: none of them is left out, whatever the configuration says.
    pub(super) fn add_biases(&self, config: &mut Config) {
        for (layer, bias) in config.biases.fields() {
            let name = |index: usize| self.scheme.name(&format!("layers.{index}.{layer}.bias"));
            *bias |= (0..config.num_hidden_layers).any(|index| self.has(&name(index)));
        }
    }

    /// Leaves out the last layers and the final norm, where the files have neither: diffusion models that read a state in
    /// the middle come with an encoder that ends there. The warning says so.
    pub(super) fn cut(&self, config: &mut Config) -> Option<String> {
        let norm = self.scheme.name("norm.weight");
        let is_listed =
            |index: &Index| index.weight_map.keys().any(|name| self.prefix.strip(name) == Some(&norm));
        if !config.final_norm || self.has(&norm) || self.index.as_ref().is_some_and(is_listed) {
            return None;
        }
        let stated = config.num_hidden_layers;
        let has = |layer: &usize| {
            let start = self.scheme.layer.replace("{}", &layer.to_string());
            self.tensors.keys().chain(self.skipped.keys()).any(|name| name.starts_with(&start))
        };
        let held = (0..stated).take_while(has).count();
        // Some tensors of a later layer are no end.
        if held == 0 || (held..stated).any(|layer| has(&layer)) {
            return None;
        }
        config.num_hidden_layers = held;
        config.layers.truncate(held);
        config.final_norm = false;
        config.cut_from = Some(stated);
        Some(format!(
            "the file holds {held} of {stated} layers and no final norm: its states are those up to layer({held})"
        ))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.skipped.contains_key(name)
    }

    /// Takes out the values of the F32 vector `name` that decides the configuration; `None` where there is none.
    ///
    /// # Errors
    /// [`Error::Malformed`] for another type, those of the source.
    pub(super) async fn small_vector(
        &mut self,
        sources: &[Rc<dyn Source>],
        name: &str,
    ) -> Result<Option<Vec<f32>>> {
        let Some((source, info)) = self.tensors.remove(name) else { return Ok(None) };
        let source = &sources[source];
        let count: usize = info.shape.iter().product();
        if info.dtype != TensorType::F32 || count > SMALL {
            let found = format!("{:?} of shape {:?}", info.dtype, info.shape);
            let expected = format!("at most {SMALL} values in F32");
            return Err(Error::malformed(source.name(), format!("tensor `{name}`"), expected, found));
        }
        let bytes = source.read(info.range).await?;
        Ok(Some(quant::dequantize(info.dtype, &bytes)))
    }

    pub(super) fn take(
        &mut self,
        sources: &[Rc<dyn Source>],
        expected: Expected,
        config: &Config,
    ) -> Result<Planned> {
        let name = self.scheme.name(&expected.name);
        let Some((source, mut info)) = self.tensors.remove(&name) else {
            return Err(self.missing(sources[0].name(), name));
        };
        if let Some(first) = self.twice.get(&name) {
            let [first, second] = [*first, source].map(|source| sources[source].name().into());
            return Err(Error::DuplicateTensor { tensor: info.name, first, second });
        }
        let scaling = self.scaling(sources, (&name, source), &mut info, &expected)?;
        if info.shape != expected.shape {
            return Err(Error::WrongShape {
                file: sources[source].name().into(),
                tensor: info.name,
                expected: expected.shape,
                found: info.shape,
            });
        }
        let permuted = matches!(config.family, Family::Llama | Family::Mistral | Family::SmolLm3)
            && name != expected.name;
        let heads = match expected.name.rsplit('.').nth(1) {
            Some("q_proj") if permuted => Some(config.num_attention_heads),
            Some("k_proj") if permuted => Some(config.num_key_value_heads),
            _ => None,
        };
        let layout = match &scaling {
            Some(scaling) => scaling.layout(info.dtype, info.shape.last().copied().unwrap_or_default()),
            None => Layout::of(info.dtype),
        };
        let (name, role, joined) = (expected.name, expected.role, Vec::new());
        Ok(Planned { source, info, name, role, layout, heads, joined, scaling })
    }

    fn missing(&mut self, file: &str, tensor: String) -> Error {
        if let Some(found) = self.packed_otherwise(&tensor) {
            let layer = format!("{}{}", self.prefix.prefix, tensor.trim_end_matches(".weight"));
            return Error::UnknownPacking { file: file.into(), layer, found: found.into() };
        }
        if let Some(found) = self.skipped.remove(&tensor) {
            return Error::UnknownTensorType { file: file.into(), tensor, found };
        }
        let in_index = self.index.as_ref().and_then(|index| {
            let ours = |name: &str| self.prefix.strip(name) == Some(&tensor);
            let (name, shard) = index.weight_map.iter().find(|(name, _)| ours(name))?;
            let (file, tensor, shard) = (index.file.clone(), name.clone(), shard.clone());
            Some(Error::MissingFromShard { file, tensor, shard })
        });
        let tensor = format!("{}{tensor}", self.prefix.prefix);
        in_index.unwrap_or(Error::MissingTensor { file: file.into(), tensor })
    }
}

/// The parts of OpenCLIP's stacked projections, whose rows lie one after the other: `….attn.in_proj_weight [3 D, D]` and
/// `….attn.in_proj_bias [3 D]` become those of q, k and v. Another tensor stays as it is.
fn split_qkv(info: TensorInfo) -> Vec<TensorInfo> {
    let [weight, bias] = ["attn.in_proj_weight", "attn.in_proj_bias"].map(|end| info.name.strip_suffix(end));
    let (Some(before), end) = (weight.or(bias), if weight.is_some() { "weight" } else { "bias" }) else {
        return vec![info];
    };
    let rows = info.shape.first().copied().unwrap_or_default();
    if rows == 0 || !rows.is_multiple_of(3) {
        return vec![info];
    }
    let bytes = (info.range.end - info.range.start) / 3;
    let part = |(index, name): (u64, &str)| {
        let start = info.range.start + index * bytes;
        let mut shape = info.shape.clone();
        shape[0] = rows / 3;
        TensorInfo {
            name: format!("{before}attn.{name}.{end}"),
            shape,
            range: start..start + bytes,
            ..info.clone()
        }
    };
    (0..).zip(["q_proj", "k_proj", "v_proj"]).map(part).collect()
}
