//! TED-6K: captions with a right and several wrong statements, and how often the right one comes first.
//! file -> [`Dataset`] -> [`Subset`] -> [`Evaluation`]: distinct texts out, unit vectors in -> [`Report`].
//! Sees texts and vectors only; [`Run`] and [`Study`] alone know the encoder.

mod correlate;
mod data;
mod decode;
mod report;
mod run;
mod score;
mod statistics;

pub use correlate::{ScorePair, TaskCorrelation, correlate};
pub use data::dataset::{Caption, CaptionType, Dataset, DatasetCard, QuestionType, Sample};
pub use data::subset::Subset;
pub use report::compare::{ChangedItem, Comparison, ComparisonGroup, Group, Winner};
pub use report::{Accuracy, AccuracyStatistics, ItemResult, LeftOut, Report, Summary};
pub use run::evaluation::Evaluation;
pub use run::pending::check_encodable;
pub use run::study::{FeatureScore, LayerReport, Study, StudyItem, StudyProgress, layer_products};
pub use run::{Run, RunProgress};
pub use score::{letter, predict};
pub use statistics::{Correlation, mcnemar, pearson, spearman, wilson};
