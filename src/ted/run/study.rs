//! Every layer's score at once: one pass over a subset, each text's layers pooled, each item scored by every feature.
//!
//! ```text
//! layer(l)  u_l = mean(h_l)                                       l = 0..=L; last = L, penultimate = L - 1
//! mixes     u   = sum_l alpha_l mean(LayerNorm(h_l)),  l = 1..=L  pooling is linear, so it may come first
//! score         = cosine of the caption's u and the statement's
//! ```

use super::batches::Batches;
use super::pending::Pending;
use super::{provenance, timings};
use crate::encoder::{LayerVectors, TextEncoder, dot, unit};
use crate::error::Result;
use crate::model::features::softmax;
use crate::model::{Feature, Pooling};
use crate::provenance::Provenance;
use crate::ted::report::{Accuracy, LeftOut};
use crate::ted::score::{is_tie, predict};
use crate::ted::{Dataset, Subset};
use serde::Serialize;
use std::sync::Arc;
use web_time::Instant;

/// Largest memory for the products that let a page mix the layers anew.
const PRODUCTS_BYTES: usize = 64 << 20;

/// The progress of a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StudyProgress {
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
}

/// The score of a feature.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FeatureScore {
    /// `layer(3)`, `norm_avg`, ...
    pub feature: String,
    /// The accuracy over all items of the study.
    pub accuracy: Accuracy,
    /// Items in which two options or more share the top score exactly.
    pub ties: usize,
}

/// An item of a study.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StudyItem {
    /// The subject of the caption: `image` or `video`.
    pub caption_type: String,
    /// The aspect that is tested.
    pub question_type: String,
    /// The number of statements.
    pub options: usize,
    /// The index of the right statement.
    pub correct: usize,
}

/// The results of a study so far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerReport {
    /// layer(0) to layer(L), last, penultimate, norm_avg, and weighted where weights were given.
    pub features: Vec<FeatureScore>,
    /// `mean` or `last_token`.
    pub pooling: String,
    /// L, the number of layers.
    pub num_hidden_layers: usize,
    /// The weights w of `weighted`, before their softmax.
    pub layer_weights: Option<Vec<f32>>,
    /// The scored items, in order.
    pub items: Vec<StudyItem>,
    /// The items that the model can't score.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// The origin of the results.
    pub provenance: Provenance,
}

/// A study under way: step until there is nothing left, report at any time.
pub struct Study {
    dataset: Arc<Dataset>,
    subset: Subset,
    pooling: Pooling,
    layer_weights: Option<Vec<f32>>,
    pending: Pending<LayerVectors>,
    batches: Batches,
    /// Parallel to the items: for a scored item, the scores of its statements by each feature.
    scores: Vec<Vec<Vec<f32>>>,
    /// Parallel to the items: products of their layers; `None` where they do not fit into memory.
    products: Option<Vec<Vec<f32>>>,
    scored: usize,
}

impl Study {
    /// Tokenizes the distinct texts of `subset`.
    ///
    /// # Errors
    /// [`Error::NoItems`](crate::error::Error::NoItems), the encoder's errors on layer weights.
    pub fn new(
        encoder: &TextEncoder,
        dataset: Arc<Dataset>,
        subset: &Subset,
        pooling: Pooling,
        layer_weights: Option<Vec<f32>>,
    ) -> Result<Self> {
        let layers = encoder.config.counted_states();
        if let Some(weights) = &layer_weights {
            Feature::Weighted(weights.clone()).check(&encoder.config)?;
        }
        let (pending, encoded) = Pending::encodable(encoder, &dataset, subset.select(&dataset)?)?;
        let ids = encoded.into_iter().map(|text| text.ids).collect();
        let blocks = |item: &super::pending::Item| 1 + 2 * dataset.samples[item.sample].statements.len();
        let bytes = 4 * layers * layers * pending.items().iter().map(blocks).sum::<usize>();
        let items = pending.items().len();
        Ok(Self {
            dataset,
            subset: subset.clone(),
            pooling,
            layer_weights,
            pending,
            batches: Batches::new(ids, encoder.batch_tokens(), encoder.is_streamed()),
            scores: vec![vec![]; items],
            products: (bytes <= PRODUCTS_BYTES).then(|| vec![vec![]; items]),
            scored: 0,
        })
    }

    /// Whether this is what [`Self::new`] would begin, on the same model: a paused study that can go on.
    pub fn is_of(
        &self,
        dataset: &Arc<Dataset>,
        subset: &Subset,
        pooling: &Pooling,
        layer_weights: Option<&[f32]>,
    ) -> bool {
        Arc::ptr_eq(&self.dataset, dataset)
            && self.subset == *subset
            && self.pooling.to_string() == pooling.to_string()
            && self.layer_weights.as_deref() == layer_weights
    }

    /// Encodes the next batch; `None` when all texts are encoded.
    ///
    /// # Errors
    /// The encoder's.
    pub async fn step(&mut self, encoder: &TextEncoder) -> Result<Option<StudyProgress>> {
        let batch = self.batches.next();
        if batch.is_empty() {
            return Ok(None);
        }
        let start = Instant::now();
        let vectors = encoder.layer_vectors(&self.batches.ids(&batch), &self.pooling).await?;
        let elapsed = start.elapsed();
        for (text, vectors) in batch.iter().zip(vectors) {
            self.insert(*text, vectors)?;
        }
        self.batches.finish(&batch, elapsed);
        Ok(Some(self.progress()))
    }

    fn insert(&mut self, text: usize, vectors: LayerVectors) -> Result<()> {
        let mut complete = Vec::new();
        let mixes = self.mixes(vectors.normed.len());
        let wants_products = self.products.is_some();
        self.pending.insert(text, vectors, |item, caption, statements| {
            let scores = score(caption, statements, &mixes);
            let products = if wants_products { products(caption, statements) } else { vec![] };
            complete.push((item, scores, products));
        });
        for (item, scores, products) in complete {
            self.scores[item] = match scores {
                Err(error) if error.is_of_a_text() => {
                    self.pending.lose(item, text, &self.dataset, &error);
                    continue;
                }
                scores => scores?,
            };
            self.scored += 1;
            if let Some(all) = &mut self.products {
                all[item] = products;
            }
        }
        Ok(())
    }

    /// alpha of norm_avg, and of weighted where there are weights.
    fn mixes(&self, layers: usize) -> Vec<Vec<f32>> {
        let uniform = vec![0.0; layers];
        [Some(&uniform), self.layer_weights.as_ref()].into_iter().flatten().map(|w| softmax(w)).collect()
    }

    /// The progress so far.
    pub fn progress(&self) -> StudyProgress {
        StudyProgress {
            done: self.batches.tokens,
            total: self.batches.total,
            texts: self.batches.texts,
            total_texts: self.pending.texts().len(),
            items: self.scored,
        }
    }

    /// The products of the scored items, one item behind the other: for each 1 + 2 * options blocks `[L, L]`, of
    /// pooled LayerNorm(h_l): caption . caption, then for each statement: statement . statement, caption . statement.
    /// `None` where they would take more than 64 MiB.
    pub fn products(&self) -> Option<Vec<f32>> {
        self.products.as_ref().map(|products| products.concat())
    }

    /// The report on what is scored so far.
    pub fn report(&self, encoder: &TextEncoder) -> LayerReport {
        let scored = |index: &usize| !self.scores[*index].is_empty();
        let scored: Vec<usize> = (0..self.scores.len()).filter(scored).collect();
        let sample = |index: usize| &self.dataset.samples[self.pending.items()[index].sample];
        let layers = encoder.config.counted_states();
        let feature_score = |(place, feature): (usize, String)| {
            let scores: Vec<&Vec<f32>> = scored.iter().map(|index| &self.scores[*index][place]).collect();
            let right = |(index, scores): (&usize, &&Vec<f32>)| predict(scores) == sample(*index).correct;
            let correct = scored.iter().zip(&scores).filter(|pair| right(*pair)).count();
            let chance: f64 = scores.iter().map(|scores| 1.0 / scores.len() as f64).sum();
            FeatureScore {
                feature,
                accuracy: Accuracy::new(correct, scored.len(), chance / scored.len().max(1) as f64),
                ties: scores.iter().filter(|scores| is_tie(scores)).count(),
            }
        };
        let provenance = Provenance {
            timings: Some(timings(&self.batches)),
            complete: Some(scored.len() + self.pending.lost() == self.scores.len()),
            ..provenance(encoder, &self.dataset, &self.subset)
        };
        LayerReport {
            features: self.features(layers).into_iter().enumerate().map(feature_score).collect(),
            pooling: self.pooling.to_string(),
            num_hidden_layers: layers,
            layer_weights: self.layer_weights.clone(),
            items: scored
                .iter()
                .map(|index| {
                    let sample = sample(*index);
                    StudyItem {
                        caption_type: sample.caption_type.to_string(),
                        question_type: sample.question_type.to_string(),
                        options: sample.statements.len(),
                        correct: sample.correct,
                    }
                })
                .collect(),
            left_out: self.pending.left_out().to_vec(),
            provenance,
        }
    }

    /// The names of the features, in the order of [`score`].
    fn features(&self, layers: usize) -> Vec<String> {
        let mut names: Vec<String> = (0..=layers).map(|layer| Feature::Layer(layer).to_string()).collect();
        names.extend([
            Feature::Last.to_string(),
            Feature::Penultimate.to_string(),
            Feature::NormAvg.to_string(),
        ]);
        names.extend(self.layer_weights.clone().map(|weights| Feature::Weighted(weights).to_string()));
        names
    }
}

/// The scores of the statements by each feature.
fn score(caption: &LayerVectors, statements: &[&LayerVectors], mixes: &[Vec<f32>]) -> Result<Vec<Vec<f32>>> {
    let caption = features(caption, mixes, 0)?;
    let statements = statements.iter().enumerate();
    let statements: Vec<Vec<Vec<f32>>> =
        statements.map(|(index, statement)| features(statement, mixes, index + 1)).collect::<Result<_>>()?;
    let of = |(feature, caption): (usize, &Vec<f32>)| {
        statements.iter().map(|statement| dot(caption, &statement[feature])).collect()
    };
    Ok(caption.iter().enumerate().map(of).collect())
}

/// The unit vectors of each feature. The caption is text 0 of an item, and its statements come after it.
fn features(vectors: &LayerVectors, mixes: &[Vec<f32>], text: usize) -> Result<Vec<Vec<f32>>> {
    let mut all = vectors.hidden.iter().map(|vector| unit(vector, text)).collect::<Result<Vec<_>>>()?;
    let layers = vectors.hidden.len() - 1;
    all.extend([all[layers].clone(), all[layers - 1].clone()]);
    for alpha in mixes {
        let mut mix = vec![0f32; vectors.hidden[0].len()];
        for (alpha, normed) in alpha.iter().zip(&vectors.normed) {
            mix.iter_mut().zip(normed).for_each(|(sum, value)| *sum += alpha * value);
        }
        all.push(unit(&mix, text)?);
    }
    Ok(all)
}

/// caption . caption, then statement . statement and caption . statement for each, `[L, L]` each.
fn products(caption: &LayerVectors, statements: &[&LayerVectors]) -> Vec<f32> {
    let mut all = layer_products(&caption.normed, &caption.normed);
    for statement in statements {
        all.extend(layer_products(&statement.normed, &statement.normed));
        all.extend(layer_products(&caption.normed, &statement.normed));
    }
    all
}

/// `a_l . b_m` for all l, m: row-major.
pub fn layer_products(a: &[Vec<f32>], b: &[Vec<f32>]) -> Vec<f32> {
    a.iter().flat_map(|a| b.iter().map(move |b| dot(a, b))).collect()
}
