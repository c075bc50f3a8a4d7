//! Reads a report from a file: ours, the reference evaluator's {"summary", "results": [...]}, a bare list of scored
//! items, or JSON Lines of them. Letters, scores and texts are taken from the file; the numbers that follow from them are computed anew.

use super::{ItemResult, LeftOut, Report};
use crate::error::{Error, Result};
use crate::provenance::{FORMAT, Provenance, SubsetProvenance};
use crate::ted::data::dataset::QuestionType;
use crate::ted::decode::{self, Fault};
use crate::ted::score::letter;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;

impl Report {
    /// Reads `bytes` of the file named `file`: UTF-8, of at most 64 MiB.
    /// The provenance of a file without one is null; a file that does not say whether it is complete counts as
    /// complete. JSON Lines are told by their content, whatever the file's name.
    ///
    /// # Errors
    /// [`Error::NotAReport`] names the first fault.
    pub fn import(file: &str, bytes: &[u8]) -> Result<Self> {
        let is_csv = file.to_lowercase().ends_with(".csv") || bytes.starts_with(CSV_START);
        let read = if is_csv { Err(no_items()) } else { read(bytes) };
        read.map_err(|Fault { item, expected, found }| Error::NotAReport {
            file: file.into(),
            item,
            expected,
            found,
        })
    }
}

/// How a CSV of ours begins, by which it is known under any name.
const CSV_START: &[u8] = b"group,name,correct,";

/// The fault of a CSV, which has sums alone.
fn no_items() -> Fault {
    let expected = "scored items, which the .json and the .jsonl of a run hold";
    Fault::new("the content", expected, "a CSV, which holds accuracies and no items")
}

fn read(bytes: &[u8]) -> Result<Report, Fault> {
    const TOP: &str = "a report, or a list of scored items";
    // 1. The parts of the file.
    let text = decode::text(bytes)?;
    let mut json = match lines(text)? {
        Some(json) => json,
        None => decode::json(text)?,
    };
    let provenance = json.get_mut("provenance").map(Value::take).unwrap_or_default();
    if !(provenance.is_null() || provenance.is_object()) {
        return Err(Fault::new("`provenance`", "an object or null", "another value"));
    }
    let provenance = Option::<Provenance>::deserialize(provenance).unwrap_or_default();
    if let Some(found) =
        provenance.as_ref().and_then(|stated| stated.format).filter(|format| *format > FORMAT)
    {
        return Err(Fault::new(
            "`provenance.format`",
            "at most 1, the newest that this version reads",
            found.to_string(),
        ));
    }
    let complete = match json.pointer("/summary/complete") {
        None => true,
        Some(Value::Bool(complete)) => *complete,
        Some(_) => return Err(Fault::new("`summary.complete`", "true or false", "another value")),
    };
    let left_out = json.pointer_mut("/summary/left_out").map(Value::take).unwrap_or_default();
    let left_out = if left_out.is_null() {
        Vec::new()
    } else {
        decode::typed::<Vec<LeftOut>>("`summary.left_out`", left_out, "a list of items and reasons")?
    };
    let results = match json {
        Value::Array(results) => results,
        Value::Object(mut report) => match report.remove("results") {
            Some(Value::Array(results)) => results,
            Some(_) => return Err(Fault::new("`results`", "a list of scored items", "another value")),
            None => return Err(Fault::new("the top level", TOP, "an object without `results`")),
        },
        _ => return Err(Fault::new("the top level", TOP, "another value")),
    };
    if results.is_empty() {
        return Err(Fault::new("`results`", "at least one scored item", "none"));
    }

    // 2. The items, each once.
    let mut seen: HashSet<(String, QuestionType)> = HashSet::new();
    let mut items = Vec::new();
    for (index, value) in results.into_iter().enumerate() {
        let item = item(index, value)?;
        if !seen.insert((item.caption_key.clone(), item.question_type)) {
            let found = format!("`{}`, {} a second time", item.caption_key, item.question_type);
            return Err(Fault::new(format!("`results[{index}]`"), "an item seen once", found));
        }
        items.push(item);
    }
    Ok(Report::new(items, complete, left_out, provenance))
}

/// The report that JSON Lines are, an item a line; `None` where `text` is something else.
fn lines(text: &str) -> Result<Option<Value>, Fault> {
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let Some(first) = lines.next() else { return Ok(None) };
    let is_item = |value: &Value| value.get("caption_key").is_some();
    if serde_json::from_str::<Value>(first.1).ok().filter(is_item).is_none() {
        return Ok(None);
    }
    let mut items = Vec::new();
    for (number, line) in std::iter::once(first).chain(lines) {
        let value = decode::json(line);
        items.push(value.map_err(|fault| Fault { item: format!("line {number}, {}", fault.item), ..fault })?);
    }
    // Each line has the id of its subset, which an item has not.
    let id = items[0].get("subset").and_then(Value::as_str).filter(|id| !id.is_empty()).map(String::from);
    let provenance = id.map(|id| Provenance {
        subset: Some(SubsetProvenance { id: Some(id), ..SubsetProvenance::default() }),
        ..Provenance::default()
    });
    Ok(Some(serde_json::json!({ "results": items, "provenance": provenance })))
}

/// Reads and checks the item at `results[index]`.
fn item(index: usize, value: Value) -> Result<ItemResult, Fault> {
    // 1. Types. An item without an index has its place in the file as one.
    let unplaced = value.get("index").is_none();
    let mut item: ItemResult = decode::typed(&format!("`results[{index}]`"), value, "a scored item")?;
    if unplaced {
        item.index = index;
    }
    let fault = |field: &str, expected, found: String| {
        let item = format!("`results[{index}].{field}` of `{}`, {}", item.caption_key, item.question_type);
        Err(Fault::new(item, expected, found))
    };

    // 2. Scores, and statements parallel to them.
    let scores = &item.all_scores;
    if !(2..=8).contains(&scores.len()) {
        return fault("all_scores", "2 to 8 scores", scores.len().to_string());
    }
    if !(item.statements.is_empty() || item.statements.len() == scores.len()) {
        let found = format!("{} statements for {} scores", item.statements.len(), scores.len());
        return fault("statements", "as many as scores", found);
    }
    if let Some(score) = scores.iter().find(|score| !score.is_finite()) {
        return fault("all_scores", "finite numbers", score.to_string());
    }

    // 3. Letters. On a tie any of the statements with the highest score may have been predicted.
    let option = |letter_of: &str| (0..scores.len()).find(|i| letter(*i) == letter_of);
    let Some(correct) = option(&item.correct_answer) else {
        return fault("correct_answer", "the letter of a score", format!("`{}`", item.correct_answer));
    };
    let Some(predicted) = option(&item.predicted_answer) else {
        return fault("predicted_answer", "the letter of a score", format!("`{}`", item.predicted_answer));
    };
    if let Some(better) = (0..scores.len()).find(|i| scores[*i] > scores[predicted]) {
        let [low, high] = [predicted, better].map(|i| format!("{} with {}", letter(i), scores[i]));
        return fault("predicted_answer", "the highest score's letter", format!("{low}, below {high}"));
    }

    // 4. The fields that follow.
    item.confidence_score = scores[predicted];
    item.is_correct = predicted == correct;
    Ok(item)
}
