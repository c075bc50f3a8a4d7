//! An evaluation in progress: distinct texts go out, unit vectors come in, and an item is scored as soon as
//! its caption and statements are there: scores = caption . statements, prediction = first maximum.

use super::pending::Pending;
use crate::encoder::dot;
use crate::error::{Error, Result};
use crate::provenance::Provenance;
use crate::ted::data::dataset::Dataset;
use crate::ted::data::subset::Subset;
use crate::ted::report::{ItemResult, Report};
use crate::ted::score::predict;
use half::bf16;
use std::sync::Arc;

/// The items of a subset, and the scores that are known so far.
pub struct Evaluation {
    dataset: Arc<Dataset>,
    pending: Pending<Vec<f32>>,
    /// The scores of each item, parallel to the items; empty until the item is scored.
    scores: Vec<Vec<f32>>,
    /// Whether scores are rounded to bfloat16.
    rounds: bool,
    scored: usize,
    correct: usize,
}

impl Evaluation {
    /// Nothing is encoded yet. `Error::NoItems` where `subset` takes nothing.
    pub fn new(dataset: Arc<Dataset>, subset: &Subset) -> Result<Self> {
        let pending = Pending::new(&dataset, subset.select(&dataset)?);
        Ok(Self::of(dataset, pending))
    }

    /// The items of `pending`.
    pub(super) fn of(dataset: Arc<Dataset>, pending: Pending<Vec<f32>>) -> Self {
        let scores = vec![vec![]; pending.items().len()];
        Self { dataset, pending, scores, rounds: false, scored: 0, correct: 0 }
    }

    /// Rounds scores to bfloat16, which brings the reference's ties back.
    pub fn with_rounded_scores(mut self, rounds: bool) -> Self {
        self.rounds = rounds;
        self
    }

    /// The distinct texts, each once, in the order of first use.
    pub fn texts(&self) -> &[String] {
        self.pending.texts()
    }

    /// How many items there are to score, without those that the model can't encode.
    pub fn items(&self) -> usize {
        self.scores.len()
    }

    /// How many texts have got their vector.
    pub fn encoded(&self) -> usize {
        self.pending.encoded()
    }

    /// Items scored so far, and how many of them are right.
    pub fn scored(&self) -> (usize, usize) {
        (self.scored, self.correct)
    }

    /// Gives the unit vector `[E]` of `texts()[text]` and scores the items it completes; a second one is
    /// ignored.
    pub fn insert(&mut self, text: usize, vector: Vec<f32>) {
        let mut complete = Vec::new();
        self.pending.insert(text, vector, |item, caption, statements| {
            complete.push((item, statements.iter().map(|statement| dot(caption, statement)).collect()));
        });
        for (item, scores) in complete {
            self.score(item, scores);
        }
    }

    /// Leaves out the items that `texts()[text]` is for, as it has no vector.
    pub(super) fn leave_out(&mut self, text: usize, error: &Error) {
        self.pending.leave_out(text, &self.dataset, error);
    }

    fn score(&mut self, item: usize, mut scores: Vec<f32>) {
        if self.rounds {
            scores.iter_mut().for_each(|score| *score = bf16::from_f32(*score).to_f32());
        }
        let sample = self.pending.items()[item].sample;
        self.scored += 1;
        self.correct += usize::from(predict(&scores) == self.dataset.samples[sample].correct);
        self.scores[item] = scores;
    }

    /// The report on the items scored so far, with `provenance` as given.
    pub fn report(&self, provenance: Option<Provenance>) -> Report {
        let scored = self.scores.iter().enumerate().filter(|(_, scores)| !scores.is_empty());
        let results = scored.map(|(index, scores)| {
            let item = &self.pending.items()[index];
            let sample = &self.dataset.samples[item.sample];
            let caption = &self.dataset.captions[sample.caption].caption;
            ItemResult::new(item.place, sample, caption, scores.clone())
        });
        let complete = self.scored + self.pending.lost() == self.scores.len();
        Report::new(results.collect(), complete, self.pending.left_out().to_vec(), provenance)
    }
}
