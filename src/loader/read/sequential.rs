//! A file read once from front to back in large pieces, hashed on the way.

use crate::error::{Error, Result};
use crate::format::{Source, TensorInfo, hex, short_name};
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::rc::Rc;

/// Bytes of one request: few enough for the heap, enough for a distant server.
pub(crate) const PIECE: u64 = 4 << 20;

/// The front of a file that has been read.
pub(crate) struct Sequential {
    source: Rc<dyn Source>,
    hash: Sha256,
    /// Bytes read ahead, which end at `position`; the first `used` of them were asked for.
    ahead: Vec<u8>,
    used: usize,
    position: u64,
}

impl Sequential {
    /// At the file's first byte.
    pub(crate) fn new(source: Rc<dyn Source>) -> Self {
        Self { source, hash: Sha256::new(), ahead: Vec::new(), used: 0, position: 0 }
    }

    /// The bytes of `range`, which begins no earlier than the last one ended.
    pub(crate) async fn read(&mut self, range: Range<u64>) -> Result<Vec<u8>> {
        while self.position < range.start {
            self.skip_to(range.start).await?;
        }
        self.used = self.ahead.len() - (self.position - range.start) as usize;
        let len = (range.end - range.start) as usize;
        if range.end > self.position {
            // A large range is fetched alone, a small one together with the bytes after it.
            let end = (self.position + PIECE).min(self.source.size()).max(range.end);
            let fetched = self.fetch(self.position..end).await?;
            let mut bytes = self.ahead.split_off(self.used);
            let missing = len - bytes.len();
            if missing == fetched.len() && bytes.is_empty() {
                (self.ahead, self.used) = (Vec::new(), 0);
                return Ok(fetched);
            }
            bytes.extend_from_slice(&fetched[..missing]);
            (self.ahead, self.used) = (fetched, missing);
            return Ok(bytes);
        }
        let bytes = self.ahead[self.used..self.used + len].to_vec();
        self.used += len;
        Ok(bytes)
    }

    /// A tensor's bytes; one that lies inside an earlier one is refused.
    pub(crate) async fn read_in_order(&mut self, tensor: &TensorInfo) -> Result<Vec<u8>> {
        let free_from = self.position - (self.ahead.len() - self.used) as u64;
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

    /// Passes over one piece of what lies before `start`; `false` where the rest is no piece any more.
    pub(crate) async fn skips_to(&mut self, start: u64) -> Result<bool> {
        let far = start >= self.position + PIECE;
        if far {
            self.skip_to(start).await?;
        }
        Ok(far)
    }

    /// Reads one more piece that nobody asked for.
    pub(crate) async fn skip(&mut self) -> Result<()> {
        self.skip_to(self.source.size()).await
    }

    async fn skip_to(&mut self, end: u64) -> Result<()> {
        self.ahead.clear();
        self.used = 0;
        self.fetch(self.position..end.min(self.position + PIECE)).await.map(drop)
    }

    async fn fetch(&mut self, range: Range<u64>) -> Result<Vec<u8>> {
        let bytes = self.source.read(range.clone()).await?;
        if self.source.sha256().is_none() {
            self.hash.update(&bytes);
        }
        self.position = range.end;
        Ok(bytes)
    }

    /// Bytes read so far.
    pub(crate) fn done(&self) -> u64 {
        self.position
    }

    /// Whether the whole file was read.
    pub(crate) fn is_finished(&self) -> bool {
        self.position >= self.source.size()
    }

    /// The file's name and the SHA-256 of what was read, in hexadecimal digits.
    pub(crate) fn sha256(self) -> (String, String) {
        let digits = match self.source.sha256() {
            Some(digits) => digits.into(),
            None => hex(&self.hash.finalize()),
        };
        (short_name(self.source.name()).into(), digits)
    }
}
