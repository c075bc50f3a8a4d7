//! Adapter files: what the paper trains on a frozen encoder, as .safetensors or the reference's `epoch_N.pt`; or only
//! its layer weights, also as a JSON list. Names and shapes are checked before a tensor is read.

use super::read::sequential::Sequential;
use crate::device::Device;
use crate::encoder::TextEncoder;
use crate::error::{Error, Result};
use crate::format::{Source, TensorInfo, TensorType, name::wrappers, safetensors::Safetensors, short_name};
use crate::format::{sniff, torch::Torch};
use crate::kernel::PackedWeight;
use crate::model::adapter::{Adapter, AdapterInfo, AdapterKind, Precision};
use crate::model::{Config, Weights};
use crate::quant;
use burn::tensor::{Tensor, TensorData};
use half::bf16;
use serde::Serialize;
use std::collections::HashMap;
use std::rc::Rc;

/// Largest JSON list or tensor of layer weights that is read, in bytes.
const MAX_WEIGHTS_BYTES: u64 = 64 << 10;
/// The most blocks of attention pooling that are looked for; the paper has two.
const MAX_BLOCKS: usize = 64;

/// An opened adapter file: its header and layer weights are read, its tensors are not.
pub struct AdapterFile {
    source: Rc<dyn Source>,
    tensors: Vec<TensorInfo>,
    /// Names and types of the tensors whose types this program doesn't read.
    skipped: Vec<(String, String)>,
    /// Names of what stands between the tensors of a checkpoint and is none, and what it is.
    inert: Vec<(String, String)>,
    /// The adapter in it; `None` where there are layer weights alone.
    pub kind: Option<AdapterKind>,
    /// w, one weight per layer, before its softmax.
    pub layer_weights: Option<Vec<f32>>,
}

impl AdapterFile {
    /// Reads the header and the layer weights.
    ///
    /// # Errors
    /// [`Error::NotAnAdapter`], those of the file's format, [`Error::Malformed`] and [`Error::UnknownTensorType`] for the
    /// layer weights.
    pub async fn open(source: Rc<dyn Source>) -> Result<Self> {
        let first_bytes = source.read(0..source.size().min(16)).await?;
        if short_name(source.name()).to_lowercase().ends_with(".json")
            || sniff::without_mark(&first_bytes).trim_ascii_start().starts_with(b"[")
        {
            let layer_weights = Some(read_list(&*source).await?);
            let (tensors, skipped, inert) = (vec![], vec![], vec![]);
            return Ok(Self { source, tensors, skipped, inert, kind: None, layer_weights });
        }
        // A bare pickle is torch's format of old, whose error says what to do.
        let is_pickle = matches!(first_bytes[..], [0x80, 2..=5, ..]) && first_bytes.get(8) != Some(&b'{');
        let (mut tensors, mut skipped, inert) = if Torch::is_torch(&first_bytes) || is_pickle {
            let file = Torch::read(&*source).await?;
            (file.tensors, file.skipped, file.inert)
        } else {
            let file = Safetensors::read(&*source).await?;
            let (whole, codes): (Vec<_>, Vec<_>) =
                file.tensors.into_iter().partition(|info| info.dtype.is_whole());
            let named = |info: TensorInfo| (info.name, format!("{:?}", info.dtype));
            (whole, file.skipped.into_iter().chain(codes.into_iter().map(named)).collect(), vec![])
        };
        unwrap(&mut tensors, &mut skipped);
        if let Some((tensor, found)) = skipped.iter().find(|(name, _)| name == "layer_weights") {
            let (file, tensor, found) = (source.name().into(), tensor.clone(), found.clone());
            return Err(Error::UnknownTensorType { file, tensor, found });
        }
        let layer_weights = match tensors.iter().position(|tensor| tensor.name == "layer_weights") {
            Some(index) => Some(read_weights(&*source, tensors.remove(index)).await?),
            None => None,
        };
        let kind = kind(&tensors);
        if kind.is_none() && (layer_weights.is_none() || !tensors.is_empty()) {
            let found =
                tensors.first().map_or("no tensor".into(), |first| format!("the tensor `{}`", first.name));
            return Err(Error::NotAnAdapter { file: source.name().into(), found });
        }
        Ok(Self { source, tensors, skipped, inert, kind, layer_weights })
    }

    /// The file's name.
    pub fn name(&self) -> &str {
        short_name(self.source.name())
    }

    /// Loads the adapter for the hidden states of `encoder`, onto its device.
    ///
    /// # Errors
    /// [`Error::NotAnAdapter`] where there are layer weights alone, [`Error::MissingTensor`], [`Error::ExtraTensor`],
    /// [`Error::WrongShape`] (an adapter of another width is one), [`Error::UnknownTensorType`],
    /// [`Error::LayerCount`], [`Error::NotFinite`], [`Error::DeviceLimit`].
    pub async fn load(&self, encoder: &TextEncoder, precision: Precision) -> Result<Adapter> {
        // 1. The plan.
        let (kind, planned) = self.plan(&encoder.config)?;

        // 2. The tensors, in the file's order, which its hash needs.
        let file = self.source.name();
        let device = encoder.device();
        let mut weights = Weights::new(file);
        let mut reader = Sequential::new(self.source.clone());
        for (info, expected) in &planned {
            let mut values = self.values(&mut reader, info).await?;
            if precision == Precision::Reference && kind != AdapterKind::MeanMlp {
                values.iter_mut().for_each(|value| *value = bf16::from_f32(*value).to_f32());
            }
            expected.upload(values, &mut weights, device)?;
        }
        while !reader.is_finished() {
            reader.skip().await?;
        }

        // 3. The network.
        let (name, sha256) = reader.sha256();
        let info = AdapterInfo {
            name,
            sha256,
            kind,
            dimension: self.shape("proj.weight")?[0],
            parameters: planned.iter().map(|(info, _)| info.shape.iter().product::<usize>() as u64).sum(),
            layer_weights: self.layer_weights.clone(),
        };
        Adapter::load(&mut weights, info, precision, encoder.info.max_length, device)
    }

    /// Checks that the adapter is one for hidden states as `config` has them: everything but its values.
    ///
    /// # Errors
    /// Those of [`Self::load`] that the header tells.
    pub fn check(&self, config: &Config) -> Result<()> {
        self.plan(config).map(drop)
    }

    /// As [`Self::check`], with the values, which are read one tensor after the other.
    ///
    /// # Errors
    /// Those of [`Self::load`], but the device's.
    pub async fn check_values(&self, config: &Config) -> Result<()> {
        let mut reader = Sequential::new(self.source.clone());
        for (info, _) in self.plan(config)?.1 {
            self.values(&mut reader, &info).await?;
        }
        Ok(())
    }

    /// The values of a tensor, which lies behind those that were read.
    async fn values(&self, reader: &mut Sequential, info: &TensorInfo) -> Result<Vec<f32>> {
        let values = quant::dequantize(info.dtype, &reader.read_in_order(info).await?);
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => {
                let (file, tensor) = (self.source.name().into(), info.name.clone());
                Err(Error::NotFinite { file, tensor })
            }
        }
    }

    /// The kind, and each expected tensor with its place in the file, in the file's order.
    fn plan(&self, config: &Config) -> Result<(AdapterKind, Vec<(TensorInfo, Expected)>)> {
        let file = self.source.name();
        let Some(kind) = self.kind else {
            return Err(Error::NotAnAdapter { file: file.into(), found: "layer weights alone".into() });
        };
        self.check_layer_weights(config)?;
        let mut found: HashMap<_, _> = self.tensors.iter().map(|info| (info.name.as_str(), info)).collect();
        let mut planned = Vec::new();
        for expected in self.expected(kind, config.hidden_size)? {
            let info = found.remove(expected.name.as_str()).ok_or_else(|| self.missing(&expected.name))?;
            planned.push((info.clone(), expected));
        }
        let skipped = self.skipped.iter().map(|(name, _)| name.as_str());
        if let Some(tensor) = found.into_keys().chain(skipped).min() {
            return Err(Error::ExtraTensor { file: file.into(), tensor: tensor.into(), family: kind.name() });
        }
        for (info, expected) in &planned {
            check_shape(file, info, &expected.shape)?;
        }
        planned.sort_by_key(|(info, _)| info.range.start);
        Ok((kind, planned))
    }

    /// Refuses layer weights for a model of another depth.
    fn check_layer_weights(&self, config: &Config) -> Result<()> {
        let layers = config.num_hidden_layers;
        match &self.layer_weights {
            Some(weights) if weights.len() != layers => {
                Err(Error::LayerCount { item: "the number of layer weights", found: weights.len(), layers })
            }
            _ => Ok(()),
        }
    }

    /// The tensors of an adapter of `kind` on hidden states of `d` values.
    fn expected(&self, kind: AdapterKind, d: usize) -> Result<Vec<Expected>> {
        let mut all = Vec::new();
        match kind {
            AdapterKind::Attention { blocks, rope } => {
                all.push(Expected::new("pool_token", &[1, 1, d]));
                for block in 0..blocks {
                    all.extend(if rope { self.rope_block(block, d)? } else { self.plain_block(block, d)? });
                }
            }
            AdapterKind::MeanMlp => {
                let f = self.width("mlp.0.weight")?;
                all.extend([Expected::new("mlp.0.weight", &[f, d]), Expected::new("mlp.3.weight", &[d, f])]);
            }
        }
        let e = self.shape("proj.weight")?[0];
        for (name, shape) in [("out_norm.weight", vec![d]), ("out_norm.bias", vec![d])] {
            all.push(Expected::new(name, &shape));
        }
        all.extend([Expected::new("proj.weight", &[e, d]), Expected::new("proj.bias", &[e])]);
        Ok(all)
    }

    fn rope_block(&self, block: usize, d: usize) -> Result<Vec<Expected>> {
        let at = |name: &str| format!("encoder.{block}.{name}");
        let f = self.width(&at("mlp.0.weight"))?;
        let mut all: Vec<Expected> = ["q", "k", "v", "o"]
            .map(|name| Expected::new(&at(&format!("{name}_proj.weight")), &[d, d]))
            .into();
        all.extend(
            ["norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"]
                .map(|name| Expected::new(&at(name), &[d])),
        );
        all.push(Expected::new(&at("mlp.0.weight"), &[f, d]));
        all.push(Expected::new(&at("mlp.0.bias"), &[f]));
        all.push(Expected::new(&at("mlp.3.weight"), &[d, f]));
        all.push(Expected::new(&at("mlp.3.bias"), &[d]));
        Ok(all)
    }

    /// The tensors of torch's TransformerEncoderLayer, each with our names for its parts.
    fn plain_block(&self, block: usize, d: usize) -> Result<Vec<Expected>> {
        let theirs = |name: &str| format!("encoder.layers.{block}.{name}");
        let ours = |name: &str| format!("encoder.{block}.{name}");
        let f = self.width(&theirs("linear1.weight"))?;
        let qkv = |end: &str| ["q", "k", "v"].map(|name| ours(&format!("{name}_proj.{end}"))).to_vec();
        let one = |name: &str| vec![ours(name)];
        let rows: [(&str, Vec<usize>, Vec<String>); 12] = [
            ("self_attn.in_proj_weight", vec![3 * d, d], qkv("weight")),
            ("self_attn.in_proj_bias", vec![3 * d], qkv("bias")),
            ("self_attn.out_proj.weight", vec![d, d], one("o_proj.weight")),
            ("self_attn.out_proj.bias", vec![d], one("o_proj.bias")),
            ("linear1.weight", vec![f, d], one("mlp.0.weight")),
            ("linear1.bias", vec![f], one("mlp.0.bias")),
            ("linear2.weight", vec![d, f], one("mlp.3.weight")),
            ("linear2.bias", vec![d], one("mlp.3.bias")),
            ("norm1.weight", vec![d], one("norm1.weight")),
            ("norm1.bias", vec![d], one("norm1.bias")),
            ("norm2.weight", vec![d], one("norm2.weight")),
            ("norm2.bias", vec![d], one("norm2.bias")),
        ];
        Ok(rows.map(|(name, shape, parts)| Expected { name: theirs(name), shape, parts }).into())
    }

    /// The shape of a matrix whose height only the file knows.
    fn shape(&self, name: &str) -> Result<&[usize]> {
        match self.tensors.iter().find(|info| info.name == name) {
            Some(info) if info.shape.len() == 2 && info.shape[0] > 0 => Ok(&info.shape),
            Some(info) => Err(Error::Malformed {
                file: self.source.name().into(),
                item: format!("tensor `{name}`"),
                expected: "a matrix".into(),
                found: format!("shape {:?}", info.shape),
            }),
            None => Err(self.missing(name)),
        }
    }

    /// Rows of the MLP's first matrix; kernels need a multiple of 32.
    fn width(&self, name: &str) -> Result<usize> {
        match self.shape(name)?[0] {
            rows if rows.is_multiple_of(32) => Ok(rows),
            rows => Err(Error::Malformed {
                file: self.source.name().into(),
                item: format!("tensor `{name}`"),
                expected: "a multiple of 32 rows".into(),
                found: rows.to_string(),
            }),
        }
    }

    fn missing(&self, tensor: &str) -> Error {
        let (file, tensor) = (self.source.name().into(), tensor.to_string());
        match self.skipped.iter().chain(&self.inert).find(|(name, _)| *name == tensor) {
            Some((_, found)) => Error::UnknownTensorType { file, tensor, found: found.clone() },
            None => Error::MissingTensor { file, tensor },
        }
    }
}

/// The facts of an adapter file, for a page or a script.
#[derive(Clone, Debug, Serialize)]
pub struct AdapterCard {
    /// The file's name, without its folder.
    pub name: String,
    /// The SHA-256 of the file, in hexadecimal digits; empty where the file holds layer weights alone.
    pub sha256: String,
    /// `attention`, `mean_mlp` or `layer_weights`.
    pub kind: &'static str,
    /// E, values of an embedding.
    pub dimension: Option<usize>,
    /// Whether attention pooling rotates its keys; `None` for other kinds.
    pub rope: Option<bool>,
    /// Values in the adapter's tensors.
    pub parameters: u64,
    /// w, one weight per layer, before its softmax.
    pub layer_weights: Option<Vec<f32>>,
}

impl AdapterFile {
    /// The facts of this file and of the adapter that was `loaded` from it.
    pub fn card(&self, loaded: Option<&Adapter>) -> AdapterCard {
        let info = loaded.map(|adapter| &adapter.info);
        AdapterCard {
            name: self.name().into(),
            sha256: info.map_or_else(String::new, |info| info.sha256.clone()),
            kind: info.map_or("layer_weights", |info| info.kind.name()),
            dimension: info.map(|info| info.dimension),
            rope: info.and_then(|info| match info.kind {
                AdapterKind::Attention { rope, .. } => Some(rope),
                AdapterKind::MeanMlp => None,
            }),
            parameters: info.map_or(0, |info| info.parameters),
            layer_weights: self.layer_weights.clone(),
        }
    }
}

/// A tensor that the file should hold, and its names in the network: several names share its rows evenly.
struct Expected {
    name: String,
    shape: Vec<usize>,
    parts: Vec<String>,
}

impl Expected {
    fn new(name: &str, shape: &[usize]) -> Self {
        Self { name: name.into(), shape: shape.to_vec(), parts: vec![name.into()] }
    }

    fn upload(&self, values: Vec<f32>, weights: &mut Weights, device: &Device) -> Result<()> {
        for (part, values) in self.parts.iter().zip(values.chunks(values.len() / self.parts.len())) {
            match self.shape[..] {
                [rows, columns] => {
                    let rows = rows / self.parts.len();
                    let needed = quant::Layout::Dense.bytes(rows, columns)[0];
                    if let Some(limit) = device.max_buffer_bytes
                        && needed > limit
                    {
                        return Err(Error::DeviceLimit { item: self.name.clone(), needed, limit });
                    }
                    let packed = quant::pack(TensorType::F32, bytemuck::cast_slice(values), rows, columns);
                    weights.insert_matrix(part.clone(), PackedWeight::upload(packed, device));
                }
                _ => {
                    let data = TensorData::new(values.to_vec(), [values.len()]);
                    let tensor = device.keep(data, |data, device| Tensor::<1>::from_data(data, device));
                    weights.insert_vector(part.clone(), tensor);
                }
            }
        }
        Ok(())
    }
}

/// Takes off what torch's wrappers have put before all names.
fn unwrap(tensors: &mut [TensorInfo], skipped: &mut [(String, String)]) {
    let names = tensors.iter().map(|info| &info.name).chain(skipped.iter().map(|(name, _)| name));
    let wrappers = wrappers(names.map(String::as_str)).len();
    tensors.iter_mut().for_each(|info| drop(info.name.drain(..wrappers)));
    skipped.iter_mut().for_each(|(name, _)| drop(name.drain(..wrappers)));
}

/// The kind of adapter, recognized by the names of its tensors; `None` where they are of no kind.
fn kind(tensors: &[TensorInfo]) -> Option<AdapterKind> {
    let has = |name: &str| tensors.iter().any(|info| info.name == name);
    let blocks = |prefix: &str, one_of_each: &str| {
        (0..MAX_BLOCKS).take_while(|block| has(&format!("{prefix}.{block}.{one_of_each}"))).count()
    };
    if has("pool_token") {
        return Some(match blocks("encoder.layers", "self_attn.in_proj_weight") {
            0 => AdapterKind::Attention { blocks: blocks("encoder", "q_proj.weight").max(1), rope: true },
            blocks => AdapterKind::Attention { blocks, rope: false },
        });
    }
    has("mlp.0.weight").then_some(AdapterKind::MeanMlp)
}

fn check_shape(file: &str, info: &TensorInfo, expected: &[usize]) -> Result<()> {
    if info.shape == expected {
        return Ok(());
    }
    Err(Error::WrongShape {
        file: file.into(),
        tensor: info.name.clone(),
        expected: expected.into(),
        found: info.shape.clone(),
    })
}

async fn read_list(source: &dyn Source) -> Result<Vec<f32>> {
    let bytes = source.read(0..source.size().min(MAX_WEIGHTS_BYTES)).await?;
    serde_json::from_slice(sniff::without_mark(&bytes)).map_err(|e| Error::Malformed {
        file: source.name().into(),
        item: "the layer weights".into(),
        expected: "a JSON list of numbers, or an adapter's .safetensors or .pt file".into(),
        found: sniff::foreign(&bytes).map_or_else(|| e.to_string(), String::from),
    })
}

async fn read_weights(source: &dyn Source, tensor: TensorInfo) -> Result<Vec<f32>> {
    let file = source.name();
    if tensor.shape.len() != 1 || tensor.range.end - tensor.range.start > MAX_WEIGHTS_BYTES {
        return Err(Error::Malformed {
            file: file.into(),
            item: "layer_weights".into(),
            expected: "one number a layer".into(),
            found: format!("shape {:?}", tensor.shape),
        });
    }
    let values = quant::dequantize(tensor.dtype, &source.read(tensor.range).await?);
    match values.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(Error::LayerWeight { index, found: values[index] }),
        None => Ok(values),
    }
}
