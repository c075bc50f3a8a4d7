//! TED-6K: captions with a right and several wrong statements, and how often the right one comes first.
//! file -> [`Dataset`] -> [`Subset`] -> [`Evaluation`]: distinct texts out, unit vectors in -> [`Report`].
//! Sees texts and vectors only; [`Run`] alone knows the encoder and drives an evaluation through it.

mod dataset;
mod evaluate;
mod json;
mod report;
mod run;
mod shuffle;
mod subset;

pub use dataset::{Caption, CaptionType, Dataset, DatasetCard, QuestionType, Sample};
pub use evaluate::{Evaluation, predict};
pub use report::{Accuracy, AccuracyStatistics, ItemResult, Report, Summary};
pub use run::{Run, RunProgress};
pub use subset::Subset;

/// SHA-256 of `bytes`, in lower-case hexadecimal digits.
fn sha256_hex(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
