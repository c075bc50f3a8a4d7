//! Texts packed end to end, without padding: a batch equals its texts one by one.

/// The tokens of several texts in one row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedBatch {
    /// `[T]`
    pub input_ids: Vec<u32>,
    /// `[T]`: each token's place in its own text.
    pub positions: Vec<u32>,
    /// `[T]`: the tokens each token attends to, `[first, end)`: those of its text up to itself.
    pub spans: Vec<[u32; 2]>,
    /// `[B + 1]`: text `b` is `offsets[b]..offsets[b + 1]`.
    pub offsets: Vec<u32>,
}

impl PackedBatch {
    /// Packs the texts in order.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut batch = Self { offsets: vec![0], ..Self::default() };
        for ids in texts {
            let start = batch.input_ids.len() as u32;
            batch.input_ids.extend_from_slice(ids);
            batch.positions.extend(0..ids.len() as u32);
            batch.spans.extend((start + 1..).take(ids.len()).map(|end| [start, end]));
            batch.offsets.push(start + ids.len() as u32);
        }
        batch
    }

    /// The texts as `[first, end)`.
    pub fn segments(&self) -> impl Iterator<Item = [u32; 2]> {
        self.offsets.array_windows().copied()
    }
}

/// Splits texts of `lengths` tokens into runs of at most `budget` tokens, in order; a longer text is a run of its own.
///
/// The order stays: without padding nothing is gained by sorting, and a caption's items are finished together.
pub fn runs(lengths: &[usize], budget: usize) -> Vec<std::ops::Range<usize>> {
    let mut runs = Vec::new();
    let (mut first, mut tokens) = (0, 0);
    for (text, length) in lengths.iter().enumerate() {
        if text > first && tokens + length > budget {
            runs.push(first..text);
            (first, tokens) = (text, 0);
        }
        tokens += length;
    }
    if first < lengths.len() {
        runs.push(first..lengths.len());
    }
    runs
}
