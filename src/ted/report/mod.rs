//! The report: the reference evaluator's keys, plus intervals, chance, ties, completeness and provenance.
//! Maps are in alphabetical order, which is the published order of the types.

pub(crate) mod compare;
mod export;
mod import;

use super::data::{
    dataset::{CaptionType, QuestionType, Sample},
    json::short,
};
use super::score::{is_tie, letter, predict};
use super::statistics::wilson;
use crate::error::Error;
use crate::provenance::Provenance;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The result of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The numbers that sum up the items.
    pub summary: Summary,
    /// Every scored item, in the order of the subset.
    pub results: Vec<ItemResult>,
    /// The data set and subset that were evaluated, and the model, settings and device that did it; `None` where a
    /// stranger's report states nothing.
    pub provenance: Option<Provenance>,
}

/// The numbers of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The accuracies over all items and over groups of them.
    pub accuracy_statistics: AccuracyStatistics,
    /// The mean of the items' highest scores; 0 without items.
    pub average_confidence: f64,
    /// The number of items in which two options or more share the highest score exactly.
    pub ties: usize,
    /// Whether every item of the subset was scored, but for those of `left_out`.
    pub complete: bool,
    /// The items of the subset that the model can't score.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
}

/// An item that the model can't score: one of its texts has no vector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The caption's key in the data set.
    pub caption_key: String,
    /// The ability that the item tests.
    pub question_type: QuestionType,
    /// What is wrong with which text.
    pub reason: String,
}

/// Accuracies over items (micro), as fractions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AccuracyStatistics {
    /// The number of right items over the number of items; 0 without items.
    pub overall_accuracy: f64,
    /// The number of right items.
    pub total_correct: usize,
    /// The number of scored items.
    pub total_samples: usize,
    /// The three numbers above, with interval and chance.
    pub overall: Accuracy,
    /// The accuracy by caption type.
    pub caption_type_accuracy: BTreeMap<String, Accuracy>,
    /// The accuracy by question type.
    pub question_type_accuracy: BTreeMap<String, Accuracy>,
    /// The accuracy by caption type and question type, with keys like `image_Adjective`.
    pub combined_accuracy: BTreeMap<String, Accuracy>,
}

/// The accuracy of a group of items.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// `correct / total`, 0 without items.
    pub accuracy: f64,
    /// The number of right items.
    pub correct: usize,
    /// The number of items.
    pub total: usize,
    /// The 95 % interval of the accuracy, as [`wilson`] computes it.
    pub interval: [f64; 2],
    /// The accuracy of guessing: the mean over the items of 1 / number of statements; 0 without items.
    pub chance: f64,
}

/// One scored item. Fields that an imported file lacks are empty; [`Report::import`] computes those that follow from
/// others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ItemResult {
    /// Its position in the subset.
    #[serde(default)]
    pub index: usize,
    /// The caption's key in the data set.
    pub caption_key: String,
    /// The medium that the caption describes.
    pub caption_type: CaptionType,
    /// The ability that the item tests.
    pub question_type: QuestionType,
    /// The caption.
    #[serde(default)]
    pub caption: String,
    /// The question.
    #[serde(default)]
    pub question: String,
    /// The statements behind their letters, one on a line: `A. ...\nB. ...`
    #[serde(default)]
    pub options: String,
    /// The statements, parallel to `all_scores`; empty if the file has none.
    #[serde(default)]
    pub statements: Vec<String>,
    /// The letter of the right statement.
    pub correct_answer: String,
    /// The letter of the predicted statement, which has the highest score.
    pub predicted_answer: String,
    /// The highest score.
    #[serde(default)]
    pub confidence_score: f32,
    /// The cosine of the caption and each statement; 2 to 8 of them.
    pub all_scores: Vec<f32>,
    /// Whether the predicted statement is the right one.
    #[serde(default)]
    pub is_correct: bool,
}

impl Report {
    /// The report on `results`, with their summary.
    pub(super) fn new(
        results: Vec<ItemResult>,
        complete: bool,
        left_out: Vec<LeftOut>,
        provenance: Option<Provenance>,
    ) -> Self {
        let confidences = results.iter().map(|item| f64::from(item.confidence_score));
        let summary = Summary {
            accuracy_statistics: AccuracyStatistics::new(&results),
            average_confidence: confidences.sum::<f64>() / results.len().max(1) as f64,
            ties: results.iter().filter(|item| is_tie(&item.all_scores)).count(),
            complete,
            left_out,
        };
        Self { summary, results, provenance }
    }
}

impl LeftOut {
    /// `sample` is left out, since its `text` can't be encoded for the reason of `error`.
    pub(super) fn new(sample: &Sample, text: &str, error: &Error) -> Self {
        let text = short(text);
        let reason = match error {
            Error::EmptyPrompt { .. } => format!("`{text}` has no token in the model's vocabulary"),
            Error::TokenRange { found, vocab_size, .. } => {
                format!("token id {found} of `{text}` is outside the vocabulary of {vocab_size}")
            }
            Error::NoRow { token, id, rows, .. } => {
                format!(
                    "`{text}` holds the token `{token}` with id {id}, but the token table has {rows} rows"
                )
            }
            error => format!("`{text}`: {error}"),
        };
        Self { caption_key: sample.caption_key.clone(), question_type: sample.question_type, reason }
    }
}

impl AccuracyStatistics {
    fn new(results: &[ItemResult]) -> Self {
        let overall = Accuracy::over(results.iter());
        Self {
            overall_accuracy: overall.accuracy,
            total_correct: overall.correct,
            total_samples: overall.total,
            overall,
            caption_type_accuracy: group_by(results, |item| item.caption_type.to_string()),
            question_type_accuracy: group_by(results, |item| item.question_type.to_string()),
            combined_accuracy: group_by(results, |item| {
                format!("{}_{}", item.caption_type, item.question_type)
            }),
        }
    }
}

fn group_by(results: &[ItemResult], key: impl Fn(&ItemResult) -> String) -> BTreeMap<String, Accuracy> {
    let mut groups: BTreeMap<String, Vec<&ItemResult>> = BTreeMap::new();
    for item in results {
        groups.entry(key(item)).or_default().push(item);
    }
    groups.into_iter().map(|(key, items)| (key, Accuracy::over(items.into_iter()))).collect()
}

impl Accuracy {
    /// The accuracy of `correct` right ones in `total` items, with its interval; guessing gives `chance`.
    pub fn new(correct: usize, total: usize, chance: f64) -> Self {
        let accuracy = correct as f64 / total.max(1) as f64;
        Self { accuracy, correct, total, interval: wilson(correct, total), chance }
    }

    /// The accuracy over `items`.
    pub(super) fn over<'a>(items: impl Iterator<Item = &'a ItemResult>) -> Self {
        let (mut correct, mut total, mut chance) = (0, 0, 0.0);
        for item in items {
            correct += usize::from(item.is_correct);
            total += 1;
            chance += 1.0 / item.all_scores.len().max(1) as f64;
        }
        Self::new(correct, total, chance / total.max(1) as f64)
    }
}

impl Default for Accuracy {
    /// The accuracy over no items.
    fn default() -> Self {
        Self::new(0, 0, 0.0)
    }
}

impl ItemResult {
    /// Item `index` of the subset with its scores, which are parallel to the statements.
    pub(super) fn new(index: usize, sample: &Sample, caption: &str, all_scores: Vec<f32>) -> Self {
        let predicted = predict(&all_scores);
        let option = |(i, statement)| format!("{}. {statement}", letter(i));
        let options: Vec<String> = sample.statements.iter().enumerate().map(option).collect();
        Self {
            index,
            caption_key: sample.caption_key.clone(),
            caption_type: sample.caption_type,
            question_type: sample.question_type,
            caption: caption.into(),
            question: sample.question.clone(),
            options: options.join("\n"),
            statements: sample.statements.clone(),
            correct_answer: letter(sample.correct),
            predicted_answer: letter(predicted),
            confidence_score: all_scores[predicted],
            all_scores,
            is_correct: predicted == sample.correct,
        }
    }
}
