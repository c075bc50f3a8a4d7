//! From files to an encoder: header, checks, then tensor by tensor: read, repack, upload, drop.
//!
//! The only place that joins `format` and `model`. [`Header::read`] alone costs a few hundred kilobytes and tells
//! everything that can be wrong before the weights are read; [`Loading`] is driven step by step, so that the caller
//! shows progress and stops when it likes.

mod adapter;
pub(crate) mod open;
pub(crate) mod plan;
pub(crate) mod read;

pub use adapter::AdapterFile;
pub use open::header::Header;
pub use open::split::Part;
pub use plan::fit::{Fit, Limits, SLOTS};

use crate::device::Device;
use crate::encoder::{Parts, Placement, TextEncoder};
use crate::error::{Error, Result};
use crate::format::Source;
use crate::kernel::Arithmetic;
use crate::model::{Decoder, LayerSource, Weights, config::Role};
use crate::quant::{self, Packer};
use crate::text::token_table::TokenTable;
use burn::tensor::{Tensor, TensorData};
use open::header::Planned;
use read::sequential::Sequential;
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
    /// Bytes of it that were read.
    within: u64,
    /// It, where it is a matrix, as far as it was read.
    packer: Option<Packer>,
    weights: Weights,
    token_table: Option<Vec<u8>>,
    uploaded: u64,
    placement: Placement,
}

impl Loading {
    /// Ready to read the tensors of `header` onto `device`.
    ///
    /// # Errors
    /// [`Error::DeviceLimit`] where a tensor is larger than one of the device's buffers; [`Error::NoShaderF16`].
    pub fn new(mut header: Header, device: Device) -> Result<Self> {
        header.info.arithmetic.check(&device)?;
        if let Some(limit) = device.max_buffer_bytes {
            header.check_limit(limit)?;
        }
        header.join(device.max_buffer_bytes);
        let readers = header.sources.iter().cloned().map(Sequential::new).collect();
        let weights = Weights::new(header.sources[0].name()).computed_in(header.info.arithmetic);
        Ok(Self {
            device,
            readers,
            next: 0,
            within: 0,
            packer: None,
            weights,
            token_table: None,
            uploaded: 0,
            placement: Placement::new(false),
            header,
        })
    }

    /// Where streamed, leaves the layers in their file, to be brought to the device for each pass: for models that don't
    /// fit. What is computed is the same, bit for bit. Every byte is read once all the same, for the file's hash.
    pub fn placed(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Reads some rows of a tensor, 4 MB or one row of it; `None` when all tensors are there.
    ///
    /// # Errors
    /// [`Error::Read`] and the source's other errors, [`Error::NotFinite`], [`Error::Device`].
    pub async fn step(&mut self) -> Result<Option<Progress>> {
        // 1. The next rows: no heap holds a whole tensor as it is stored, and a person can stop at any of them.
        let Some(planned) = self.header.tensors.get(self.next).cloned() else {
            return self.read_the_rest().await;
        };
        let stays_in_file = match planned.role {
            Role::Embedding => !self.header.keeps_token_table(),
            _ => self.placement.streamed && planned.layer().is_some(),
        };
        if stays_in_file {
            self.next += 1;
            return Ok(Some(self.progress())); // read when it is needed
        }
        let start = planned.info.range.start + self.within;
        let end = planned.info.range.end.min(start + planned.piece());
        let reader = &mut self.readers[planned.source];
        if reader.skips_to(start).await? {
            return Ok(Some(self.progress()));
        }
        let bytes = reader.read(start..end).await?;
        self.within += end - start;

        // 2. What they are for.
        match planned.role {
            Role::Embedding => {
                let len = (planned.info.range.end - planned.info.range.start) as usize;
                self.token_table.get_or_insert_with(|| Vec::with_capacity(len)).extend_from_slice(&bytes);
            }
            Role::Matrix => planned.pack(self.packer.get_or_insert_with(|| planned.packer()), &bytes),
            Role::Vector => {
                let file = self.header.sources[planned.source].name();
                planned.upload_vector(&bytes, file, &mut self.weights, &self.device)?;
            }
        }
        if end == planned.info.range.end {
            if let Some(packer) = self.packer.take() {
                let file = self.header.sources[planned.source].name();
                planned.upload_matrix(packer, file, &mut self.weights, &self.device)?;
                self.uploaded += planned.device_bytes();
            }
            (self.next, self.within) = (self.next + 1, 0);
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
        let decoder = if self.placement.streamed {
            let source = Box::new(FileLayers::new(&header, &self.device));
            Decoder::streamed(source, &mut self.weights, config, max_length, &self.device)?
        } else {
            Decoder::load(&mut self.weights, config, max_length, &self.device)?
        };
        self.device.burn().memory_cleanup(); // pages that tests and uploads have left
        let Header { config, info, tokenizer, sources, token_table, .. } = header;
        let source = sources[token_table.source].clone();
        let token_table = TokenTable::new(source, token_table.info, self.token_table);
        let (device, placement) = (self.device, self.placement);
        Ok(TextEncoder::new(Parts { config, info, device, tokenizer, token_table, decoder, placement }))
    }
}

/// The layers of a model, read from their file when they are needed.
struct FileLayers {
    sources: Vec<Rc<dyn Source>>,
    /// Of each layer, in file order.
    tensors: Vec<Vec<Planned>>,
    arithmetic: Arithmetic,
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
        let (sources, arithmetic) = (header.sources.clone(), header.info.arithmetic);
        Self { sources, tensors, arithmetic, device: device.transient() }
    }
}

impl LayerSource for FileLayers {
    fn load(&self, index: usize) -> Pin<Box<dyn Future<Output = Result<Weights>> + '_>> {
        Box::pin(async move {
            let mut weights = Weights::new(self.sources[0].name()).computed_in(self.arithmetic);
            for planned in &self.tensors[index] {
                let source = &self.sources[planned.source];
                if planned.role == Role::Vector {
                    let bytes = source.read(planned.info.range.clone()).await?;
                    planned.upload_vector(&bytes, source.name(), &mut weights, &self.device)?;
                    continue;
                }
                let (mut packer, mut start) = (planned.packer(), planned.info.range.start);
                while start < planned.info.range.end {
                    let end = planned.info.range.end.min(start + planned.piece());
                    planned.pack(&mut packer, &source.read(start..end).await?);
                    start = end;
                }
                planned.upload_matrix(packer, source.name(), &mut weights, &self.device)?;
            }
            Ok(weights)
        })
    }
}

impl Planned {
    fn packer(&self) -> Packer {
        let [out_features, in_features] = [self.info.shape[0], self.info.shape[1]];
        Packer::new(self.layout, self.info.dtype, out_features, in_features)
    }

    /// Packs the next rows of a matrix.
    fn pack(&self, packer: &mut Packer, bytes: &[u8]) {
        match self.head_rows() {
            Some(rows) => bytes
                .chunks_exact((rows * self.row_bytes()) as usize)
                .for_each(|head| packer.push(&unpermute(head, rows as usize))),
            None => packer.push(bytes),
        }
    }

    fn upload_matrix(
        &self,
        packer: Packer,
        file: &str,
        weights: &mut Weights,
        device: &Device,
    ) -> Result<()> {
        let packed = packer.finish();
        if !packed.is_finite() {
            return Err(self.not_finite(file));
        }
        weights.insert_packed(self.name.clone(), packed, &self.joined, device);
        Ok(())
    }

    fn upload_vector(&self, bytes: &[u8], file: &str, weights: &mut Weights, device: &Device) -> Result<()> {
        let mut values = quant::dequantize(self.info.dtype, bytes);
        if let Some(rows) = self.head_rows() {
            values =
                values.chunks_exact(rows as usize).flat_map(|head| unpermute(head, rows as usize)).collect();
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(self.not_finite(file));
        }
        let shape = [values.len()];
        let tensor =
            device.keep(TensorData::new(values, shape), |data, device| Tensor::<1>::from_data(data, device));
        weights.insert_vector(self.name.clone(), tensor);
        Ok(())
    }

    fn not_finite(&self, file: &str) -> Error {
        Error::NotFinite { file: file.into(), tensor: self.info.name.clone() }
    }
}

/// Undoes the row order of one head of `llama` files, whose RoPE rotates neighbours: rows `(i, j)` become `(j, i)`,
/// `i < head_dim / 2`, `j < 2`, so that the halves can be rotated. `head` is `rows` equal pieces.
fn unpermute<T: Copy>(head: &[T], rows: usize) -> Vec<T> {
    let width = head.len() / rows;
    let mut ordered = Vec::with_capacity(head.len());
    for row in (0..rows).step_by(2).chain((1..rows).step_by(2)) {
        ordered.extend_from_slice(&head[row * width..][..width]);
    }
    ordered
}
