//! An evaluation in progress: distinct texts go out, unit vectors come in, and an item is scored as soon as
//! its caption and statements are there: scores = caption . statements, prediction = first maximum.

use super::{
    dataset::{Dataset, Sample},
    report::{ItemResult, Report},
    subset::Subset,
};
use crate::error::Result;
use serde_json::Value;
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

/// The items of a subset, and what is known of them so far.
pub struct Evaluation {
    dataset: Arc<Dataset>,
    items: Vec<Item>,
    texts: Vec<String>,
    /// Beside `texts`.
    slots: Vec<Slot>,
    encoded: usize,
    scored: usize,
    correct: usize,
}

/// An item; `caption` and `statements` are indices into the texts.
struct Item {
    sample: usize,
    caption: usize,
    statements: Vec<usize>,
    /// Distinct texts without a vector yet.
    missing: usize,
    /// Empty until scored.
    scores: Vec<f32>,
}

/// A text's vector, held only while an item still waits for it: a full run never holds all of them.
#[derive(Default)]
struct Slot {
    vector: Option<Vec<f32>>,
    /// The items it is for; taken when its vector comes.
    items: Vec<usize>,
    /// How many of them are not scored yet.
    waiting: usize,
}

impl Evaluation {
    /// Nothing is encoded yet. `Error::NoItems` where `subset` takes nothing.
    pub fn new(dataset: Arc<Dataset>, subset: &Subset) -> Result<Self> {
        let selected = subset.select(&dataset)?;
        let mut evaluation =
            Self { dataset, items: vec![], texts: vec![], slots: vec![], encoded: 0, scored: 0, correct: 0 };
        let dataset = evaluation.dataset.clone();
        let mut index = HashMap::new();
        for sample in selected {
            evaluation.add(sample, &dataset, &mut index);
        }
        Ok(evaluation)
    }

    fn add(&mut self, sample: usize, dataset: &Dataset, index: &mut HashMap<String, usize>) {
        let mut intern = |text: String| match index.entry(text) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                self.texts.push(entry.key().clone());
                self.slots.push(Slot::default());
                *entry.insert(self.texts.len() - 1)
            }
        };
        let Sample { caption, statements, .. } = &dataset.samples[sample];
        let caption = intern(dataset.captions[*caption].text());
        let statements = statements.iter().map(|text| intern(text.clone())).collect();
        let mut item = Item { sample, caption, statements, missing: 0, scores: vec![] };
        for text in item.distinct() {
            item.missing += 1;
            self.slots[text].items.push(self.items.len());
            self.slots[text].waiting += 1;
        }
        self.items.push(item);
    }

    /// The distinct texts, each once, in the order of first use.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// How many items there are to score.
    pub fn items(&self) -> usize {
        self.items.len()
    }

    /// How many texts have got their vector.
    pub fn encoded(&self) -> usize {
        self.encoded
    }

    /// Items scored so far, and how many of them are right.
    pub fn scored(&self) -> (usize, usize) {
        (self.scored, self.correct)
    }

    /// Gives the unit vector `[E]` of `texts()[text]` and scores the items it completes; a second one is
    /// ignored.
    pub fn insert(&mut self, text: usize, vector: Vec<f32>) {
        let items = std::mem::take(&mut self.slots[text].items);
        if items.is_empty() {
            return;
        }
        self.slots[text].vector = Some(vector);
        self.encoded += 1;
        for item in items {
            self.items[item].missing -= 1;
            if self.items[item].missing == 0 {
                self.score(item);
            }
        }
    }

    fn score(&mut self, item: usize) {
        let item = &mut self.items[item];
        let vector = |text: usize| self.slots[text].vector.as_deref().unwrap_or_default();
        let caption = vector(item.caption);
        item.scores = item.statements.iter().map(|statement| dot(caption, vector(*statement))).collect();
        self.scored += 1;
        self.correct += usize::from(predict(&item.scores) == self.dataset.samples[item.sample].correct);
        for text in item.distinct() {
            let slot = &mut self.slots[text];
            slot.waiting -= 1;
            if slot.waiting == 0 {
                slot.vector = None;
            }
        }
    }

    /// The report on the items scored so far, with `provenance` as given.
    pub fn report(&self, provenance: Value) -> Report {
        let scored = self.items.iter().enumerate().filter(|(_, item)| !item.scores.is_empty());
        let results = scored.map(|(index, item)| {
            let sample = &self.dataset.samples[item.sample];
            let caption = &self.dataset.captions[sample.caption].caption;
            ItemResult::new(index, sample, caption, item.scores.clone())
        });
        Report::new(results.collect(), self.scored == self.items.len(), provenance)
    }
}

impl Item {
    fn distinct(&self) -> Vec<usize> {
        let mut texts = self.statements.clone();
        texts.push(self.caption);
        texts.sort_unstable();
        texts.dedup();
        texts
    }
}

/// The first index of the maximum.
pub fn predict(scores: &[f32]) -> usize {
    let better = |best, i| if scores[i] > scores[best] { i } else { best };
    (0..scores.len()).fold(0, better)
}

/// Summed in f64, so that the order of the sum doesn't decide between near equals.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() as f32
}
