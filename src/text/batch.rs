//! Texts packed end to end, without padding. The results of a batch equal those of its texts one by one.

/// The tokens of B texts in one row of T.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PackedBatch {
    /// `[T]`: the token ids.
    pub input_ids: Vec<u32>,
    /// `[T]`: the position of each token in its own text.
    pub positions: Vec<u32>,
    /// `[B + 1]`: text `b` is `offsets[b]..offsets[b + 1]`.
    pub offsets: Vec<u32>,
}

impl PackedBatch {
    /// Packs texts, given by their token ids, in order.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a [u32]>) -> Self {
        let mut batch = Self { offsets: vec![0], ..Self::default() };
        for ids in texts {
            let start = batch.input_ids.len() as u32;
            batch.input_ids.extend_from_slice(ids);
            batch.positions.extend(0..ids.len() as u32);
            batch.offsets.push(start + ids.len() as u32);
        }
        batch
    }

    /// `[T]`: the tokens `[first, end)` that each token attends to: those of its text, up to itself where attention is
    /// `causal`. Of those, only the ones in its `window`: with one, token t sees s where t - s < window, and without
    /// causality where |t - s| <= window, as transformers' masks have it.
    pub fn spans(&self, causal: bool, window: Option<usize>) -> Vec<[u32; 2]> {
        let window = window.map_or(u32::MAX, |window| u32::try_from(window).unwrap_or(u32::MAX));
        let of = |[start, end]: [u32; 2]| {
            (start..end).map(move |token| match causal {
                true => [start.max((token + 1).saturating_sub(window)), token + 1],
                false => [
                    start.max(token.saturating_sub(window)),
                    end.min(token.saturating_add(window).saturating_add(1)),
                ],
            })
        };
        self.segments().flat_map(of).collect()
    }

    /// The tokens `[first, end)` of each text.
    pub fn segments(&self) -> impl Iterator<Item = [u32; 2]> {
        self.offsets.array_windows().copied()
    }
}

/// Splits texts of `lengths` tokens into runs of at most `budget` tokens, in order. A longer text is a run of its own.
///
/// The order stays: without padding there is nothing to gain from sorting, and the items of a caption finish together.
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
