//! An evaluation driven through an encoder, a batch at a time.

pub mod batches;
pub mod evaluation;
pub mod pending;
pub mod study;

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

/// How far a run is.
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
    /// Those whose vectors were restored.
    pub restored: usize,
    /// Items scored.
    pub items: usize,
    /// Right ones among them.
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
    /// What the stored vectors depend on besides the text, in words.
    scope: Value,
    /// Length of a stored vector.
    stored_length: usize,
    /// Texts encoded since [`Self::take_fresh`], with what is to be stored of them.
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

    /// What is stored of each text: an adapter's embedding, or those of both training-free poolings, one behind the
    /// other, so that a second run with the other pooling has nothing left to encode.
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

    /// The part of a stored vector that this run's pooling gives.
    fn chosen<'a>(&self, stored: &'a [f32]) -> &'a [f32] {
        let half = stored.len() / 2;
        match self.settings.pooling {
            Pooling::Mean => &stored[..half],
            Pooling::LastToken => &stored[half..],
            Pooling::Adapter(_) => stored,
        }
    }

    /// Length of a stored vector.
    pub fn stored_length(&self) -> usize {
        self.stored_length
    }

    /// What stored vectors depend on besides their texts, as 64 hexadecimal digits: model, arithmetic, feature,
    /// adapter, precision, device and version.
    pub fn scope_id(&self) -> String {
        sha256_hex(self.scope.to_string().as_bytes())
    }

    /// The same in words.
    pub fn scope(&self) -> &Value {
        &self.scope
    }

    /// The distinct texts' SHA-256, in hexadecimal digits: the names under which vectors are stored.
    pub fn keys(&self) -> Vec<String> {
        self.evaluation.texts().iter().map(|text| sha256_hex(text.as_bytes())).collect()
    }

    /// Takes a stored vector for the text behind `keys()[text]`; `false` where it can't be one, which is ignored.
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

    /// What was encoded since the last call, to be stored: keys and vectors.
    pub fn take_fresh(&mut self) -> Vec<(String, Vec<f32>)> {
        let fresh = std::mem::take(&mut self.fresh);
        let texts = self.evaluation.texts();
        fresh.into_iter().map(|(text, vector)| (sha256_hex(texts[text].as_bytes()), vector)).collect()
    }

    /// How far it is.
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

    /// What was evaluated, with what, on what.
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

/// What every result of an encoder on a data set states.
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

/// What was encoded, and how fast.
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

/// Whether it can be an embedding: bfloat16 keeps a length within 1 %.
fn is_unit(vector: &[f32]) -> bool {
    let square: f64 = vector.iter().map(|x| f64::from(*x).powi(2)).sum();
    (square - 1.0).abs() < 0.02
}
