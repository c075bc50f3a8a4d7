//! An evaluation driven through an encoder, a batch at a time: the only file here that knows the encoder.

use super::{Dataset, Evaluation, Report, Subset};
use crate::encoder::{Settings, TextEncoder};
use crate::error::Result;
use crate::model::Feature;
use crate::model::features::softmax;
use serde_json::{Value, json};
use std::sync::Arc;
use web_time::{Duration, Instant};

/// Tokens of the first batch, and the fewest of any: enough to fill the kernels' tiles.
const FIRST_BUDGET: usize = 128;
/// Tokens of the largest batch: what activations may take on a device.
const LARGEST_BUDGET: usize = 2048;
/// How long a batch should take: a stop is seen after one.
const STEP: Duration = Duration::from_millis(700);

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RunProgress {
    /// Tokens encoded.
    pub done: usize,
    /// Tokens of all distinct texts.
    pub total: usize,
    /// Distinct texts encoded.
    pub texts: usize,
    /// Distinct texts.
    pub total_texts: usize,
    /// Items scored.
    pub items: usize,
    /// Right ones among them.
    pub correct: usize,
}

/// A run under way: step until there is nothing left, report at any time.
///
/// The size of a batch follows the device's speed; a text's vector does not depend on its batch, so the scores don't.
pub struct Run {
    dataset: Arc<Dataset>,
    subset: Subset,
    settings: Settings,
    evaluation: Evaluation,
    ids: Vec<Vec<u32>>,
    truncated: usize,
    budget: usize,
    next: usize,
    done: usize,
    spent: Duration,
}

impl Run {
    /// Tokenizes the distinct texts of `subset`.
    ///
    /// # Errors
    /// [`Error::NoItems`](crate::error::Error::NoItems), the encoder's errors on texts and settings.
    pub fn new(
        encoder: &TextEncoder,
        dataset: Arc<Dataset>,
        subset: &Subset,
        settings: Settings,
    ) -> Result<Self> {
        settings.feature.check(encoder.config.num_hidden_layers)?;
        let evaluation = Evaluation::new(dataset.clone(), subset)?;
        let encoded = encoder.tokenize(evaluation.texts())?;
        let truncated = encoded.iter().filter(|text| text.truncated).count();
        Ok(Self {
            dataset,
            subset: subset.clone(),
            settings,
            evaluation,
            ids: encoded.into_iter().map(|text| text.ids).collect(),
            truncated,
            budget: FIRST_BUDGET,
            next: 0,
            done: 0,
            spent: Duration::ZERO,
        })
    }

    /// Encodes the next batch; `None` when all texts are encoded.
    ///
    /// # Errors
    /// The encoder's.
    pub async fn step(&mut self, encoder: &TextEncoder) -> Result<Option<RunProgress>> {
        if self.next == self.ids.len() {
            return Ok(None);
        }
        let end = self.batch_end();
        let batch: Vec<&[u32]> = self.ids[self.next..end].iter().map(Vec::as_slice).collect();
        let tokens: usize = batch.iter().map(|ids| ids.len()).sum();

        let start = Instant::now();
        let vectors = encoder.embed_ids(&batch, &self.settings).await?;
        let elapsed = start.elapsed();
        for (text, vector) in (self.next..end).zip(vectors) {
            self.evaluation.insert(text, vector);
        }
        self.next = end;
        self.done += tokens;
        self.spent += elapsed;
        let fitting = tokens as f64 * STEP.as_secs_f64() / elapsed.as_secs_f64().max(1e-6);
        self.budget = (fitting as usize).clamp(FIRST_BUDGET, LARGEST_BUDGET);
        Ok(Some(self.progress()))
    }

    /// The end of the next batch: at least one text, at most the budget's tokens.
    fn batch_end(&self) -> usize {
        let mut tokens = 0;
        let fits = |ids: &&Vec<u32>| {
            tokens += ids.len();
            tokens <= self.budget
        };
        self.next + self.ids[self.next..].iter().take_while(fits).count().max(1)
    }

    /// How far it is.
    pub fn progress(&self) -> RunProgress {
        let (items, correct) = self.evaluation.scored();
        RunProgress {
            done: self.done,
            total: self.ids.iter().map(Vec::len).sum(),
            texts: self.next,
            total_texts: self.ids.len(),
            items,
            correct,
        }
    }

    /// The report on what is scored so far.
    pub fn report(&self, encoder: &TextEncoder) -> Report {
        self.evaluation.report(self.provenance(encoder))
    }

    /// What was evaluated, with what, on what.
    fn provenance(&self, encoder: &TextEncoder) -> Value {
        let info = &encoder.info;
        let device = encoder.device();
        let weights = match &self.settings.feature {
            Feature::Weighted(weights) => json!({ "logits": weights, "softmax": softmax(weights) }),
            _ => Value::Null,
        };
        let types = info.tensor_types.iter().map(|(dtype, count)| (format!("{dtype:?}"), json!(count)));
        let files = info.sha256.iter().map(|(file, sha256)| json!({ "file": file, "sha256": sha256 }));
        let seconds = self.spent.as_secs_f64();
        json!({
            "model": {
                "name": info.name,
                "family": encoder.config.family.name(),
                "files": files.collect::<Vec<_>>(),
                "tensor_types": types.collect::<serde_json::Map<_, _>>(),
                "num_hidden_layers": encoder.config.num_hidden_layers,
                "hidden_size": encoder.config.hidden_size,
                "max_length": info.max_length,
            },
            "feature": self.settings.feature.to_string(),
            "layer_weights": weights,
            "pooling": self.settings.pooling.to_string(),
            "dataset": { "file": self.dataset.file, "sha256": self.dataset.sha256 },
            "subset": { "id": self.subset.id(&self.dataset.sha256), "definition": self.subset.to_string() },
            "device": { "kind": device.kind.name(), "adapter": device.adapter, "software": device.software },
            "truncated_texts": self.truncated,
            "timings": {
                "texts": self.next,
                "tokens": self.done,
                "seconds": seconds,
                "tokens_per_second": if seconds > 0.0 { self.done as f64 / seconds } else { 0.0 },
            },
            "versions": { "gran-ted": env!("CARGO_PKG_VERSION") },
        })
    }
}
