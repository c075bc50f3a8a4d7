//! A report as rows for other programs: the accuracies as CSV (RFC 4180), the items as JSON Lines.

use super::{Accuracy, ItemResult, Report};
use crate::provenance::Provenance;
use serde::Serialize;

/// An item as a line. The id of its subset comes last.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    item: &'a ItemResult,
    subset: &'a str,
}

impl Report {
    /// The accuracies as CSV, with a row for each group: overall, caption types, question types, combined. Accuracies
    /// are fractions. The last column is the id of the subset, so that rows of several files can stand in one.
    pub fn to_csv(&self) -> String {
        let statistics = &self.summary.accuracy_statistics;
        let mut csv = "group,name,correct,total,accuracy,low,high,chance,subset\r\n".to_string();
        let row = |group: &str, name: &str, of: &Accuracy| row(group, name, of, self.subset_id());
        csv += &row("overall", "", &statistics.overall);
        let groups = [
            ("caption_type", &statistics.caption_type_accuracy),
            ("question_type", &statistics.question_type_accuracy),
            ("combined", &statistics.combined_accuracy),
        ];
        for (group, accuracies) in groups {
            accuracies.iter().for_each(|(name, accuracy)| csv += &row(group, name, accuracy));
        }
        csv
    }

    /// The items as JSON Lines: an object for each item, with the reference's keys and the id of the subset.
    pub fn to_jsonl(&self) -> String {
        // An item has texts, numbers and a boolean alone: JSON can hold all of them.
        let subset = self.subset_id();
        let line = |item| serde_json::to_string(&Line { item, subset }).unwrap_or_default() + "\n";
        self.results.iter().map(line).collect()
    }

    /// The id of the subset; empty if the report has none.
    fn subset_id(&self) -> &str {
        self.provenance.as_ref().and_then(Provenance::subset_id).unwrap_or_default()
    }
}

fn row(group: &str, name: &str, of: &Accuracy, subset: &str) -> String {
    let Accuracy { accuracy, correct, total, interval: [low, high], chance } = of;
    let (name, subset) = (quoted(name), quoted(subset));
    format!("{group},{name},{correct},{total},{accuracy},{low},{high},{chance},{subset}\r\n")
}

/// `field`, in quotes if a comma, a quote or a line break in it would break the row.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.into()
    }
}
