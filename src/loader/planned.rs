//! A tensor that a model needs: where it lies in its file, and how it will lie on the device.

use super::read::sequential::PIECE;
use crate::format::TensorInfo;
use crate::model::config::Role;
use crate::quant::Layout;

/// A tensor to load.
#[derive(Clone, Debug)]
pub struct Planned {
    pub source: usize,
    pub info: TensorInfo,
    /// Hugging Face's name without prefix.
    pub name: String,
    pub role: Role,
    /// Of a matrix on the device.
    pub layout: Layout,
    /// The heads whose rows have to be put in order (`llama` GGUF files).
    pub heads: Option<usize>,
    /// Names of all matrices that it is joined with, itself among them.
    pub joined: Vec<String>,
}

impl Planned {
    /// Bytes of its buffers on the device: words and scales.
    pub fn buffers(&self) -> [u64; 2] {
        match self.info.shape[..] {
            [out_features, in_features] => self.layout.bytes(out_features, in_features),
            _ => [self.info.shape.iter().product::<usize>() as u64 * 4, 0],
        }
    }

    /// Stored bytes of one row.
    pub fn row_bytes(&self) -> u64 {
        (self.info.range.end - self.info.range.start) / self.info.shape[0] as u64
    }

    /// The rows of a head, where they have to be put in order.
    pub fn head_rows(&self) -> Option<u64> {
        self.heads.map(|heads| (self.info.shape[0] / heads) as u64)
    }

    /// The stored bytes to read at once: whole rows, or whole heads.
    pub fn piece(&self) -> u64 {
        let least = match self.role {
            Role::Vector => self.info.range.end - self.info.range.start,
            _ => self.row_bytes() * self.head_rows().unwrap_or(1),
        };
        (PIECE / least).max(1) * least
    }

    /// Bytes on the device.
    pub fn device_bytes(&self) -> u64 {
        self.buffers().iter().sum()
    }

    /// The layer it belongs to.
    pub fn layer(&self) -> Option<usize> {
        self.name.strip_prefix("layers.")?.split('.').next()?.parse().ok()
    }

    /// Host memory while it is read and packed: two pieces as stored, words and scales, and the scales before they are
    /// rounded, which take twice as much.
    pub fn loading_bytes(&self) -> u64 {
        let [words, scales] = self.buffers();
        2 * PIECE + words + 3 * scales
    }
}
