//! Texts in batches whose size follows the device's speed, so that a stop is seen soon; a text's vector does not depend
//! on its batch, so the scores don't.

use web_time::Duration;

/// Tokens of the first batch, before the device's speed is known.
const FIRST_BUDGET: usize = 64;
/// Fewest tokens of a batch: a tile of the kernels.
const LEAST_BUDGET: usize = 16;
/// How long a batch should take: a stop is seen after one.
const STEP: Duration = Duration::from_millis(700);

/// The texts of a run, some of them encoded.
pub(crate) struct Batches {
    ids: Vec<Vec<u32>>,
    /// Parallel to `ids`: already encoded, or skipped.
    done: Vec<bool>,
    next: usize,
    budget: usize,
    /// Tokens of the largest batch: what the device has memory for.
    most: usize,
    /// Batches are as large as they may be, whatever the speed.
    fixed: bool,
    /// Tokens to encode, skipped ones not counted.
    pub total: usize,
    /// Tokens encoded.
    pub tokens: usize,
    /// Texts encoded.
    pub texts: usize,
    /// Time spent on them.
    pub spent: Duration,
}

impl Batches {
    /// All of `ids`, in order, in batches of at most `most` tokens, or of that many where `fixed`, whatever the speed:
    /// where layers are streamed, each batch brings them all.
    pub(crate) fn new(ids: Vec<Vec<u32>>, most: usize, fixed: bool) -> Self {
        Self {
            total: ids.iter().map(Vec::len).sum(),
            done: vec![false; ids.len()],
            ids,
            next: 0,
            budget: if fixed { most } else { FIRST_BUDGET.min(most) },
            most,
            fixed,
            tokens: 0,
            texts: 0,
            spent: Duration::ZERO,
        }
    }

    /// Skips a text whose vector is known.
    pub(crate) fn skip(&mut self, text: usize) {
        if !std::mem::replace(&mut self.done[text], true) {
            self.total -= self.ids[text].len();
        }
    }

    /// The texts of the next batch: at least one, at most the budget's tokens; none when all are done.
    pub(crate) fn next(&mut self) -> Vec<usize> {
        while self.done.get(self.next) == Some(&true) {
            self.next += 1;
        }
        let mut tokens = 0;
        let fits = |text: &usize| {
            tokens += self.ids[*text].len();
            tokens <= self.budget || tokens == self.ids[*text].len()
        };
        (self.next..self.ids.len()).filter(|text| !self.done[*text]).take_while(fits).collect()
    }

    /// The token ids of a text.
    pub(crate) fn ids_of(&self, text: usize) -> &[u32] {
        &self.ids[text]
    }

    /// The token ids of a batch's texts.
    pub(crate) fn ids(&self, batch: &[usize]) -> Vec<&[u32]> {
        batch.iter().map(|text| self.ids[*text].as_slice()).collect()
    }

    /// Says that a batch is encoded, and how long it took.
    pub(crate) fn finish(&mut self, batch: &[usize], elapsed: Duration) {
        let tokens: usize = batch.iter().map(|text| self.ids[*text].len()).sum();
        batch.iter().for_each(|text| self.done[*text] = true);
        self.tokens += tokens;
        self.texts += batch.len();
        self.spent += elapsed;
        if self.fixed {
            return;
        }
        let fitting = tokens as f64 * STEP.as_secs_f64() / elapsed.as_secs_f64().max(1e-6);
        self.budget = (fitting as usize).max(LEAST_BUDGET).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokens of the batches of a device that takes `seconds` per token, on 200 texts of 8 tokens.
    fn sizes(most: usize, fixed: bool, seconds: f64) -> Vec<usize> {
        let mut batches = Batches::new(vec![vec![0; 8]; 200], most, fixed);
        let mut sizes = Vec::new();
        loop {
            let batch = batches.next();
            if batch.is_empty() {
                return sizes;
            }
            sizes.push(8 * batch.len());
            batches.finish(&batch, Duration::from_secs_f64(seconds * 8.0 * batch.len() as f64));
        }
    }

    #[test]
    fn batches_follow_the_speed_within_what_was_placed() {
        assert_eq!(sizes(1024, false, 0.1)[..4], [64, 16, 16, 16]); // 10 tokens a second
        assert_eq!(sizes(1024, false, 0.01)[..3], [64, 64, 64]);
        assert_eq!(sizes(1024, false, 1e-5), [64, 1024, 512]);
        assert_eq!(sizes(40, false, 1e-5)[..3], [40, 40, 40]);
        assert_eq!(sizes(8, false, 0.1)[..3], [8, 8, 8]);
        assert_eq!(sizes(800, true, 0.1), [800, 800]);
    }
}
