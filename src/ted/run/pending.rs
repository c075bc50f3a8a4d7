//! Distinct texts go out, vectors come in, and an item is complete as soon as its caption and statements have theirs.
//! A vector is held only while an item still waits for it: a full run never holds all of them.

use crate::ted::data::dataset::{Dataset, Sample};
use std::collections::{HashMap, hash_map::Entry};

/// Items that wait for the vectors `V` of their texts.
pub(crate) struct Pending<V> {
    items: Vec<Item>,
    texts: Vec<String>,
    /// Parallel to `texts`.
    slots: Vec<Slot<V>>,
    encoded: usize,
}

/// An item; `caption` and `statements` are indices into the texts.
pub(crate) struct Item {
    /// Index into [`Dataset::samples`].
    pub sample: usize,
    caption: usize,
    statements: Vec<usize>,
    /// Distinct texts without a vector yet.
    missing: usize,
}

struct Slot<V> {
    vector: Option<V>,
    /// The items it is for; taken when its vector comes.
    items: Vec<usize>,
    /// How many of them are not complete yet.
    waiting: usize,
}

impl<V> Pending<V> {
    /// The items `selected` from the samples of `dataset`; nothing is encoded yet.
    pub(crate) fn new(dataset: &Dataset, selected: Vec<usize>) -> Self {
        let mut pending = Self { items: vec![], texts: vec![], slots: vec![], encoded: 0 };
        let mut index = HashMap::new();
        for sample in selected {
            pending.add(sample, dataset, &mut index);
        }
        pending
    }

    fn add(&mut self, sample: usize, dataset: &Dataset, index: &mut HashMap<String, usize>) {
        let mut intern = |text: String| match index.entry(text) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                self.texts.push(entry.key().clone());
                self.slots.push(Slot { vector: None, items: vec![], waiting: 0 });
                *entry.insert(self.texts.len() - 1)
            }
        };
        let Sample { caption, statements, .. } = &dataset.samples[sample];
        let caption = intern(dataset.captions[*caption].text());
        let statements = statements.iter().map(|text| intern(text.clone())).collect();
        let mut item = Item { sample, caption, statements, missing: 0 };
        for text in item.distinct() {
            item.missing += 1;
            self.slots[text].items.push(self.items.len());
            self.slots[text].waiting += 1;
        }
        self.items.push(item);
    }

    /// The distinct texts, each once, in the order of first use.
    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The items in order.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// How many texts have got their vector.
    pub(crate) fn encoded(&self) -> usize {
        self.encoded
    }

    /// Gives the vector of `texts()[text]`; `complete(item, caption, statements)` is called for each item it completes.
    /// A second vector for a text is ignored.
    pub(crate) fn insert(&mut self, text: usize, vector: V, mut complete: impl FnMut(usize, &V, &[&V])) {
        let items = std::mem::take(&mut self.slots[text].items);
        if items.is_empty() {
            return;
        }
        self.slots[text].vector = Some(vector);
        self.encoded += 1;
        for index in items {
            let item = &mut self.items[index];
            item.missing -= 1;
            if item.missing > 0 {
                continue;
            }
            let item = &self.items[index];
            let vector = |text: &usize| self.slots[*text].vector.as_ref();
            let statements: Vec<&V> = item.statements.iter().filter_map(vector).collect();
            if let Some(caption) = vector(&item.caption) {
                complete(index, caption, &statements);
            }
            for text in item.distinct() {
                let slot = &mut self.slots[text];
                slot.waiting -= 1;
                if slot.waiting == 0 {
                    slot.vector = None;
                }
            }
        }
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
