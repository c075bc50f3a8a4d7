//! The program in ten lines: texts -> token ids -> packed batch -> embedding rows -> layers -> feature -> pooling ->
//! unit vectors.

use crate::device::{Device, read_back};
use crate::error::{Error, Result};
use crate::kernel;
use crate::loader::{Header, ModelInfo, Placement};
use crate::model::{Adapter, Batch, Config, Decoder, Feature, Part, Pooling, Precision};
use crate::text::batch::{PackedBatch, runs};
use crate::text::token_table::TokenTable;
use crate::text::tokenizer::{Encoded, Tokenizer};
use burn::tensor::{DType, Int, Tensor, TensorData};
use half::bf16;

/// Tokens in one pass through the layers: enough to fill a device, little enough for its memory and for progress.
pub const TOKEN_BUDGET: usize = 1024;

/// The same where layers are streamed: the cost of bringing them is spread over the batch.
pub const STREAMED_TOKEN_BUDGET: usize = 4096;

/// Values brought back from the device at once: 64 MB, half of what any device has in one buffer.
const READ_BACK: usize = 16 << 20;

/// What is computed from the hidden states.
#[derive(Clone)]
pub struct Settings {
    pub feature: Feature,
    pub pooling: Pooling,
    /// `Reference` rounds embeddings and scores to bfloat16.
    pub precision: Precision,
}

impl Settings {
    /// In f32.
    pub fn new(feature: Feature, pooling: Pooling) -> Self {
        Self { feature, pooling, precision: Precision::Full }
    }

    /// Whether embeddings and scores are rounded to bfloat16.
    pub fn rounds(&self) -> bool {
        self.precision == Precision::Reference && self.pooling.adapter().is_none_or(Adapter::rounds)
    }
}

/// A text's layers, each pooled: what every training-free feature can be made from.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerVectors {
    /// `[L + 1][D]`: h_0 to h_L.
    pub hidden: Vec<Vec<f32>>,
    /// `[L][D]`: LayerNorm(h_1) to LayerNorm(h_L).
    pub normed: Vec<Vec<f32>>,
}

/// The vectors of some texts.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// `[B][E]`, each of unit length.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of each text, after cutting.
    pub tokens: Vec<usize>,
    /// Whether a text was cut to the model's `max_length`.
    pub truncated: Vec<bool>,
}

impl Embeddings {
    /// Cosines of all pairs, `[B][B]`.
    pub fn similarity(&self) -> Vec<Vec<f32>> {
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| *a as f64 * *b as f64).sum::<f64>() as f32;
        let row = |a: &Vec<f32>| self.vectors.iter().map(|b| dot(a, b)).collect();
        self.vectors.iter().map(row).collect()
    }
}

/// A loaded text encoder.
///
/// ```
/// use gran_ted::{encoder::{Settings, TextEncoder}, error::Result, model::{Feature, Pooling}};
///
/// /// The place of the text among `captions` that is nearest to `prompt`.
/// async fn nearest(encoder: &TextEncoder, prompt: &str, captions: &[&str]) -> Result<Option<usize>> {
///     let texts = [&[prompt], captions].concat();
///     let settings = Settings::new(Feature::NormAvg, Pooling::Mean);
///     let cosines = encoder.embed(&texts, &settings).await?.similarity().swap_remove(0);
///     Ok((0..captions.len()).max_by(|a, b| cosines[a + 1].total_cmp(&cosines[b + 1])))
/// }
/// ```
pub struct TextEncoder {
    pub config: Config,
    pub info: ModelInfo,
    device: Device,
    tokenizer: Option<Tokenizer>,
    token_table: TokenTable,
    decoder: Decoder,
    placement: Placement,
}

impl TextEncoder {
    pub(crate) fn new(
        header: Header,
        decoder: Decoder,
        token_table: Option<Vec<u8>>,
        device: Device,
        placement: Placement,
    ) -> Result<Self> {
        let Header { config, info, tokenizer, sources, token_table: planned, .. } = header;
        let source = sources[planned.source].clone();
        let token_table = TokenTable::new(source, planned.info, token_table);
        Ok(Self { config, info, device, tokenizer, token_table, decoder, placement })
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether layers are brought to the device for each pass: few large batches are then faster than many small ones.
    pub fn is_streamed(&self) -> bool {
        self.decoder.is_streamed()
    }

    /// Token ids of each text, cut to `max_length`.
    ///
    /// # Errors
    /// [`Error::EmptyPrompt`] where a text is blank or has no token, [`Error::NoTokenizer`].
    pub fn tokenize<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Encoded>> {
        let tokenizer =
            self.tokenizer.as_ref().ok_or_else(|| Error::NoTokenizer { file: self.info.name.clone() })?;
        let encode =
            |(index, text): (usize, &T)| match tokenizer.encode(text.as_ref(), self.info.max_length)? {
                encoded if encoded.ids.is_empty() || text.as_ref().trim().is_empty() => {
                    Err(Error::EmptyPrompt { index: index + 1 })
                }
                encoded => Ok(encoded),
            };
        texts.iter().enumerate().map(encode).collect()
    }

    /// One unit vector for each text.
    ///
    /// # Errors
    /// Those of [`Self::tokenize`] and [`Self::embed_ids`].
    pub async fn embed<T: AsRef<str>>(&self, texts: &[T], settings: &Settings) -> Result<Embeddings> {
        let encoded = self.tokenize(texts)?;
        let ids: Vec<&[u32]> = encoded.iter().map(|text| text.ids.as_slice()).collect();
        let tokens: Vec<usize> = ids.iter().map(|ids| ids.len()).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for run in runs(&tokens, self.placement.batch_tokens) {
            vectors.extend(self.embed_ids(&ids[run], settings).await?);
        }
        Ok(Embeddings { vectors, tokens, truncated: encoded.iter().map(|text| text.truncated).collect() })
    }

    /// Tokens of a packed batch.
    pub fn batch_tokens(&self) -> usize {
        self.placement.batch_tokens
    }

    /// One unit vector for each text of token ids, in a single pass.
    ///
    /// # Errors
    /// [`Error::TokenRange`], [`Error::EmptyPrompt`], [`Error::LayerCount`], [`Error::LayerWeight`], [`Error::Device`].
    pub async fn embed_ids(&self, texts: &[&[u32]], settings: &Settings) -> Result<Vec<Vec<f32>>> {
        let (features, segments) = self.token_features(texts, &settings.feature).await?; // [T, D]
        let pooled = match &settings.pooling {
            Pooling::Mean => self.means(features, &segments), // [B, D]
            Pooling::LastToken => self.means(features, &last_tokens(&segments)), // [B, D]
            Pooling::Adapter(adapter) => adapter.forward(features, &segments, &self.device), // [B, E]
        };
        let width = pooled.dims()[1];
        let unit = if settings.rounds() { unit_bf16 } else { unit };
        read_back(pooled).await?.chunks_exact(width).map(unit).collect()
    }

    /// The unit vectors of `mean` and of `last_token`, from the same pass.
    ///
    /// # Errors
    /// As [`Self::embed_ids`].
    pub async fn embed_both(&self, texts: &[&[u32]], settings: &Settings) -> Result<Vec<[Vec<f32>; 2]>> {
        let (features, segments) = self.token_features(texts, &settings.feature).await?; // [T, D]
        let all = [&segments[..], &last_tokens(&segments)].concat();
        let pooled = read_back(self.means(features, &all)).await?; // [2 B, D]
        let unit = if settings.rounds() { unit_bf16 } else { unit };
        let vectors = pooled.chunks_exact(self.config.hidden_size).map(unit).collect::<Result<Vec<_>>>()?;
        let (means, lasts) = vectors.split_at(texts.len());
        Ok(means.iter().zip(lasts).map(|(mean, last)| [mean.clone(), last.clone()]).collect())
    }

    /// Every layer of each text, pooled, from one pass. An adapter's pooling is not a training-free one: it counts as
    /// `mean` here.
    ///
    /// # Errors
    /// As [`Self::embed_ids`].
    pub async fn layer_vectors(&self, texts: &[&[u32]], pooling: &Pooling) -> Result<Vec<LayerVectors>> {
        let batch = PackedBatch::new(texts.iter().copied());
        let (x, places) = self.prepare(texts, &batch).await?;
        let mut segments: Vec<[u32; 2]> = batch.segments().collect();
        if let Pooling::LastToken = pooling {
            segments = last_tokens(&segments);
        }
        let (mut hidden, mut normed) = (Vec::new(), Vec::new());
        let pool = |l: usize, h: &Tensor<2>| {
            hidden.push(self.means(h.clone(), &segments));
            if l > 0 {
                normed.push(self.means(kernel::layer_mix(h.zeros_like(), h.clone(), 1.0), &segments));
            }
        };
        self.decoder.forward(x, &places, self.decoder.len(), pool).await?;
        let layers = self.decoder.len();
        let width = texts.len() * self.config.hidden_size;
        let mut states = Vec::with_capacity((2 * layers + 1) * width); // [(2 L + 1) B, D]
        for some in [hidden, normed].concat().chunks((READ_BACK / width).max(1)) {
            states.extend(read_back(Tensor::cat(some.to_vec(), 0)).await?);
        }
        let vector = |state: usize, text: usize| {
            let at = (state * texts.len() + text) * self.config.hidden_size;
            states[at..at + self.config.hidden_size].to_vec()
        };
        if states.iter().any(|value| !value.is_finite()) {
            return Err(not_finite());
        }
        let of = |text| LayerVectors {
            hidden: (0..=layers).map(|layer| vector(layer, text)).collect(),
            normed: (0..layers).map(|layer| vector(1 + layers + layer, text)).collect(),
        };
        Ok((0..texts.len()).map(of).collect())
    }

    /// The means of rows `[first, end)`: `[T, D]` -> `[B, D]`.
    fn means(&self, features: Tensor<2>, segments: &[[u32; 2]]) -> Tensor<2> {
        let segments = TensorData::new(segments.concat(), [segments.len(), 2]);
        kernel::segment_mean(features, Tensor::from_data(segments, self.integers()))
    }

    /// `h_l [T, D]` of the packed texts for l = 0..=L, read back one by one: for tests and studies.
    ///
    /// # Errors
    /// As [`Self::embed_ids`].
    pub async fn hidden_states(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let batch = PackedBatch::new(texts.iter().copied());
        let (x, places) = self.prepare(texts, &batch).await?;
        let mut states = Vec::new();
        self.decoder.forward(x, &places, self.decoder.len(), |_, h| states.push(h.clone())).await?;
        let mut values = Vec::new();
        for state in states {
            values.push(read_back(state).await?);
        }
        Ok(values)
    }

    /// The token features `[T, D]` of the packed texts.
    ///
    /// # Errors
    /// As [`Self::embed_ids`].
    pub async fn features(&self, texts: &[&[u32]], feature: &Feature) -> Result<Vec<f32>> {
        read_back(self.token_features(texts, feature).await?.0).await
    }

    /// The parts of a layer on one text: see [`Decoder::parts`].
    ///
    /// # Errors
    /// As [`Self::embed_ids`].
    pub(crate) async fn parts(&self, ids: &[u32]) -> Result<Vec<Part>> {
        let (x, places) = self.prepare(&[ids], &PackedBatch::new([ids])).await?;
        let parts = self.decoder.parts(x, &places).await?;
        self.device.wait().await?; // what fills their inputs is not theirs
        Ok(parts)
    }

    /// The token features `[T, D]` on the device, and each text's `[first, end)` in them.
    async fn token_features(
        &self,
        texts: &[&[u32]],
        feature: &Feature,
    ) -> Result<(Tensor<2>, Vec<[u32; 2]>)> {
        feature.check(self.decoder.len())?;
        let batch = PackedBatch::new(texts.iter().copied());
        let (x, places) = self.prepare(texts, &batch).await?;
        let features = feature.forward(&self.decoder, x, &places).await?;
        Ok((features, batch.segments().collect()))
    }

    /// Token embeddings `[T, D]` and places on the device.
    async fn prepare(&self, texts: &[&[u32]], batch: &PackedBatch) -> Result<(Tensor<2>, Batch)> {
        for (index, ids) in texts.iter().enumerate() {
            if ids.is_empty() {
                return Err(Error::EmptyPrompt { index: index + 1 });
            }
            if let Some(found) = ids.iter().find(|id| **id as usize >= self.config.vocab_size) {
                let vocab_size = self.config.vocab_size;
                return Err(Error::TokenRange { index: index + 1, found: *found, vocab_size });
            }
        }
        let tokens = batch.input_ids.len();
        let rows = self.token_table.rows(&batch.input_ids).await?;
        let x =
            Tensor::from_data(TensorData::new(rows, [tokens, self.config.hidden_size]), self.device.burn());
        let integers = |values: &[u32]| -> Tensor<1, Int> {
            Tensor::from_data(TensorData::new(values.to_vec(), [tokens]), self.integers())
        };
        let spans = TensorData::new(batch.spans.concat(), [tokens, 2]);
        let spans = Tensor::from_data(spans, self.integers());
        Ok((x, Batch { positions: integers(&batch.positions), spans }))
    }

    fn integers(&self) -> (&burn::tensor::Device, DType) {
        (self.device.burn(), DType::U32)
    }
}

/// The last row of each `[first, end)`.
fn last_tokens(segments: &[[u32; 2]]) -> Vec<[u32; 2]> {
    segments.iter().map(|[_, end]| [end - 1, *end]).collect()
}

/// `v / |v|`, the length taken in f64.
pub(crate) fn unit(v: &[f32]) -> Result<Vec<f32>> {
    let length = v.iter().map(|x| (*x as f64).powi(2)).sum::<f64>().sqrt();
    if !length.is_finite() {
        return Err(not_finite());
    }
    Ok(v.iter().map(|x| (*x as f64 / length.max(f64::MIN_POSITIVE)) as f32).collect())
}

/// The same with values, length and quotients rounded to bfloat16.
fn unit_bf16(v: &[f32]) -> Result<Vec<f32>> {
    let round = |x: f32| bf16::from_f32(x).to_f32();
    let v: Vec<f32> = v.iter().map(|x| round(*x)).collect();
    let length = v.iter().map(|x| x * x).sum::<f32>().sqrt();
    if !length.is_finite() {
        return Err(not_finite());
    }
    let length = round(length).max(f32::MIN_POSITIVE);
    Ok(v.iter().map(|x| round(x / length)).collect())
}

fn not_finite() -> Error {
    Error::Device { reason: "an embedding is not finite".into() }
}
