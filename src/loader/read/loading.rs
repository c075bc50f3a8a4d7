//! A load under way: each tensor is read once, packed, uploaded and dropped.

use super::layers::FileLayers;
use super::sequential::Sequential;
use crate::device::Device;
use crate::encoder::{Parts, Placement, TextEncoder};
#[cfg(doc)]
use crate::error::Error;
use crate::error::Result;
use crate::loader::Header;
use crate::model::{Decoder, Weights, config::Role};
use crate::quant::{Packer, Scales};
use crate::text::token_table::TokenTable;

/// Bytes uploaded between two waits for the device: a browser keeps a copy of every upload until the queue has run.
const UPLOAD_WINDOW: u64 = 64 << 20;

/// The progress of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
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
    /// Bytes of that tensor that were read.
    within: u64,
    /// The matrix that is being packed, up to the rows read so far.
    packer: Option<Packer>,
    weights: Weights,
    token_table: Option<Vec<u8>>,
    token_scales: Option<Scales>,
    /// Whether a byte of the token table was seen that is not zero.
    table_has_values: bool,
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
            token_scales: None,
            table_has_values: false,
            uploaded: 0,
            placement: Placement::new(false),
            header,
        })
    }

    /// Sets how the model will be held. A streamed model leaves its layers in their file and brings them to the device for
    /// each pass; its results are the same, bit for bit. Every byte is still read once, for the hash of the file.
    pub fn placed(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Reads some rows of a tensor, 4 MB or one row of it; `None` when all tensors are there.
    ///
    /// # Errors
    /// [`Error::Read`] and the source's other errors, [`Error::NotFinite`], [`Error::OnlyZeros`],
    /// [`Error::Device`].
    pub async fn step(&mut self) -> Result<Option<Progress>> {
        // 1. The next rows: no heap holds a whole tensor as it is stored, and a person can stop at any of them.
        let Some(planned) = self.header.tensors.get(self.next).cloned() else {
            return self.read_the_rest().await;
        };
        let is_table = planned.role == Role::Embedding;
        if is_table && self.within == 0 {
            self.token_scales = planned.scales(&self.header.sources).await?;
        }
        let stays_in_file = match is_table {
            // It is read up to its first byte that is not zero.
            true => !self.header.keeps_token_table() && self.table_has_values,
            false => self.placement.streamed && planned.layer().is_some(),
        };
        if stays_in_file {
            self.within = 0;
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
        let is_first = self.within == 0;
        self.within += end - start;

        // 2. Their use.
        self.table_has_values |= is_table && bytes.iter().any(|byte| *byte != 0);
        match planned.role {
            Role::Embedding if !self.header.keeps_token_table() => {}
            Role::Embedding => {
                let len = (planned.info.range.end - planned.info.range.start) as usize;
                self.token_table.get_or_insert_with(|| Vec::with_capacity(len)).extend_from_slice(&bytes);
            }
            Role::Matrix => {
                if is_first {
                    self.packer = Some(planned.packer(&self.header.sources).await?);
                }
                self.packer.iter_mut().for_each(|packer| planned.pack(packer, &bytes));
            }
            Role::Vector => {
                let scales = planned.scales(&self.header.sources).await?;
                let file = self.header.sources[planned.source].name();
                planned.upload_vector(&bytes, scales.as_ref(), file, &mut self.weights, &self.device)?;
            }
        }
        if end == planned.info.range.end {
            if is_table && !self.table_has_values {
                return Err(planned.only_zeros(self.header.sources[planned.source].name()));
            }
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

    /// Reads the bytes that hold no tensor of ours: the hash of the file needs them.
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
        let token_table = TokenTable::new(source, token_table.info, self.token_table, self.token_scales);
        let (device, placement) = (self.device, self.placement);
        Ok(TextEncoder::new(Parts { config, info, device, tokenizer, token_table, decoder, placement }))
    }
}
