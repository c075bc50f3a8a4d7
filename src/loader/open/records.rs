//! What a file says of how its weights are packed: ComfyUI's records, in the header (`_quantization_metadata`) or in tensors
//! (`comfy_quant`), bitsandbytes' (`quant_state`), and the marker `scaled_fp8`.

use crate::error::{Error, Result};
use crate::format::safetensors::Safetensors;
use crate::format::{Source, TensorInfo};
use crate::loader::scaling::Place;
use serde::Deserialize;
use std::collections::HashMap;
use std::rc::Rc;

/// The longest record that is read, in bytes. ComfyUI's have less than 100.
const LONGEST: u64 = 1 << 16;
/// Records with at most this many bytes between them are read in one request.
const GAP: u64 = 1 << 16;

/// The name of the header's text with the records of all layers.
const IN_HEADER: &str = "_quantization_metadata";
/// The ending of a layer's record.
const IN_TENSOR: &str = ".comfy_quant";
/// Stands before the type in the name of bitsandbytes' record.
const QUANT_STATE: &str = ".weight.quant_state.bitsandbytes__";
/// The marker of files in which every linear layer of fp8 has a scale.
const SCALED_FP8: &str = "scaled_fp8";

/// How a layer is packed.
#[derive(Clone, Debug)]
pub(super) enum Record {
    Comfy(Comfy),
    Bitsandbytes(QuantState),
}

/// ComfyUI's record.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Comfy {
    pub format: String,
    #[serde(default)]
    pub convrot: bool,
    pub convrot_groupsize: Option<usize>,
}

/// bitsandbytes' record.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct QuantState {
    pub quant_type: String,
    pub blocksize: usize,
    pub shape: Vec<usize>,
    pub nested_blocksize: Option<usize>,
    pub nested_offset: Option<f32>,
}

/// The records of all layers, by the layers' names without prefix.
#[derive(Default)]
pub(super) struct Records {
    layers: HashMap<String, Record>,
    /// Whether every linear layer of fp8 has a scale.
    pub scaled_fp8: bool,
}

impl Records {
    /// Looks for the marker among the tensors of a file: it stands in a folder in which the decoder lies.
    pub(super) fn mark(&mut self, file: &Safetensors, prefix: &str) {
        let is_folder =
            |folder: &str| prefix.starts_with(folder) && (folder.is_empty() || folder.ends_with('.'));
        let mut names =
            file.tensors.iter().map(|info| &info.name).chain(file.skipped.iter().map(|(name, _)| name));
        self.scaled_fp8 |= names.any(|name| name.strip_suffix(SCALED_FP8).is_some_and(is_folder));
    }

    /// Reads the records in the texts of a file's header; `prefix` stands before the names there.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub(super) fn read_header(
        &mut self,
        Safetensors { file, metadata, .. }: &Safetensors,
        prefix: &str,
    ) -> Result<()> {
        #[derive(Deserialize)]
        struct Document {
            layers: HashMap<String, Comfy>,
        }
        let Some(text) = metadata.get(IN_HEADER) else { return Ok(()) };
        let document: Document = serde_json::from_str(text).map_err(|e| {
            let item = format!("`{IN_HEADER}` of the header");
            Error::malformed(file, item, "JSON with `layers`, the format of each", e.to_string())
        })?;
        let ours = |(layer, record): (String, Comfy)| {
            Some((layer.strip_prefix(prefix)?.to_owned(), Record::Comfy(record)))
        };
        self.layers.extend(document.layers.into_iter().filter_map(ours));
        Ok(())
    }

    /// Takes the records out of `tensors`, which have names without prefix, and reads them.
    ///
    /// # Errors
    /// Those of the sources; [`Error::Absurd`] for a record's length, [`Error::Malformed`].
    pub(super) async fn read_tensors(
        &mut self,
        sources: &[Rc<dyn Source>],
        tensors: &mut HashMap<String, Place>,
    ) -> Result<()> {
        let is_record = |name: &str| name.ends_with(IN_TENSOR) || name.contains(QUANT_STATE);
        let mut found: Vec<(String, Place)> = tensors
            .iter()
            .filter(|(name, _)| is_record(name))
            .map(|(name, place)| (name.clone(), place.clone()))
            .collect();
        found.iter().for_each(|(name, _)| drop(tensors.remove(name)));
        found.sort_by_key(|(_, (source, info))| (*source, info.range.start));
        let near = |a: &(String, Place), b: &(String, Place)| {
            a.1.0 == b.1.0 && b.1.1.range.start.saturating_sub(a.1.1.range.end) <= GAP
        };
        for neighbors in found.chunk_by(near) {
            let (source, first) = &neighbors[0].1;
            let (source, start) = (&sources[*source], first.range.start);
            for (_, (_, info)) in neighbors {
                check_length(source.name(), info)?;
            }
            let end = neighbors[neighbors.len() - 1].1.1.range.end;
            let bytes = source.read(start..end).await?;
            for (name, (_, info)) in neighbors {
                let at = (info.range.start - start) as usize..(info.range.end - start) as usize;
                self.read_tensor(source.name(), name, info, &bytes[at])?;
            }
        }
        Ok(())
    }

    fn read_tensor(&mut self, file: &str, name: &str, info: &TensorInfo, bytes: &[u8]) -> Result<()> {
        let malformed = |expected: &str, e: serde_json::Error| {
            Error::malformed(file, format!("tensor `{}`", info.name), expected, e.to_string())
        };
        let (layer, record) = match name.strip_suffix(IN_TENSOR) {
            Some(layer) => {
                let comfy = serde_json::from_slice(bytes);
                (layer, Record::Comfy(comfy.map_err(|e| malformed("JSON with `format`", e))?))
            }
            None => {
                let state = serde_json::from_slice(bytes);
                let expected = "JSON with `quant_type`, `blocksize` and `shape`";
                let layer = name.split_once(QUANT_STATE).map_or(name, |(layer, _)| layer);
                (layer, Record::Bitsandbytes(state.map_err(|e| malformed(expected, e))?))
            }
        };
        self.layers.insert(layer.into(), record);
        Ok(())
    }

    /// The record of a layer.
    pub(super) fn of(&self, layer: &str) -> Option<&Record> {
        self.layers.get(layer)
    }
}

fn check_length(file: &str, info: &TensorInfo) -> Result<()> {
    let found = info.range.end - info.range.start;
    if found > LONGEST {
        let item = format!("the length of tensor `{}`", info.name);
        return Err(Error::Absurd { file: file.into(), item, found, limit: LONGEST });
    }
    Ok(())
}
