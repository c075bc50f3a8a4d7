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
use crate::format::TensorType;
use crate::kernel::{PackedWeight, quant};
use crate::model::{Decoder, Weights, config::Role};
use burn::tensor::{Tensor, TensorData};
use header::Planned;
use reader::Sequential;

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
        Ok(Self { device, readers, next: 0, weights, token_table: None, uploaded: 0, header })
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
            Role::Matrix => self.upload_matrix(&planned, bytes)?,
            Role::Vector => self.upload_vector(&planned, &bytes)?,
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

    fn upload_matrix(&mut self, planned: &Planned, bytes: Vec<u8>) -> Result<()> {
        let [out_features, in_features] = [planned.info.shape[0], planned.info.shape[1]];
        let bytes = match planned.heads {
            Some(heads) => unpermute(&bytes, out_features, heads),
            None => bytes,
        };
        let packed = quant::pack(planned.info.dtype, &bytes, out_features, in_features);
        drop(bytes);
        if !packed.is_finite() {
            return Err(self.not_finite(planned));
        }
        self.uploaded += packed.layout.bytes(out_features, in_features).iter().sum::<u64>();
        self.weights.insert_matrix(planned.name.clone(), PackedWeight::upload(packed, &self.device));
        Ok(())
    }

    fn upload_vector(&mut self, planned: &Planned, bytes: &[u8]) -> Result<()> {
        let mut values = quant::dequantize(planned.info.dtype, bytes);
        if let Some(heads) = planned.heads {
            values = unpermute(&values, values.len(), heads);
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(self.not_finite(planned));
        }
        let shape = [values.len()];
        let tensor = self
            .device
            .keep(TensorData::new(values, shape), |data, device| Tensor::<1>::from_data(data, device));
        self.weights.insert_vector(planned.name.clone(), tensor);
        Ok(())
    }

    fn not_finite(&self, planned: &Planned) -> Error {
        Error::NotFinite {
            file: self.header.sources[planned.source].name().into(),
            tensor: planned.info.name.clone(),
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
        let decoder = Decoder::load(&mut self.weights, &header.config, header.info.max_length, &self.device)?;
        TextEncoder::new(header, decoder, self.token_table, self.device)
    }
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
