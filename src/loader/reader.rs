//! A file read once from front to back in large pieces, hashed on the way.

use crate::error::{Error, Result};
use crate::format::{Source, TensorInfo};
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::rc::Rc;

/// One request's bytes: small enough for the heap, large enough for a distant server.
const PIECE: u64 = 4 << 20;

/// The front of a file that has been read.
pub struct Sequential {
    source: Rc<dyn Source>,
    hash: Sha256,
    /// The bytes that end at `position` and were not asked for yet.
    ahead: Vec<u8>,
    position: u64,
}

impl Sequential {
    /// At the file's first byte.
    pub fn new(source: Rc<dyn Source>) -> Self {
        Self { source, hash: Sha256::new(), ahead: Vec::new(), position: 0 }
    }

    /// The bytes of `range`, which begins no earlier than the last one ended.
    pub async fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>> {
        while self.position < range.start {
            self.skip_to(range.start).await?;
        }
        let ahead_start = self.position - self.ahead.len() as u64;
        self.ahead.drain(..(range.start - ahead_start) as usize);
        if range.end > self.position {
            let end = range.end.max(self.position + PIECE).min(self.source.size()).max(range.end);
            let bytes = self.fetch(self.position..end).await?;
            self.ahead.extend_from_slice(&bytes);
        }
        let rest = self.ahead.split_off((range.end - range.start) as usize);
        Ok(std::mem::replace(&mut self.ahead, rest))
    }

    /// A tensor's bytes; one that lies inside an earlier one is refused.
    pub async fn read_in_order(&mut self, tensor: &TensorInfo) -> Result<Vec<u8>> {
        let free_from = self.position - self.ahead.len() as u64;
        if tensor.range.start < free_from {
            return Err(Error::Malformed {
                file: self.source.name().into(),
                item: format!("tensor `{}`", tensor.name),
                expected: format!("a start at byte {free_from} or later, behind the other tensors"),
                found: format!("byte {}", tensor.range.start),
            });
        }
        self.read(tensor.range.clone()).await
    }

    /// Reads one more piece that nobody asked for.
    pub async fn skip(&mut self) -> Result<()> {
        self.skip_to(self.source.size()).await
    }

    async fn skip_to(&mut self, end: u64) -> Result<()> {
        self.ahead.clear();
        self.fetch(self.position..end.min(self.position + PIECE)).await.map(drop)
    }

    async fn fetch(&mut self, range: Range<u64>) -> Result<Vec<u8>> {
        let bytes = self.source.read(range.clone()).await?;
        self.hash.update(&bytes);
        self.position = range.end;
        Ok(bytes)
    }

    /// Bytes read so far.
    pub fn done(&self) -> u64 {
        self.position
    }

    /// Whether the whole file was read.
    pub fn is_finished(&self) -> bool {
        self.position >= self.source.size()
    }

    /// The file's name and the SHA-256 of what was read, in hexadecimal digits.
    pub fn sha256(self) -> (String, String) {
        let digits = self.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        (super::header::short_name(self.source.name()).into(), digits)
    }
}
