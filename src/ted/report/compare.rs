//! Two reports on the items they share, matched by caption key and question type: McNemar's test of the items
//! that one of them alone gets right. Left out are items whose statements are not the same in both.

use super::{Accuracy, ItemResult, Report};
use crate::error::{Error, Result};
use crate::provenance::Provenance;
use crate::ted::data::dataset::{CaptionType, QuestionType};
use crate::ted::score::letter;
use crate::ted::statistics::mcnemar;
use serde::Serialize;
use std::collections::HashMap;

/// Two reports, item by item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What to bear in mind: that the reports are of different data sets.
    pub note: Option<String>,
    /// Items in both.
    pub shared: usize,
    /// Items that the second report lacks.
    pub only_first: usize,
    /// Items that the first report lacks.
    pub only_second: usize,
    /// Shared items that are not compared, as their statements or the right one among them differ.
    pub differing: usize,
    /// All items, then those of each caption type, then those of each question type, where there are any.
    pub groups: Vec<ComparisonGroup>,
    /// The items that one report alone gets right, in the first one's order.
    pub changed: Vec<ChangedItem>,
}

/// Both accuracies over a group of items, and whether their difference may be chance.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonGroup {
    /// What the items have in common.
    pub group: Group,
    /// Its name; empty for all items.
    pub name: String,
    /// Compared items.
    pub total: usize,
    /// The first report's accuracy.
    pub first: Accuracy,
    /// The second report's accuracy.
    pub second: Accuracy,
    /// Items that the first report alone gets right.
    pub first_only: usize,
    /// Items that the second report alone gets right.
    pub second_only: usize,
    /// McNemar's exact test, two-sided.
    pub p: f64,
}

/// What the items of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Nothing: all items.
    All,
    /// What their captions describe.
    CaptionType,
    /// What they test.
    QuestionType,
}

/// An item that one report alone gets right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangedItem {
    /// The caption's key in the data set.
    pub caption_key: String,
    /// What the caption describes.
    pub caption_type: CaptionType,
    /// What the item tests.
    pub question_type: QuestionType,
    /// The caption, empty where neither report has it.
    pub caption: String,
    /// The report that gets it right.
    pub winner: Winner,
}

/// One of two reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Winner {
    /// The first.
    First,
    /// The second.
    Second,
}

/// One item in both reports.
type Pair<'a> = (&'a ItemResult, &'a ItemResult);

impl Comparison {
    /// Compares `first` with `second`.
    ///
    /// # Errors
    /// [`Error::NoSharedItems`] where no item is left to compare.
    pub fn new(first: &Report, second: &Report) -> Result<Self> {
        // 1. Items of both, in the first report's order.
        let mut others: HashMap<_, _> = second.results.iter().map(|item| (key(item), item)).collect();
        let find = |item| others.remove(&key(item)).map(|other| (item, other));
        let mut pairs: Vec<Pair> = first.results.iter().filter_map(find).collect();
        let shared = pairs.len();
        pairs.retain(|(first, second)| same_statements(first, second));
        if pairs.is_empty() {
            let reason = match shared {
                0 => "no item is in both".into(),
                shared => format!("none of the {shared} items in both has the same statements"),
            };
            return Err(Error::NoSharedItems { first: name(first), second: name(second), reason });
        }

        // 2. Numbers by group.
        let caption_types = CaptionType::ALL.iter().map(|caption_type| {
            let of_type = pairs.iter().filter(|(item, _)| item.caption_type == *caption_type);
            ComparisonGroup::new(Group::CaptionType, caption_type.name(), of_type)
        });
        let question_types = QuestionType::ALL.iter().map(|question_type| {
            let of_type = pairs.iter().filter(|(item, _)| item.question_type == *question_type);
            ComparisonGroup::new(Group::QuestionType, question_type.name(), of_type)
        });
        let all = std::iter::once(ComparisonGroup::new(Group::All, "", pairs.iter()));
        let groups = all.chain(caption_types).chain(question_types).filter(|group| group.total > 0);
        Ok(Self {
            note: other_data(first, second),
            shared,
            only_first: first.results.len() - shared,
            only_second: others.len(),
            differing: shared - pairs.len(),
            groups: groups.collect(),
            changed: pairs.iter().filter_map(changed).collect(),
        })
    }
}

impl ComparisonGroup {
    fn new<'a>(group: Group, name: &str, pairs: impl Iterator<Item = &'a Pair<'a>> + Clone) -> Self {
        let count = |winner| pairs.clone().filter(|pair| self::winner(pair) == Some(winner)).count();
        let (first_only, second_only) = (count(Winner::First), count(Winner::Second));
        Self {
            group,
            name: name.into(),
            total: pairs.clone().count(),
            first: Accuracy::over(pairs.clone().map(|(first, _)| *first)),
            second: Accuracy::over(pairs.clone().map(|(_, second)| *second)),
            first_only,
            second_only,
            p: mcnemar(first_only, second_only),
        }
    }
}

fn key(item: &ItemResult) -> (&str, QuestionType) {
    (&item.caption_key, item.question_type)
}

/// Whether both show the same statements, in any order, and call the same one right.
/// Where one of them has none, the key has to do.
fn same_statements(first: &ItemResult, second: &ItemResult) -> bool {
    if first.statements.is_empty() || second.statements.is_empty() {
        return true;
    }
    sorted(first) == sorted(second)
}

/// The statements in alphabetical order, each with whether it is the right one.
fn sorted(item: &ItemResult) -> Vec<(&str, bool)> {
    let statements = item.statements.iter().enumerate();
    let mut statements: Vec<(&str, bool)> =
        statements.map(|(i, text)| (text.as_str(), letter(i) == item.correct_answer)).collect();
    statements.sort_unstable();
    statements
}

fn winner((first, second): &Pair) -> Option<Winner> {
    match (first.is_correct, second.is_correct) {
        (true, false) => Some(Winner::First),
        (false, true) => Some(Winner::Second),
        _ => None,
    }
}

fn changed(pair: &Pair) -> Option<ChangedItem> {
    let (first, second) = pair;
    let caption = if first.caption.is_empty() { &second.caption } else { &first.caption };
    Some(ChangedItem {
        caption_key: first.caption_key.clone(),
        caption_type: first.caption_type,
        question_type: first.question_type,
        caption: caption.clone(),
        winner: winner(pair)?,
    })
}

/// That the reports are of different files, where both say of which; items are matched all the same.
fn other_data(first: &Report, second: &Report) -> Option<String> {
    let [first, second] = [first, second].map(|report| {
        let [file, sha256] = report.provenance.as_ref()?.dataset_words();
        let (file, sha256) = (file.unwrap_or("a data set"), sha256?);
        Some((format!("{file} (SHA-256 {}…)", sha256.get(..12).unwrap_or(sha256)), sha256))
    });
    let ((first, first_hash), (second, second_hash)) = (first?, second?);
    let note = || format!("The reports are of different data sets: {first} and {second}.");
    (first_hash != second_hash).then(note)
}

/// What an error calls a report.
fn name(report: &Report) -> String {
    let stated = report.provenance.as_ref();
    let model = stated.and_then(Provenance::model_name).unwrap_or("a report without provenance");
    match stated.and_then(|stated| stated.feature.as_deref()) {
        Some(feature) => format!("{model}, {feature}"),
        None => model.into(),
    }
}
