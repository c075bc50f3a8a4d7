//! TED-6K: captions with a right and several wrong statements, and how often the right one comes first.
//! file -> [`Dataset`] -> [`Subset`] -> [`Evaluation`]: distinct texts out, unit vectors in -> [`Report`].
//! Sees texts and vectors only; [`Run`] and [`Study`] alone know the encoder.

mod batches;
mod compare;
mod dataset;
mod decode;
mod evaluate;
mod export;
mod import;
mod json;
mod leaderboard;
mod pending;
mod report;
mod run;
mod shuffle;
mod statistics;
mod study;
mod subset;

pub use compare::{ChangedItem, Comparison, ComparisonGroup, Group, Winner};
pub use dataset::{Caption, CaptionType, Dataset, DatasetCard, QuestionType, Sample};
pub use evaluate::{Evaluation, predict};
pub use leaderboard::{ScorePair, TaskCorrelation, correlate};
pub use report::{Accuracy, AccuracyStatistics, ItemResult, Report, Summary, letter};
pub use run::{Run, RunProgress};
pub use statistics::{Correlation, mcnemar, pearson, spearman, wilson};
pub use study::{FeatureScore, LayerReport, Study, StudyItem, StudyProgress, layer_products};
pub use subset::Subset;

/// SHA-256 of `bytes`, in lower-case hexadecimal digits.
fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
