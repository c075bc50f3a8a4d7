//! The choice of items to evaluate: by caption type, by question type, a random few per type, the first captions.
//! It is written `caption=image;type=Adjective|OCR;n=10;captions=5;seed=7` on the command line and in links.

use super::{
    dataset::{CaptionType, Dataset, QuestionType, Sample},
    shuffle::Shuffler,
};
use crate::error::{Error, Result};
use crate::format::sha256_hex;
use serde::{Deserialize, Serialize};
use std::{
    fmt::{self, Display},
    str::FromStr,
};

/// A choice of items; the default is all of them.
///
/// ```
/// use gran_ted::ted::Subset;
///
/// let subset = Subset::parse("n=10; caption=image")?;
/// assert_eq!(subset.to_string(), "caption=image;n=10;seed=42");
/// # Ok::<(), gran_ted::error::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Subset {
    /// Only items of these caption types; an empty list takes all.
    pub caption_types: Vec<CaptionType>,
    /// Only items of these question types; an empty list takes all.
    pub question_types: Vec<QuestionType>,
    /// At most this many items of each question type, chosen by `seed`.
    pub per_type: Option<usize>,
    /// Only the items of this many captions, the first of the file.
    pub captions: Option<usize>,
    /// The seed of the draw that decides which items `per_type` keeps.
    pub seed: u64,
}

/// The seed of the draw if none is given; the page has the same.
const DEFAULT_SEED: u64 = 42;

impl Default for Subset {
    fn default() -> Self {
        let (caption_types, question_types) = (vec![], vec![]);
        Self { caption_types, question_types, per_type: None, captions: None, seed: DEFAULT_SEED }
    }
}

impl Subset {
    /// Reads the written form: its parts may stand in any order; an empty text or `all` takes every item.
    ///
    /// # Errors
    /// [`Error::UnknownOption`] names the first part that is not one.
    pub fn parse(text: &str) -> Result<Self> {
        let mut subset = Self::default();
        let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty() && *part != "all");
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match (key.trim(), value.trim()) {
                ("caption", value) => subset.caption_types = list(value)?,
                ("type", value) => subset.question_types = list(value)?,
                ("n", value) => subset.per_type = Some(count("n", value)?),
                ("captions", value) => subset.captions = Some(count("captions", value)?),
                ("seed", value) => subset.seed = number("seed", value, "a whole number")?,
                (key, _) => return Err(unknown("subset key", key, "caption, type, n, captions, seed")),
            }
        }
        Ok(subset)
    }

    /// The indices of the chosen items in `dataset.samples`, in the file's order.
    /// With `per_type = n`, the remaining items of each question type are listed in the file's order, shuffled as by
    /// Python's `random.Random(seed).shuffle`, and the first n of them are kept.
    ///
    /// # Errors
    /// [`Error::NoItems`] where no item is chosen.
    pub fn select(&self, dataset: &Dataset) -> Result<Vec<usize>> {
        let matches = |i: &usize| self.matches(&dataset.samples[*i]);
        let mut selected: Vec<usize> = (0..dataset.samples.len()).filter(matches).collect();
        if let Some(n) = self.per_type {
            let of = |question_type| {
                let of_type = |i: &usize| dataset.samples[*i].question_type == question_type;
                let mut items: Vec<usize> = selected.iter().copied().filter(of_type).collect();
                Shuffler::new(self.seed).shuffle(&mut items);
                items.truncate(n);
                items
            };
            selected = QuestionType::ALL.iter().flat_map(|t| of(*t)).collect();
            selected.sort_unstable();
        }
        if selected.is_empty() {
            let reason = match dataset.samples.len() {
                0 => format!("it has none to begin with ({} were skipped)", dataset.skipped),
                items => format!("the subset `{self}` takes none of its {items}"),
            };
            return Err(Error::NoItems { file: dataset.file.clone(), reason });
        }
        Ok(selected)
    }

    fn matches(&self, sample: &Sample) -> bool {
        (self.caption_types.is_empty() || self.caption_types.contains(&sample.caption_type))
            && (self.question_types.is_empty() || self.question_types.contains(&sample.question_type))
            && self.captions.is_none_or(|captions| sample.caption < captions)
    }

    /// Ten hexadecimal digits that name this choice from the data set with this SHA-256: the first of the SHA-256 of
    /// the data set's, a line feed and the canonical form.
    pub fn id(&self, dataset_sha256: &str) -> String {
        let mut id = sha256_hex(format!("{dataset_sha256}\n{self}").as_bytes());
        id.truncate(10);
        id
    }
}

impl Display for Subset {
    /// The canonical form: parts that do not narrow the choice are left out, types are in published order.
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let parts = [
            names("caption", &self.caption_types, CaptionType::ALL),
            names("type", &self.question_types, QuestionType::ALL),
            self.per_type.map(|n| format!("n={n}")),
            self.captions.map(|n| format!("captions={n}")),
            self.per_type.map(|_| format!("seed={}", self.seed)),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "all".into() } else { parts.join(";") }.as_str())
    }
}

/// `key=a|b` for some of `all`; `None` if none or all of them are chosen.
fn names<T: Display + PartialEq>(key: &str, chosen: &[T], all: &[T]) -> Option<String> {
    let names: Vec<String> = all.iter().filter(|t| chosen.contains(t)).map(T::to_string).collect();
    (!names.is_empty() && names.len() < all.len()).then(|| format!("{key}={}", names.join("|")))
}

fn list<T: FromStr<Err = Error>>(value: &str) -> Result<Vec<T>> {
    value.split('|').map(|name| name.trim().parse()).collect()
}

fn count(key: &'static str, value: &str) -> Result<usize> {
    const EXPECTED: &str = "a whole number above 0";
    match number(key, value, EXPECTED)? {
        0 => Err(unknown(key, value, EXPECTED)),
        n => Ok(n),
    }
}

fn number<T: FromStr>(key: &'static str, value: &str, expected: &str) -> Result<T> {
    value.parse().map_err(|_| unknown(key, value, expected))
}

fn unknown(option: &'static str, found: &str, expected: &str) -> Error {
    Error::UnknownOption { option, expected: expected.into(), found: found.into() }
}
