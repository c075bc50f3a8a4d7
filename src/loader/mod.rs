//! From files to an encoder: header, checks, then tensor by tensor: read, repack, upload, drop.
//!
//! The only place that joins `format` and `model`. [`Header::read`] alone costs a few hundred kilobytes and tells
//! everything that can be wrong before the weights are read; [`Loading`] is driven step by step, so that the caller
//! shows progress and stops when it likes.

mod adapter;
mod config;
mod header;
mod reader;

pub use adapter::AdapterFile;
pub use header::{Header, ModelInfo};

use crate::device::Device;
use crate::encoder::TextEncoder;
use crate::error::{Error, Result};
use crate::format::{Source, TensorType};
use crate::kernel::{PackedWeight, quant};
use crate::model::{Decoder, LayerSource, Weights, config::Role};
use burn::tensor::{Tensor, TensorData};
use header::Planned;
use reader::Sequential;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

/// Uploads since the last wait for the device: a browser keeps every upload's copy until the queue has run.
const UPLOAD_WINDOW: u64 = 64 << 20;

/// How far a load is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub done: u64,
    /// Bytes of all files.
    pub total: u64,
}

/// A load under way.
pub struct Loading {
    device: Device,
    header: Header,
    readers: Vec<Sequential>,
    /// The next of the header's tensors.
    next: usize,
    weights: Weights,
    token_table: Option<Vec<u8>>,
    uploaded: u64,
    streamed: bool,
}

impl Loading {
    /// Ready to read the tensors of `header` onto `device`.
    ///
    /// # Errors
    /// [`Error::DeviceLimit`] where a tensor is larger than one of the device's buffers.
    pub fn new(header: Header, device: Device) -> Result<Self> {
        if let Some(limit) = device.max_buffer_bytes {
            header.check_limit(limit)?;
        }
        let readers = header.sources.iter().cloned().map(Sequential::new).collect();
        let weights = Weights::new(header.sources[0].name());
        Ok(Self {
            device,
            readers,
            next: 0,
            weights,
            token_table: None,
            uploaded: 0,
            streamed: false,
            header,
        })
    }

    /// Leaves the layers in their file, to be brought to the device for each pass: for models that don't fit.
    /// What is computed is the same, bit for bit. Every byte is read once all the same, for the file's hash.
    pub fn streamed(mut self, streamed: bool) -> Self {
        self.streamed = streamed;
        self
    }

    /// Reads one tensor; `None` when all are there.
    ///
    /// # Errors
    /// [`Error::Read`] and the source's other errors, [`Error::NotFinite`], [`Error::Device`].
    pub async fn step(&mut self) -> Result<Option<Progress>> {
        let Some(planned) = self.header.tensors.get(self.next).cloned() else {
            return self.read_the_rest().await;
        };
        self.next += 1;
        let reader = &mut self.readers[planned.source];
        if planned.role == Role::Embedding && !self.header.keeps_token_table() {
            return Ok(Some(self.progress())); // its rows are read when they are needed
        }
        let bytes = reader.read(planned.info.range.clone()).await?;
        match planned.role {
            Role::Embedding => self.token_table = Some(bytes),
            _ if self.streamed && planned.layer().is_some() => {}
            _ => {
                let file = self.header.sources[planned.source].name();
                self.uploaded += upload(&planned, bytes, file, &mut self.weights, &self.device)?;
            }
        }
        if self.uploaded > UPLOAD_WINDOW {
            self.device.wait().await?;
            self.uploaded = 0;
        }
        Ok(Some(self.progress()))
    }

    /// The bytes that no tensor of ours lies in: they belong to the hash.
    async fn read_the_rest(&mut self) -> Result<Option<Progress>> {
        match self.readers.iter_mut().find(|reader| !reader.is_finished()) {
            Some(reader) => {
                reader.skip().await?;
                Ok(Some(self.progress()))
            }
            None => Ok(None),
        }
    }

    fn progress(&self) -> Progress {
        Progress { done: self.readers.iter().map(Sequential::done).sum(), total: self.header.info.file_bytes }
    }

    /// The encoder, once [`Self::step`] has given `None`.
    ///
    /// # Errors
    /// [`Error::MissingTensor`] before that.
    pub fn finish(mut self) -> Result<TextEncoder> {
        let hashes = self.readers.into_iter().map(Sequential::sha256).collect();
        let mut header = self.header;
        header.info.sha256 = hashes;
        let (config, max_length) = (&header.config, header.info.max_length);
        let decoder = if self.streamed {
            let source = Box::new(FileLayers::new(&header, &self.device));
            Decoder::streamed(source, &mut self.weights, config, max_length, &self.device)?
        } else {
            Decoder::load(&mut self.weights, config, max_length, &self.device)?
        };
        TextEncoder::new(header, decoder, self.token_table, self.device)
    }
}

/// The layers of a model, read from their file when they are needed.
struct FileLayers {
    sources: Vec<Rc<dyn Source>>,
    /// Of each layer, in file order.
    tensors: Vec<Vec<Planned>>,
    device: Device,
}

impl FileLayers {
    fn new(header: &Header, device: &Device) -> Self {
        let mut tensors = vec![Vec::new(); header.config.num_hidden_layers];
        for planned in &header.tensors {
            if let Some(layer) = planned.layer() {
                tensors[layer].push(planned.clone());
            }
        }
        Self { sources: header.sources.clone(), tensors, device: device.transient() }
    }
}

impl LayerSource for FileLayers {
    fn load(&self, index: usize) -> Pin<Box<dyn Future<Output = Result<Weights>> + '_>> {
        Box::pin(async move {
            let mut weights = Weights::new(self.sources[0].name());
            for planned in &self.tensors[index] {
                let source = &self.sources[planned.source];
                let bytes = source.read(planned.info.range.clone()).await?;
                upload(planned, bytes, source.name(), &mut weights, &self.device)?;
            }
            Ok(weights)
        })
    }
}

/// Repacks a tensor and moves it to the device; gives its bytes there.
fn upload(
    planned: &Planned,
    bytes: Vec<u8>,
    file: &str,
    weights: &mut Weights,
    device: &Device,
) -> Result<u64> {
    let not_finite = || Error::NotFinite { file: file.into(), tensor: planned.info.name.clone() };
    if planned.role == Role::Matrix {
        let [out_features, in_features] = [planned.info.shape[0], planned.info.shape[1]];
        let bytes = match planned.heads {
            Some(heads) => unpermute(&bytes, out_features, heads),
            None => bytes,
        };
        let packed = quant::pack(planned.info.dtype, &bytes, out_features, in_features);
        drop(bytes);
        if !packed.is_finite() {
            return Err(not_finite());
        }
        let size = packed.layout.bytes(out_features, in_features).iter().sum();
        weights.insert_matrix(planned.name.clone(), PackedWeight::upload(packed, device));
        return Ok(size);
    }
    let mut values = quant::dequantize(planned.info.dtype, &bytes);
    if let Some(heads) = planned.heads {
        values = unpermute(&values, values.len(), heads);
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(not_finite());
    }
    let data = TensorData::new(values, planned.info.shape.clone());
    let tensor = device.keep(data, |data, device| Tensor::<1>::from_data(data, device));
    weights.insert_vector(planned.name.clone(), tensor);
    Ok(0)
}

/// Undoes the row order of `llama` files, whose RoPE rotates neighbours: rows `(head, i, j)` become `(head, j, i)`,
/// `i < head_dim / 2`, `j < 2`, so that the halves can be rotated. `data` is `rows` equal pieces.
fn unpermute<T: Copy>(data: &[T], rows: usize, heads: usize) -> Vec<T> {
    let width = data.len() / rows;
    let half = rows / heads / 2;
    let mut output = Vec::with_capacity(data.len());
    for head in 0..heads {
        for j in 0..2 {
            for i in 0..half {
                let row = (head * half + i) * 2 + j;
                output.extend_from_slice(&data[row * width..][..width]);
            }
        }
    }
    output
}

/// Bytes a packed or dense tensor takes on the device, as `[words, scales]`.
pub(crate) fn device_bytes(dtype: TensorType, shape: &[usize]) -> [u64; 2] {
    match shape {
        [out_features, in_features] => quant::Layout::of(dtype).bytes(*out_features, *in_features),
        _ => [shape.iter().product::<usize>() as u64 * 4, 0],
    }
}
