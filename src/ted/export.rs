//! A report as rows for other programs: the accuracies as CSV (RFC 4180), the items as JSON Lines.

use super::report::{Accuracy, Report};

impl Report {
    /// One row for each group: overall, caption types, question types, combined. Accuracies are fractions.
    pub fn to_csv(&self) -> String {
        let statistics = &self.summary.accuracy_statistics;
        let mut csv = "group,name,correct,total,accuracy,low,high,chance\r\n".to_string();
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

    /// One object for each item, with the reference's keys, each on its own line.
    pub fn to_jsonl(&self) -> String {
        // Texts, numbers and a boolean: there is nothing in an item that JSON can't hold.
        let line = |item| serde_json::to_string(item).unwrap_or_default() + "\n";
        self.results.iter().map(line).collect()
    }
}

fn row(group: &str, name: &str, of: &Accuracy) -> String {
    let Accuracy { accuracy, correct, total, interval: [low, high], chance } = of;
    format!("{group},{},{correct},{total},{accuracy},{low},{high},{chance}\r\n", quoted(name))
}

/// `field` in quotes where a comma, a quote or a line's end would break the row.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.into()
    }
}
