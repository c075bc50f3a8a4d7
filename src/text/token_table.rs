//! The token embeddings. They are kept as they are stored, or left in their file, from which a row is read when a text
//! has its token. They never go to the device as a whole. Called by `encoder`.

use crate::error::Result;
use crate::format::{Source, TensorInfo};
use crate::quant::{self, Scales};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// The most rows that are kept in memory while the table stays in its file: those of a text, twice.
pub(crate) const KEPT_ROWS: usize = 4096;

/// Rows with at most this many bytes between them are read in one request, the gap included.
const ROW_GAP: u64 = 16 << 10;
/// The most wanted rows in one request, which so stays below 1 MB.
const ROWS_AT_ONCE: usize = 32;

/// The token embeddings `[V, D]` of V tokens, as the file stores them.
pub(crate) struct TokenTable {
    source: Rc<dyn Source>,
    info: TensorInfo,
    /// What makes values of its codes, where another tensor has that.
    scales: Option<Scales>,
    /// All bytes of the table, if they are kept in memory.
    resident: Option<Vec<u8>>,
    /// The rows read from the file so far, by token, as they are stored.
    kept: RefCell<HashMap<u32, Rc<[u8]>>>,
}

impl TokenTable {
    /// The table is the tensor `info` of `source`; `resident` has its bytes if they are kept in memory.
    pub(crate) fn new(
        source: Rc<dyn Source>,
        info: TensorInfo,
        resident: Option<Vec<u8>>,
        scales: Option<Scales>,
    ) -> Self {
        Self { source, info, scales, resident, kept: RefCell::default() }
    }

    /// The rows of `ids` as f32, `[T, D]`.
    ///
    /// # Errors
    /// Those of the source, if the table stays in its file.
    pub(crate) async fn rows(&self, ids: &[u32]) -> Result<Vec<f32>> {
        let (dtype, stride) = (self.info.dtype, self.stride());
        let mut values = Vec::with_capacity(ids.len() * self.info.shape[1]);
        if let Some(bytes) = &self.resident {
            let row = |id: &u32| &bytes[*id as usize * stride..][..stride];
            ids.iter().for_each(|id| values.extend(quant::dequantize(dtype, row(id))));
        } else {
            let rows = self.stored_rows(ids).await?;
            ids.iter().for_each(|id| values.extend(quant::dequantize(dtype, &rows[id])));
        }
        if let Some(scales) = &self.scales {
            let rows = values.chunks_exact_mut(self.info.shape[1]);
            ids.iter().zip(rows).for_each(|(id, row)| scales.apply(*id as usize, row));
        }
        Ok(values)
    }

    /// The size of a row in bytes.
    fn stride(&self) -> usize {
        self.info.shape[1] / self.info.dtype.block_len() * self.info.dtype.block_bytes()
    }

    /// The rows of `ids`, by token. Duplicates are read once, neighbors in one request; kept rows are not
    /// read again.
    async fn stored_rows(&self, ids: &[u32]) -> Result<HashMap<u32, Rc<[u8]>>> {
        // 1. The distinct ids, and those of them that are not kept.
        let wanted: BTreeSet<u32> = ids.iter().copied().collect();
        let mut rows: HashMap<_, _> = {
            let kept = self.kept.borrow();
            wanted.iter().filter_map(|id| Some((*id, kept.get(id)?.clone()))).collect()
        };
        let missing: Vec<u32> = wanted.iter().copied().filter(|id| !rows.contains_key(id)).collect();

        // 2. One request for each stretch of the file with some of them.
        let stride = self.stride();
        let near = |a: &u32, b: &u32| u64::from(b - a - 1) * stride as u64 <= ROW_GAP;
        for ids in missing.chunk_by(near).flat_map(|ids| ids.chunks(ROWS_AT_ONCE)) {
            let (first, last) = (ids[0], ids[ids.len() - 1]);
            let at = |row: u32| self.info.range.start + u64::from(row) * stride as u64;
            let bytes = self.source.read(at(first)..at(last + 1)).await?;
            rows.extend(ids.iter().map(|id| (*id, bytes[(id - first) as usize * stride..][..stride].into())));
        }

        // 3. Keep the rows for the next texts.
        let mut kept = self.kept.borrow_mut();
        if kept.len() + missing.len() > KEPT_ROWS {
            kept.clear();
        }
        kept.extend(rows.iter().map(|(id, row)| (*id, row.clone())));
        Ok(rows)
    }
}
