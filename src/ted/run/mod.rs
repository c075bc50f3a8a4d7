//! An evaluation driven through an encoder, a batch at a time.

pub(super) mod batches;
pub(super) mod evaluation;
pub(super) mod pending;
pub(super) mod study;

use super::{Dataset, Evaluation, Report, Subset};
use crate::encoder::{Settings, TextEncoder};
use crate::error::Result;
use crate::format::sha256_hex;
use crate::model::{Feature, Pooling};
use crate::provenance::{
    AdapterProvenance, Build, DatasetProvenance, LayerWeights, Provenance, SubsetProvenance, Timings,
};
use batches::Batches;
use serde_json::{Value, json};
use std::sync::Arc;
use web_time::Instant;

/// The progress of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct RunProgress {
    /// Tokens encoded.
    pub done: usize,
    /// Tokens of all distinct texts that were not restored.
    pub total: usize,
    /// Distinct texts that have their vector.
    pub texts: usize,
    /// Distinct texts.
    pub total_texts: usize,
    /// Distinct texts whose vectors were restored.
    pub restored: usize,
    /// Items scored.
    pub items: usize,
    /// Items scored that are right.
    pub correct: usize,
}

/// A run under way: restore what is stored, step until there is nothing left, store what is fresh, report at any time.
pub struct Run {
    dataset: Arc<Dataset>,
    subset: Subset,
    settings: Settings,
    evaluation: Evaluation,
    batches: Batches,
    truncated: usize,
    restored: usize,
    /// Everything that stored vectors depend on, except their text.
    scope: Value,
    /// Values of a stored vector.
    stored_length: usize,
    /// Texts encoded since the last [`Self::take_fresh`], with their vectors to be stored.
    fresh: Vec<(usize, Vec<f32>)>,
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
        let evaluation = Evaluation::new(dataset.clone(), subset)?.with_rounded_scores(settings.rounds());
        let encoded = encoder.tokenize(evaluation.texts())?;
        let truncated = encoded.iter().filter(|text| text.truncated).count();
        let ids = encoded.into_iter().map(|text| text.ids).collect();
        let stored_length = match settings.pooling.adapter() {
            Some(adapter) => adapter.info.dimension,
            None => 2 * encoder.config.hidden_size,
        };
        Ok(Self {
            scope: scope(encoder, &settings),
            dataset,
            subset: subset.clone(),
            settings,
            evaluation,
            batches: Batches::new(ids, encoder.batch_tokens(), encoder.is_streamed()),
            truncated,
            restored: 0,
            stored_length,
            fresh: Vec::new(),
        })
    }

    /// Encodes the next batch; `None` when all texts are encoded.
    ///
    /// # Errors
    /// The encoder's.
    pub async fn step(&mut self, encoder: &TextEncoder) -> Result<Option<RunProgress>> {
        let batch = self.batches.next();
        if batch.is_empty() {
            return Ok(None);
        }
        let start = Instant::now();
        let vectors = self.encode(encoder, &self.batches.ids(&batch)).await?;
        let elapsed = start.elapsed();
        for (text, vector) in batch.iter().zip(vectors) {
            self.evaluation.insert(*text, self.chosen(&vector).to_vec());
            self.fresh.push((*text, vector));
        }
        self.batches.finish(&batch, elapsed);
        Ok(Some(self.progress()))
    }

    /// The stored vector of each text: the embedding of an adapter, or the vectors of both training-free poolings, one
    /// after the other, so that a second run with the other pooling has nothing left to encode.
    async fn encode(&self, encoder: &TextEncoder, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        match self.settings.pooling {
            Pooling::Adapter(_) => encoder.embed_ids(texts, &self.settings).await,
            _ => Ok(encoder
                .embed_both(texts, &self.settings)
                .await?
                .iter()
                .map(|both| both.concat())
                .collect()),
        }
    }

    /// The part of a stored vector that belongs to this run's pooling.
    fn chosen<'a>(&self, stored: &'a [f32]) -> &'a [f32] {
        let half = stored.len() / 2;
        match self.settings.pooling {
            Pooling::Mean => &stored[..half],
            Pooling::LastToken => &stored[half..],
            Pooling::Adapter(_) => stored,
        }
    }

    /// Values of a stored vector.
    pub fn stored_length(&self) -> usize {
        self.stored_length
    }

    /// A digest of everything that stored vectors depend on except their texts, in 64 hexadecimal digits: model,
    /// arithmetic, feature, adapter, precision, device and build.
    pub fn scope_id(&self) -> String {
        sha256_hex(self.scope.to_string().as_bytes())
    }

    /// The facts behind [`Self::scope_id`].
    pub fn scope(&self) -> &Value {
        &self.scope
    }

    /// The distinct texts' SHA-256, in hexadecimal digits: the names under which vectors are stored.
    pub fn keys(&self) -> Vec<String> {
        self.evaluation.texts().iter().map(|text| sha256_hex(text.as_bytes())).collect()
    }

    /// Takes a stored vector for the text behind `keys()[text]`. An implausible one is ignored, and gives `false`.
    pub fn restore(&mut self, text: usize, stored: &[f32]) -> bool {
        if stored.len() != self.stored_length || !is_unit(self.chosen(stored)) {
            return false;
        }
        let before = self.evaluation.encoded();
        self.evaluation.insert(text, self.chosen(stored).to_vec());
        self.batches.skip(text);
        self.restored += self.evaluation.encoded() - before;
        true
    }

    /// The keys and vectors that were encoded since the last call, to be stored.
    pub fn take_fresh(&mut self) -> Vec<(String, Vec<f32>)> {
        let fresh = std::mem::take(&mut self.fresh);
        let texts = self.evaluation.texts();
        fresh.into_iter().map(|(text, vector)| (sha256_hex(texts[text].as_bytes()), vector)).collect()
    }

    /// The progress so far.
    pub fn progress(&self) -> RunProgress {
        let (items, correct) = self.evaluation.scored();
        RunProgress {
            done: self.batches.tokens,
            total: self.batches.total,
            texts: self.evaluation.encoded(),
            total_texts: self.evaluation.texts().len(),
            restored: self.restored,
            items,
            correct,
        }
    }

    /// The report on what is scored so far.
    pub fn report(&self, encoder: &TextEncoder) -> Report {
        self.evaluation.report(Some(self.provenance(encoder)))
    }

    /// The origin of this run's results.
    fn provenance(&self, encoder: &TextEncoder) -> Provenance {
        let weights = match &self.settings.feature {
            Feature::Weighted(weights) => Some(LayerWeights::of(weights)),
            _ => None,
        };
        let adapter = self.settings.pooling.adapter().map(|adapter| AdapterProvenance::of(&adapter.info));
        Provenance {
            feature: Some(self.settings.feature.to_string()),
            layer_weights: Some(weights),
            pooling: Some(self.settings.pooling.to_string()),
            adapter: Some(adapter),
            reference_precision: Some(self.settings.rounds()),
            truncated_texts: Some(self.truncated),
            timings: Some(Timings { restored: Some(self.restored), ..timings(&self.batches) }),
            ..provenance(encoder, &self.dataset, &self.subset)
        }
    }
}

/// The origin that every result of an encoder on a data set states.
fn provenance(encoder: &TextEncoder, dataset: &Dataset, subset: &Subset) -> Provenance {
    let dataset_provenance = DatasetProvenance {
        file: Some(dataset.file.clone()),
        sha256: Some(dataset.sha256.clone()),
        ..DatasetProvenance::default()
    };
    let subset = SubsetProvenance {
        id: Some(subset.id(&dataset.sha256)),
        definition: Some(subset.to_string()),
        ..SubsetProvenance::default()
    };
    Provenance { dataset: Some(dataset_provenance), subset: Some(subset), ..Provenance::of(encoder) }
}

/// The texts and tokens that were encoded, and their time.
fn timings(batches: &Batches) -> Timings {
    let seconds = batches.spent.as_secs_f64();
    Timings {
        texts: batches.texts,
        tokens: batches.tokens,
        seconds,
        tokens_per_second: if seconds > 0.0 { batches.tokens as f64 / seconds } else { 0.0 },
        restored: None,
    }
}

fn scope(encoder: &TextEncoder, settings: &Settings) -> Value {
    let hashes: Vec<&str> = encoder.info.sha256.iter().map(|(_, sha256)| sha256.as_str()).collect();
    let weights = match &settings.feature {
        Feature::Weighted(weights) => json!(weights),
        _ => Value::Null,
    };
    let device = encoder.device();
    json!({
        "model": hashes,
        "max_length": encoder.info.max_length,
        "quantize": encoder.info.quantize,
        "arithmetic": encoder.info.arithmetic,
        "feature": settings.feature.to_string(),
        "layer_weights": weights,
        "adapter": settings.pooling.adapter().map(|adapter| &adapter.info.sha256),
        "rounded": settings.rounds(),
        "device": [device.kind.name(), device.adapter.as_str()],
        "build": Build::current().id(),
    })
}

/// Whether a stored vector is plausible: of length 1 to within bfloat16's 1 %.
fn is_unit(vector: &[f32]) -> bool {
    let square: f64 = vector.iter().map(|x| f64::from(*x).powi(2)).sum();
    (square - 1.0).abs() < 0.02
}
