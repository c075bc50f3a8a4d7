//! The program in ten lines: texts -> token ids -> packed batch -> embedding rows -> layers -> feature -> pooling ->
//! unit vectors.

use crate::device::{Device, read_back};
use crate::error::{Error, Result};
use crate::kernel;
use crate::model::{Batch, Config, Decoder, Feature, Part, Pooling, State};
use embeddings::{not_finite, unit_bf16};
mod card;
mod embeddings;
mod info;
mod placement;
mod settings;

pub use card::{FileCard, ModelCard};
pub use embeddings::{Embeddings, LayerVectors, States};
pub(crate) use embeddings::{dot, unit};
pub use info::ModelInfo;
pub use placement::{Placement, STREAMED_TOKEN_BUDGET, TOKEN_BUDGET};
pub use settings::Settings;

use crate::text::batch::{PackedBatch, runs};
use crate::text::token_table::TokenTable;
pub use crate::text::tokenizer::Encoded;
use crate::text::tokenizer::Tokenizer;
use burn::tensor::{DType, Int, Tensor, TensorData};

/// Values brought back from the device at once: 64 MB, half of the largest buffer that every device allows.
const READ_BACK: usize = 16 << 20;

/// The parts that a loader hands to a [`TextEncoder`].
pub(crate) struct Parts {
    pub config: Config,
    pub info: ModelInfo,
    pub device: Device,
    /// `None` where the files hold none: token ids can be embedded, texts cannot.
    pub tokenizer: Option<Tokenizer>,
    pub token_table: TokenTable,
    pub decoder: Decoder,
    pub placement: Placement,
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
    /// The sizes and options of the decoder.
    pub config: Config,
    /// The facts of the files it was loaded from.
    pub info: ModelInfo,
    device: Device,
    tokenizer: Option<Tokenizer>,
    token_table: TokenTable,
    decoder: Decoder,
    placement: Placement,
}

impl TextEncoder {
    /// Puts together the parts that a loader has read.
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { config, info, device, tokenizer, token_table, decoder, placement } = parts;
        Self { config, info, device, tokenizer, token_table, decoder, placement }
    }

    /// The device it runs on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Whether layers are brought to the device for each pass. Few large batches are then faster than many small ones.
    pub fn is_streamed(&self) -> bool {
        self.decoder.is_streamed()
    }

    /// The tokenizer, where the model came with one.
    pub fn tokenizer(&self) -> Option<&Tokenizer> {
        self.tokenizer.as_ref()
    }

    /// Token ids of each text, cut to `max_length`, with the begin and end tokens of the tokenizer's file.
    ///
    /// # Errors
    /// [`Error::EmptyPrompt`] where a text is blank or has no token, [`Error::NoRow`] where a token is not in the token
    /// table, [`Error::NoTokenizer`].
    pub fn tokenize<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Encoded>> {
        self.tokenize_each(texts)?.into_iter().collect()
    }

    /// As [`Self::tokenize`], with an error of its own for each text that has no vector.
    ///
    /// # Errors
    /// [`Error::NoTokenizer`].
    pub(crate) fn tokenize_each<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Result<Encoded>>> {
        tokenize(self.tokenizer.as_ref(), &self.info, self.config.vocab_size, texts)
    }

    /// One unit vector for each text.
    ///
    /// # Errors
    /// As [`Self::tokenize`] and [`Self::embed_ids`].
    pub async fn embed<T: AsRef<str>>(&self, texts: &[T], settings: &Settings) -> Result<Embeddings> {
        let encoded = self.tokenize(texts)?;
        let ids: Vec<&[u32]> = encoded.iter().map(|text| text.ids.as_slice()).collect();
        let tokens: Vec<usize> = ids.iter().map(|ids| ids.len()).collect();
        let mut vectors = Vec::with_capacity(texts.len());
        for run in runs(&tokens, self.placement.batch_tokens) {
            let first = run.start;
            let of_run = self.embed_ids(&ids[run], settings).await;
            vectors.extend(of_run.map_err(|error| match error {
                Error::NoDirection { index } => Error::NoDirection { index: first + index },
                error => error,
            })?);
        }
        Ok(Embeddings { vectors, tokens, truncated: encoded.iter().map(|text| text.truncated).collect() })
    }

    /// The most tokens of a packed batch; a longer text passes alone.
    pub fn batch_tokens(&self) -> usize {
        self.placement.batch_tokens
    }

    /// One unit vector for each text of token ids, in a single pass.
    ///
    /// # Errors
    /// [`Error::TokenRange`], [`Error::TooLong`], [`Error::EmptyPrompt`], [`Error::LayerCount`], [`Error::LayerWeight`],
    /// [`Error::NoDirection`], [`Error::Device`].
    pub async fn embed_ids(&self, texts: &[&[u32]], settings: &Settings) -> Result<Vec<Vec<f32>>> {
        let (features, segments) = self.token_features(texts, &settings.feature).await?; // [T, D]
        let pooled = match &settings.pooling {
            Pooling::Mean => self.means(features, &segments), // [B, D]
            Pooling::LastToken => self.means(features, &last_tokens(&segments)), // [B, D]
            Pooling::Adapter(adapter) => adapter.forward(features, &segments, &self.device), // [B, E]
        };
        let width = pooled.dims()[1];
        let unit = if settings.rounds() { unit_bf16 } else { unit };
        let pooled = read_back(pooled).await?;
        pooled.chunks_exact(width).enumerate().map(|(index, vector)| unit(vector, index)).collect()
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
        let vectors = pooled.chunks_exact(self.config.hidden_size).enumerate();
        let vectors =
            vectors.map(|(index, vector)| unit(vector, index % texts.len())).collect::<Result<Vec<_>>>()?;
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
        let first = 1 + self.decoder.len() - self.decoder.counted_states();
        let pool = |state: State, h: &Tensor<2>| {
            let State::Layer(l) = state else { return };
            hidden.push(self.means(h.clone(), &segments));
            if l >= first {
                normed.push(self.means(kernel::layer_mix(h.zeros_like(), h.clone(), 1.0), &segments));
            }
        };
        self.decoder.forward(x, &places, self.decoder.len(), pool).await?;
        let (layers, counted) = (self.decoder.len(), self.decoder.counted_states());
        let width = texts.len() * self.config.hidden_size;
        let mut states = Vec::with_capacity((1 + layers + counted) * width); // [(1 + L + counted) B, D]
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
            normed: (0..counted).map(|state| vector(1 + layers + state, text)).collect(),
        };
        Ok((0..texts.len()).map(of).collect())
    }

    /// The mean of the rows of each segment `[first, end)`: `[T, D]` -> `[B, D]`.
    fn means(&self, features: Tensor<2>, segments: &[[u32; 2]]) -> Tensor<2> {
        let segments = TensorData::new(segments.concat(), [segments.len(), 2]);
        kernel::segment_mean(features, Tensor::from_data(segments, self.integers()))
    }

    /// All hidden states of one text of token ids.
    ///
    /// # Errors
    /// As [`Self::embed_ids`].
    pub async fn states(&self, ids: &[u32]) -> Result<States> {
        let (x, places) = self.prepare(&[ids], &PackedBatch::new([ids])).await?;
        let (mut hidden, mut prenorm) = (Vec::new(), None);
        let keep = |state: State, h: &Tensor<2>| match state {
            State::Layer(_) => hidden.push(h.clone()),
            State::LastPrenorm => prenorm = Some(h.clone()),
        };
        self.decoder.forward(x, &places, self.decoder.len(), keep).await?;
        let mut values = Vec::with_capacity(hidden.len());
        for state in hidden {
            values.push(read_back(state).await?);
        }
        let last_prenorm = match prenorm {
            Some(state) => read_back(state).await?,
            None => Vec::new(),
        };
        Ok(States { hidden: values, last_prenorm })
    }

    /// `h_l [T, D]` of the packed texts for l = 0..=L, read back one by one: for tests and studies.
    ///
    /// # Errors
    /// As [`Self::embed_ids`].
    pub async fn hidden_states(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>> {
        let batch = PackedBatch::new(texts.iter().copied());
        let (x, places) = self.prepare(texts, &batch).await?;
        let mut states = Vec::new();
        let keep = |state: State, h: &Tensor<2>| {
            if let State::Layer(_) = state {
                states.push(h.clone());
            }
        };
        self.decoder.forward(x, &places, self.decoder.len(), keep).await?;
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
        self.device.wait().await?; // filling their inputs is not part of their time
        Ok(parts)
    }

    /// The token features `[T, D]` on the device, and each text's `[first, end)` in them.
    async fn token_features(
        &self,
        texts: &[&[u32]],
        feature: &Feature,
    ) -> Result<(Tensor<2>, Vec<[u32; 2]>)> {
        feature.check(&self.config)?;
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
            // The tables of positions end there; a device would read past them without a word.
            let (found, max_length) = (ids.len(), self.info.max_length);
            if found > max_length {
                return Err(Error::TooLong { index: index + 1, found, max_length });
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
        let spans = |window: Option<usize>| -> Tensor<2, Int> {
            let spans = batch.spans(self.config.is_causal, window);
            Tensor::from_data(TensorData::new(spans.concat(), [tokens, 2]), self.integers())
        };
        let windowed = self.config.window.is_some().then(|| spans(self.config.window));
        let (positions, is_causal) = (integers(&batch.positions), self.config.is_causal);
        Ok((x, Batch { positions, spans: spans(None), windowed, is_causal }))
    }

    fn integers(&self) -> (&burn::tensor::Device, DType) {
        (self.device.burn(), DType::U32)
    }
}

/// The token ids of each text, or why it has none that the network takes; for a model that is loaded and for one whose
/// header alone is read.
pub(crate) fn tokenize<T: AsRef<str>>(
    tokenizer: Option<&Tokenizer>,
    info: &ModelInfo,
    vocab_size: usize,
    texts: &[T],
) -> Result<Vec<Result<Encoded>>> {
    let tokenizer = tokenizer.ok_or_else(|| Error::NoTokenizer { file: info.name.clone() })?;
    let added = tokenizer.template().len();
    let encode = |(index, text): (usize, &T)| {
        let index = index + 1;
        let encoded = tokenizer.encode(text.as_ref(), info.max_length)?;
        if encoded.ids.len() <= added || text.as_ref().trim().is_empty() {
            return Err(Error::EmptyPrompt { index });
        }
        match encoded.ids.iter().find(|id| **id as usize >= vocab_size) {
            Some(&id) => {
                let token = tokenizer.token(id).unwrap_or_default();
                Err(Error::NoRow { index, token, id, rows: vocab_size })
            }
            None => Ok(encoded),
        }
    };
    Ok(texts.iter().enumerate().map(encode).collect())
}

/// The last row of each `[first, end)`.
fn last_tokens(segments: &[[u32; 2]]) -> Vec<[u32; 2]> {
    segments.iter().map(|[_, end]| [end - 1, *end]).collect()
}
