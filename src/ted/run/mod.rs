//! An evaluation driven through an encoder, a batch at a time.

pub(super) mod batches;
pub(super) mod evaluation;
mod kept;
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
use pending::Pending;
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
    /// Stored vectors that have changed since they were stored, and are encoded anew.
    pub damaged: usize,
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
    damaged: usize,
    /// Everything that stored vectors depend on, except their text.
    scope: Value,
    /// The digest of `scope`.
    scope_id: String,
    /// Values of a stored vector.
    stored_length: usize,
    /// Texts encoded since the last [`Self::take_fresh`], with their vectors to be stored.
    fresh: Vec<(usize, Vec<f32>)>,
}

impl Run {
    /// Tokenizes the distinct texts of `subset`. An item whose texts the model can't encode is left out, and named in the
    /// report.
    ///
    /// # Errors
    /// [`Error::NoItems`](crate::error::Error::NoItems), the encoder's errors on settings.
    pub fn new(
        encoder: &TextEncoder,
        dataset: Arc<Dataset>,
        subset: &Subset,
        settings: Settings,
    ) -> Result<Self> {
        settings.feature.check(&encoder.config)?;
        let (pending, encoded) = Pending::encodable(encoder, &dataset, subset.select(&dataset)?)?;
        let evaluation = Evaluation::of(dataset.clone(), pending).with_rounded_scores(settings.rounds());
        let truncated = encoded.iter().filter(|text| text.truncated).count();
        let ids = encoded.into_iter().map(|text| text.ids).collect();
        let stored_length = match settings.pooling.adapter() {
            Some(adapter) => adapter.info.dimension,
            None => 2 * encoder.config.hidden_size,
        } + kept::CHECKSUM;
        let scope = scope(encoder, &settings);
        Ok(Self {
            scope_id: sha256_hex(scope.to_string().as_bytes()),
            scope,
            dataset,
            subset: subset.clone(),
            settings,
            evaluation,
            batches: Batches::new(ids, encoder.batch_tokens(), encoder.is_streamed()),
            truncated,
            restored: 0,
            damaged: 0,
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
        let vectors = match self.encode(encoder, &self.batches.ids(&batch)).await {
            Err(error) if error.is_of_a_text() => self.encode_each(encoder, &batch).await?,
            vectors => vectors?.into_iter().map(Ok).collect(),
        };
        let elapsed = start.elapsed();
        for (text, vector) in batch.iter().zip(vectors) {
            match vector {
                Ok(vector) => {
                    self.evaluation.insert(*text, self.chosen(&vector).to_vec());
                    self.fresh.push((*text, vector));
                }
                Err(error) => self.evaluation.leave_out(*text, &error),
            }
        }
        self.batches.finish(&batch, elapsed);
        Ok(Some(self.progress()))
    }

    /// The vector of each text that is kept: the embedding of an adapter, or the vectors of both training-free poolings, one
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

    /// The texts of a batch one by one: a text that has no vector ends nothing but its own items.
    async fn encode_each(&self, encoder: &TextEncoder, batch: &[usize]) -> Result<Vec<Result<Vec<f32>>>> {
        let mut vectors = Vec::with_capacity(batch.len());
        for ids in self.batches.ids(batch) {
            match self.encode(encoder, &[ids]).await {
                Ok(mut one) => vectors.extend(one.pop().map(Ok)),
                Err(error) if error.is_of_a_text() => vectors.push(Err(error)),
                Err(error) => return Err(error),
            }
        }
        Ok(vectors)
    }

    /// The part of a kept vector that belongs to this run's pooling.
    fn chosen<'a>(&self, stored: &'a [f32]) -> &'a [f32] {
        let half = stored.len() / 2;
        match self.settings.pooling {
            Pooling::Mean => &stored[..half],
            Pooling::LastToken => &stored[half..],
            Pooling::Adapter(_) => stored,
        }
    }

    /// Values of a stored vector, its checksum among them.
    pub fn stored_length(&self) -> usize {
        self.stored_length
    }

    /// A digest of everything that stored vectors depend on except their texts, in 64 hexadecimal digits: weights,
    /// configuration, tokenizer, arithmetic, feature, adapter, precision, device and build.
    pub fn scope_id(&self) -> String {
        self.scope_id.clone()
    }

    /// The facts behind [`Self::scope_id`].
    pub fn scope(&self) -> &Value {
        &self.scope
    }

    /// The names under which the distinct texts' vectors are stored: the SHA-256 of each text and its token ids, in
    /// hexadecimal digits.
    pub fn keys(&self) -> Vec<String> {
        (0..self.evaluation.texts().len()).map(|text| self.key(text)).collect()
    }

    fn key(&self, text: usize) -> String {
        kept::key(&self.evaluation.texts()[text], self.batches.ids_of(text))
    }

    /// Whether `stored` is the vector that a run of this scope has stored under `key`, unchanged.
    pub fn is_whole(&self, key: &str, stored: &[f32]) -> bool {
        let vector = kept::opened(&self.scope_id, key, stored);
        stored.len() == self.stored_length && vector.is_some_and(|vector| is_unit(self.chosen(vector)))
    }

    /// Takes a stored vector for the text behind `keys()[text]`. One that has changed is counted as damaged and ignored,
    /// and gives `false`.
    pub fn restore(&mut self, text: usize, stored: &[f32]) -> bool {
        if !self.is_whole(&self.key(text), stored) {
            self.damaged += 1;
            return false;
        }
        let before = self.evaluation.encoded();
        let vector = self.chosen(&stored[..stored.len() - kept::CHECKSUM]).to_vec();
        self.evaluation.insert(text, vector);
        self.batches.skip(text);
        self.restored += self.evaluation.encoded() - before;
        true
    }

    /// The keys and vectors that were encoded since the last call, to be stored.
    pub fn take_fresh(&mut self) -> Vec<(String, Vec<f32>)> {
        let fresh = std::mem::take(&mut self.fresh).into_iter();
        let sealed = |(text, vector)| {
            let key = self.key(text);
            let vector = kept::sealed(&self.scope_id, &key, vector);
            (key, vector)
        };
        fresh.map(sealed).collect()
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
            damaged: self.damaged,
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
        "config": encoder.info.config_sha256,
        "tokenizer": encoder.info.tokenizer_sha256,
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
