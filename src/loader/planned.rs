//! A tensor that a model needs: where it lies in its file, and how it will lie on the device.

use super::read::sequential::PIECE;
use super::scaling::Scaling;
use crate::format::TensorInfo;
use crate::model::config::Role;
use crate::quant::{Layout, NEAREST};
use std::rc::Rc;

/// Values of k in a block of the products.
const BLOCK: usize = 32;

/// A tensor to load.
#[derive(Clone, Debug)]
pub(crate) struct Planned {
    /// The index of the file that it lies in.
    pub source: usize,
    /// Its place, type and shape in that file.
    pub info: TensorInfo,
    /// Hugging Face's name without prefix.
    pub name: String,
    /// How the network uses it.
    pub role: Role,
    /// The layout of a matrix on the device.
    pub layout: Layout,
    /// Number of heads whose rows must be reordered (llama GGUF files interleave the halves of each head).
    pub heads: Option<usize>,
    /// Names of all matrices of the group that it is joined with, its own included; empty where it stays alone.
    pub joined: Vec<String>,
    /// The scales of its codes, where they are tensors of their own.
    pub scaling: Option<Rc<Scaling>>,
}

impl Planned {
    /// Whether its values are rounded, as no layout holds them as they are stored.
    pub(crate) fn is_rounded(&self) -> bool {
        self.role == Role::Matrix && self.layout == NEAREST
    }

    /// Bytes of its two buffers on the device, `[words, scales]`.
    pub(crate) fn buffers(&self) -> [u64; 2] {
        match self.info.shape[..] {
            [out_features, _] if self.role == Role::Matrix => {
                self.layout.bytes(out_features, self.in_features())
            }
            _ => [self.info.shape.iter().product::<usize>() as u64 * 4, 0],
        }
    }

    /// The inputs of a matrix on the device. A width that is no multiple of 32 is filled up with weights of zero: the
    /// products read blocks of that width.
    pub(crate) fn in_features(&self) -> usize {
        self.info.shape.last().copied().unwrap_or_default().next_multiple_of(BLOCK)
    }

    /// Stored bytes of one row.
    pub(crate) fn row_bytes(&self) -> u64 {
        (self.info.range.end - self.info.range.start) / self.info.shape[0] as u64
    }

    /// Rows of one head, where its rows must be reordered.
    pub(crate) fn head_rows(&self) -> Option<u64> {
        self.heads.map(|heads| (self.info.shape[0] / heads) as u64)
    }

    /// Stored bytes that are read at once: whole rows, or whole heads where rows must be reordered.
    pub(crate) fn piece(&self) -> u64 {
        let least = match self.role {
            Role::Vector => self.info.range.end - self.info.range.start,
            _ => self.row_bytes() * self.head_rows().unwrap_or(1),
        };
        (PIECE / least).max(1) * least
    }

    /// Bytes of all its buffers on the device.
    pub(crate) fn device_bytes(&self) -> u64 {
        self.buffers().iter().sum()
    }

    /// The index of the layer that it belongs to; `None` for the token table and the final norm.
    pub(crate) fn layer(&self) -> Option<usize> {
        self.name.strip_prefix("layers.")?.split('.').next()?.parse().ok()
    }

    /// Host memory while it is read and packed: two pieces as stored, the words and the scales, and the unrounded scales,
    /// which take twice as much.
    pub(crate) fn loading_bytes(&self) -> u64 {
        let [words, scales] = self.buffers();
        let beside = self.scaling.as_ref().map_or(0, |scaling| scaling.host_bytes());
        2 * PIECE + words + 3 * scales + beside
    }
}
