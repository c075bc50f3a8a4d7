//! Tells whether TED-6K predicts what it is for: correlates the scores of encoders on it with the scores of the models
//! that use them. The file is {rows: [{model, feature: score}], downstream: {task: [[model, feature, score]]}}, a
//! list of {name, ted, downstream}, or CSV with these three columns. Called by `gran-ted correlate`.

use super::{
    decode::{self, Fault},
    statistics::{Correlation, pearson, spearman},
};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::mem::take;

/// The correlation of TED-6K with one downstream task.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TaskCorrelation {
    /// The task, such as `T2I`; `downstream` if the file names none.
    pub task: String,
    /// The encoders with both scores.
    pub pairs: Vec<ScorePair>,
    /// The names of the encoders that have a score in the task but none on TED-6K.
    pub skipped: Vec<String>,
    /// The correlation of the scores.
    pub pearson: Correlation,
    /// The correlation of the ranks.
    pub spearman: Correlation,
}

/// An encoder's score on TED-6K and its score in a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScorePair {
    /// The encoder and its feature.
    pub name: String,
    /// Its accuracy on TED-6K, in any unit.
    pub ted: f64,
    /// The score of the model that uses the encoder, in any unit.
    pub downstream: f64,
}

/// A task, its pairs, and the names of the encoders without a pair.
type Task = (String, Vec<ScorePair>, Vec<String>);

/// Correlates the scores in `bytes` of the file named `file`, task by task: Pearson's and Spearman's correlation.
///
/// # Errors
/// [`Error::NotScores`] names the first fault of the file, [`Error::Statistics`] the first task without a correlation.
pub fn correlate(file: &str, bytes: &[u8]) -> Result<Vec<TaskCorrelation>> {
    let tasks = read(bytes).map_err(|Fault { item, expected, found }| Error::NotScores {
        file: file.into(),
        item,
        expected,
        found,
    })?;
    let correlate = |(task, pairs, skipped): Task| {
        let ted: Vec<f64> = pairs.iter().map(|pair| pair.ted).collect();
        let downstream: Vec<f64> = pairs.iter().map(|pair| pair.downstream).collect();
        let named = |error| match error {
            Error::Statistics { expected, found, .. } => {
                Error::Statistics { item: format!("{task} in `{file}`"), expected, found }
            }
            error => error,
        };
        let pearson = pearson(&ted, &downstream).map_err(named)?;
        let spearman = spearman(&ted, &downstream).map_err(named)?;
        Ok(TaskCorrelation { task, pairs, skipped, pearson, spearman })
    };
    tasks.into_iter().map(correlate).collect()
}

fn read(bytes: &[u8]) -> Result<Vec<Task>, Fault> {
    const LIST: &str = "a list of {\"name\", \"ted\", \"downstream\"}";
    let text = decode::text(bytes)?;
    let pairs = if text.trim_start().starts_with('{') {
        return leaderboard(decode::typed("the top level", decode::json(text)?, "{rows, downstream}")?);
    } else if text.trim_start().starts_with('[') {
        decode::typed("the top level", decode::json(text)?, LIST)?
    } else {
        csv(text)?
    };
    Ok(vec![("downstream".into(), pairs, Vec::new())])
}

/// The file with rows and tasks.
#[derive(Deserialize)]
struct Leaderboard {
    /// The rows, each with its `model` and, by feature, the scores on TED-6K.
    rows: Vec<Map<String, Value>>,
    /// The scores by task. A value that is not a list is a remark.
    downstream: Map<String, Value>,
}

/// The tasks. Each score in a task is paired with the score on TED-6K of its model and feature.
fn leaderboard(Leaderboard { rows, downstream }: Leaderboard) -> Result<Vec<Task>, Fault> {
    let ted = |model: &str, feature: &str| {
        let row = rows.iter().find(|row| row.get("model").and_then(Value::as_str) == Some(model))?;
        row.get(feature)?.as_f64()
    };
    let mut tasks = Vec::new();
    for (task, scores) in downstream.into_iter().filter(|(_, scores)| scores.is_array()) {
        let place = format!("`downstream.{task}`");
        let scores: Vec<(String, String, f64)> =
            decode::typed(&place, scores, "a list of [model, feature, score]")?;
        let (mut pairs, mut skipped) = (Vec::new(), Vec::new());
        for (model, feature, downstream) in scores {
            let name = format!("{model}, {feature}");
            match ted(&model, &feature) {
                Some(ted) => pairs.push(ScorePair { name, ted, downstream }),
                None => skipped.push(name),
            }
        }
        tasks.push((task, pairs, skipped));
    }
    if tasks.is_empty() {
        return Err(Fault::new("`downstream`", "a list of scores for each task", "none"));
    }
    Ok(tasks)
}

/// The pairs of a CSV file. Its header names the columns, which may stand in any order.
fn csv(text: &str) -> Result<Vec<ScorePair>, Fault> {
    const HEADER: &str = "a header with name, ted and downstream";
    let mut records = records(text)?.into_iter();
    let header = records.next().unwrap_or_default();
    let column = |name: &str| {
        let found = || format!("`{}`", header.join(",").chars().take(60).collect::<String>());
        header
            .iter()
            .position(|field| field.trim() == name)
            .ok_or_else(|| Fault::new("row 1", HEADER, found()))
    };
    let (name, ted, downstream) = (column("name")?, column("ted")?, column("downstream")?);
    let pair = |(i, record): (usize, Vec<String>)| {
        let row = format!("row {}", i + 2);
        if record.len() != header.len() {
            return Err(Fault::new(row, "as long as the header", format!("{} fields", record.len())));
        }
        let number = |at: usize| {
            let field = &record[at];
            let number = field.trim().parse().ok().filter(|number: &f64| number.is_finite());
            number
                .ok_or_else(|| Fault::new(format!("{row}, {}", header[at]), "a number", format!("`{field}`")))
        };
        Ok(ScorePair { name: record[name].clone(), ted: number(ted)?, downstream: number(downstream)? })
    };
    records.enumerate().map(pair).collect()
}

/// The fields of each row that is not blank (RFC 4180): within quotes, commas and line breaks are text.
fn records(text: &str) -> Result<Vec<Vec<String>>, Fault> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut is_quoted = false;
    let mut chars = text.chars().chain(['\n']).peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if is_quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if is_quoted || field.is_empty() => is_quoted = !is_quoted,
            ',' | '\n' if !is_quoted => {
                record.push(take(&mut field));
                if c == '\n' {
                    records.push(take(&mut record));
                }
            }
            '\r' if !is_quoted => {}
            c => field.push(c),
        }
    }
    if is_quoted {
        return Err(Fault::new("the last row", "a quoted field with an end", "none"));
    }
    records.retain(|record| record.iter().any(|field| !field.trim().is_empty()));
    Ok(records)
}
