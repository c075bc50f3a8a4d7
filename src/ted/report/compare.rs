//! Compares two reports on the items that they share, matched by caption key and question type, with McNemar's test of
//! the items that one report alone gets right. Items whose statements differ are left out.

use super::{Accuracy, ItemResult, Report};
use crate::error::{Error, Result};
use crate::provenance::Provenance;
use crate::ted::data::dataset::{CaptionType, QuestionType};
use crate::ted::score::letter;
use crate::ted::statistics::mcnemar;
use serde::Serialize;
use std::collections::HashMap;

/// The comparison of two reports, item by item.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// A sentence that says that the reports are of different data sets, if they are.
    pub note: Option<String>,
    /// The number of items that are in both reports.
    pub shared: usize,
    /// The number of items that the second report lacks.
    pub only_first: usize,
    /// The number of items that the first report lacks.
    pub only_second: usize,
    /// The number of shared items that are not compared, as their statements or the right one among them differ.
    pub differing: usize,
    /// The group of all items, then a group for each caption type and for each question type that has items.
    pub groups: Vec<ComparisonGroup>,
    /// The items that one report alone gets right, in the order of the first report.
    pub changed: Vec<ChangedItem>,
}

/// The accuracies of both reports over a group of items, and a test of their difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComparisonGroup {
    /// The property that the items have in common.
    pub group: Group,
    /// The value of that property, such as `Adjective`; empty for all items.
    pub name: String,
    /// The number of compared items.
    pub total: usize,
    /// The first report's accuracy.
    pub first: Accuracy,
    /// The second report's accuracy.
    pub second: Accuracy,
    /// The number of items that the first report alone gets right.
    pub first_only: usize,
    /// The number of items that the second report alone gets right.
    pub second_only: usize,
    /// The two-sided p of McNemar's exact test, as [`mcnemar`] computes it.
    pub p: f64,
}

/// The property that the items of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// No property: the group has all items.
    All,
    /// The medium that their captions describe.
    CaptionType,
    /// The ability that they test.
    QuestionType,
}

/// An item that one report alone gets right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ChangedItem {
    /// The caption's key in the data set.
    pub caption_key: String,
    /// The medium that the caption describes.
    pub caption_type: CaptionType,
    /// The ability that the item tests.
    pub question_type: QuestionType,
    /// The caption; empty if neither report has it.
    pub caption: String,
    /// The report that gets it right.
    pub winner: Winner,
}

/// One of two reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Winner {
    /// The first report.
    First,
    /// The second report.
    Second,
}

/// An item in the first report and in the second.
type Pair<'a> = (&'a ItemResult, &'a ItemResult);

impl Comparison {
    /// Compares `first` with `second`, item by item and by groups.
    ///
    /// # Errors
    /// [`Error::NoSharedItems`] if no item is left to compare.
    pub fn new(first: &Report, second: &Report) -> Result<Self> {
        // 1. The items of both reports, in the order of the first.
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

        // 2. The numbers of each group.
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

/// Whether both items have the same statements, in any order, and the same right one among them. Where one of them has
/// no statements, equal keys are enough.
fn same_statements(first: &ItemResult, second: &ItemResult) -> bool {
    if first.statements.is_empty() || second.statements.is_empty() {
        return true;
    }
    sorted(first) == sorted(second)
}

/// The statements in alphabetical order; each with `true` if it is the right one.
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

/// The note that the reports are of different data sets, if both name theirs and the files differ. Their items are
/// compared nevertheless.
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

/// The name of a report in an error.
fn name(report: &Report) -> String {
    let stated = report.provenance.as_ref();
    let model = stated.and_then(Provenance::model_name).unwrap_or("a report without provenance");
    match stated.and_then(|stated| stated.feature.as_deref()) {
        Some(feature) => format!("{model}, {feature}"),
        None => model.into(),
    }
}
