//! Distinct texts go out, vectors come in, and an item is complete as soon as its caption and statements have theirs.
//! A vector is held only while an item still waits for it: a full run never holds all of them.

use crate::encoder::{Encoded, TextEncoder};
use crate::error::{Error, Result};
use crate::ted::Subset;
use crate::ted::data::dataset::{Dataset, Sample};
use crate::ted::report::LeftOut;
use std::collections::{HashMap, hash_map::Entry};

/// Items that wait for the vectors `V` of their texts.
pub(crate) struct Pending<V> {
    items: Vec<Item>,
    texts: Vec<String>,
    /// Parallel to `texts`.
    slots: Vec<Slot<V>>,
    encoded: usize,
    /// The items of the subset that the model can't score, with the reason.
    left_out: Vec<LeftOut>,
    /// How many of them are still among the items.
    lost: usize,
}

/// An item; `caption` and `statements` are indices into the texts.
pub(crate) struct Item {
    /// Index into [`Dataset::samples`].
    pub sample: usize,
    /// Its position in the subset, which does not depend on the model.
    pub place: usize,
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
        Self::placed(dataset, selected.into_iter().enumerate())
    }

    /// The items of `samples`, each with its position in the subset.
    fn placed(dataset: &Dataset, samples: impl Iterator<Item = (usize, usize)>) -> Self {
        let (items, texts, slots, left_out) = (vec![], vec![], vec![], vec![]);
        let mut pending = Self { items, texts, slots, encoded: 0, left_out, lost: 0 };
        let mut index = HashMap::new();
        for (place, sample) in samples {
            pending.add(place, sample, dataset, &mut index);
        }
        pending
    }

    /// The items `selected` that `encoder` can encode, and the tokens of their texts. An item with a text that has no
    /// vector, such as one without a token in the vocabulary, is left out.
    ///
    /// # Errors
    /// [`Error::NoItems`] where no item is left, [`Error::NoTokenizer`].
    pub(crate) fn encodable(
        encoder: &TextEncoder,
        dataset: &Dataset,
        selected: Vec<usize>,
    ) -> Result<(Self, Vec<Encoded>)> {
        let all = Self::new(dataset, selected);
        let mut encoded = encoder.tokenize_each(&all.texts)?;
        if encoded.iter().all(Result::is_ok) {
            return Ok((all, encoded.into_iter().collect::<Result<_>>()?));
        }

        // 1. The items without a text that can't be encoded.
        let (mut kept, mut left_out) = (Vec::new(), Vec::new());
        for item in &all.items {
            match item.distinct().into_iter().find_map(|text| Some((text, encoded[text].as_ref().err()?))) {
                None => kept.push((item.place, item.sample)),
                Some((text, error)) => {
                    let sample = &dataset.samples[item.sample];
                    left_out.push(LeftOut::new(sample, &all.texts[text], error));
                }
            }
        }
        if kept.is_empty() {
            return Err(none_encodable(dataset, &left_out[0]));
        }

        // 2. Their texts, whose tokens are known.
        let place: HashMap<&String, usize> = all.texts.iter().zip(0..).collect();
        let pending = Self { left_out, ..Self::placed(dataset, kept.into_iter()) };
        let of = |text: &String| std::mem::replace(&mut encoded[place[text]], Ok(Encoded::default()));
        let encoded = pending.texts.iter().map(of).collect::<Result<_>>()?;
        Ok((pending, encoded))
    }

    fn add(&mut self, place: usize, sample: usize, dataset: &Dataset, index: &mut HashMap<String, usize>) {
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
        let mut item = Item { sample, place, caption, statements, missing: 0 };
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

    /// Leaves out the items that wait for `texts()[text]`, which has no vector because of `error`.
    pub(crate) fn leave_out(&mut self, text: usize, dataset: &Dataset, error: &Error) {
        for item in self.slots[text].items.clone() {
            self.lose(item, text, dataset, error);
            for other in self.items[item].distinct() {
                let slot = &mut self.slots[other];
                slot.items.retain(|waiting| *waiting != item);
                slot.waiting -= 1;
                if slot.waiting == 0 {
                    slot.vector = None;
                }
            }
        }
    }

    /// Notes that `items()[item]` can't be scored because of `error` of `texts()[text]`.
    pub(crate) fn lose(&mut self, item: usize, text: usize, dataset: &Dataset, error: &Error) {
        let sample = &dataset.samples[self.items[item].sample];
        self.left_out.push(LeftOut::new(sample, &self.texts[text], error));
        self.lost += 1;
    }

    /// How many items have been left out since the run began.
    pub(crate) fn lost(&self) -> usize {
        self.lost
    }

    /// The items that the model can't score.
    pub(crate) fn left_out(&self) -> &[LeftOut] {
        &self.left_out
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

/// Refuses a subset of whose items the model can encode none; `tokenize` gives the fault of some texts. It ends with the
/// first item that can be encoded.
///
/// # Errors
/// [`Error::NoItems`], those of `tokenize` that are of no text.
pub fn check_encodable(
    dataset: &Dataset,
    subset: &Subset,
    tokenize: impl Fn(&[&str]) -> Result<()>,
) -> Result<()> {
    let mut first = None;
    for sample in subset.select(dataset)? {
        let sample = &dataset.samples[sample];
        let caption = dataset.captions[sample.caption].text();
        let texts = std::iter::once(caption.as_str()).chain(sample.statements.iter().map(String::as_str));
        match texts.map(|text| tokenize(&[text]).map_err(|error| (text, error))).find(Result::is_err) {
            Some(Err((text, error))) if error.is_of_a_text() => {
                first.get_or_insert_with(|| LeftOut::new(sample, text, &error));
            }
            Some(Err((_, error))) => return Err(error),
            _ => return Ok(()),
        }
    }
    first.map_or(Ok(()), |first| Err(none_encodable(dataset, &first)))
}

fn none_encodable(dataset: &Dataset, first: &LeftOut) -> Error {
    let reason = format!("the model can't encode the texts of any: {}", first.reason);
    Error::NoItems { file: dataset.file.clone(), reason }
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
