//! The headers of a model's files: configuration, tokenizer, and the place of each needed tensor; all of it checked.

use super::config::{GgufTensors, Said};
use super::detect::{self, Detected};
use super::files::Files;
use super::foreign;
use super::found::Found;
use super::json::read_json;
use super::names::{gguf_scheme, schemes};
use super::prefix::Prefix;
use super::role::uncopied;
use super::tokenizers::{self, TokenizerFiles};
use super::weights::read_tensors;
use super::{config, files, split};
use crate::encoder::{ModelInfo, tokenize};
use crate::error::{Error, Result};
use crate::format::safetensors::Index;
use crate::format::{Source, gguf::Gguf, sha256_hex, short_name};
use crate::kernel::Arithmetic;
use crate::loader::planned::Planned;
use crate::model::config::Role;
use crate::model::{Config, Positions};
use crate::quant::{Layout, Quantize};
use crate::text::tokenizer::{Encoded, SpecialTokens, Tokenizer};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Largest token table that is kept in memory; rows of a larger one are read from the file.
const RESIDENT_TABLE: u64 = if cfg!(target_family = "wasm") { 160 << 20 } else { 64 << 20 };

/// Said of a model whose first layer's biases serve all layers.
const SHARED: &str = "the relative biases of the first layer serve all layers, as in the paper's program";

/// Everything that a model's files say before its weights are read.
pub struct Header {
    /// The sizes and options of the decoder.
    pub config: Config,
    /// The facts of the files; their hashes come with the weights.
    pub info: ModelInfo,
    pub(crate) tokenizer: Option<Tokenizer>,
    pub(crate) sources: Vec<Rc<dyn Source>>,
    /// The tensors to load, in file order.
    pub(crate) tensors: Vec<Planned>,
    /// The token table, which is one of `tensors`.
    pub(crate) token_table: Planned,
}

impl Header {
    /// Reads the headers of one GGUF file or of all parts of a split one, in any order; or of config.json, safetensors files,
    /// their index (optional) and a tokenizer (optional): tokenizer.json, a model of SentencePiece, tekken.json, or vocab.json
    /// and merges.txt. Files that belong to something else may be among them.
    ///
    /// # Errors
    /// Every fault that the files can have before their weights are read: see [`Error`].
    pub async fn read(files: Vec<Rc<dyn Source>>) -> Result<Self> {
        Self::of(files::choose(files).await?).await.map_err(foreign::explained)
    }

    async fn of(files: Files) -> Result<Self> {
        let Files { config, tokenizer, index, weights, is_gguf } = files;
        match config {
            _ if is_gguf => Self::from_gguf(weights, tokenizer).await,
            config => Self::from_safetensors(config, tokenizer, index, weights).await,
        }
    }

    /// Packs dense matrices while they are loaded; quantized tensors stay as they are.
    pub fn quantize(mut self, quantize: Quantize) -> Self {
        let rounded = self.losses();
        for planned in self.tensors.iter_mut().filter(|planned| planned.role == Role::Matrix) {
            planned.layout = planned.layout.quantized(quantize);
        }
        self.info.warnings.retain(|warning| Some(warning) != rounded.as_ref());
        self.info.quantize = Some(quantize);
        self.info.device_bytes = self.on_device().map(Planned::device_bytes).sum();
        self
    }

    /// Computes the decoder's products in `arithmetic`; products with dense matrices stay in f32.
    pub fn computed_in(mut self, arithmetic: Arithmetic) -> Self {
        self.info.arithmetic = arithmetic;
        self
    }

    /// Adds the begin and end tokens of the tokenizer's file to each text, or none.
    #[must_use]
    pub fn special_tokens(mut self, special: SpecialTokens) -> Self {
        self.tokenizer = self.tokenizer.map(|tokenizer| tokenizer.special_tokens(special));
        self.name_special_tokens();
        self
    }

    /// Uses the relative biases of the first layer in all layers, as the program of the GRAN-TED paper does: it loads UMT5
    /// into T5's class, which has one table of biases.
    ///
    /// # Errors
    /// [`Error::NotComputed`] for a model without relative biases in each layer.
    pub fn share_bias(mut self) -> Result<Self> {
        const TABLE: &str = "relative_attention_bias.weight";
        match &mut self.config.positions {
            Positions::Relative { shared, .. } if !*shared => *shared = true,
            Positions::Relative { .. } if self.info.warnings.iter().any(|said| said == SHARED) => {
                return Ok(self);
            }
            _ => {
                let (file, key) = (self.sources[0].name().into(), "the shared bias".into());
                let (expected, found) =
                    ("a UMT5, whose layers have relative biases of their own".into(), "none".into());
                return Err(Error::NotComputed { file, key, expected, found });
            }
        }
        self.tensors.retain(|planned| !planned.name.ends_with(TABLE) || planned.layer() == Some(0));
        for planned in self.tensors.iter_mut().filter(|planned| planned.name.ends_with(TABLE)) {
            planned.name = TABLE.into();
        }
        self.info.warnings.push(SHARED.into());
        self.info.config_sha256 = sha256_hex(format!("{:?}", self.config).as_bytes());
        Ok(self)
    }

    /// The tokenizer, where the files hold one.
    pub fn tokenizer(&self) -> Option<&Tokenizer> {
        self.tokenizer.as_ref()
    }

    async fn from_gguf(sources: Vec<Rc<dyn Source>>, given: TokenizerFiles) -> Result<Self> {
        let mut files = Vec::new();
        for source in sources {
            let gguf = Gguf::read(&*source).await?;
            foreign::refuse_foreign(&gguf)?;
            files.push((source, gguf));
        }
        split::sort(&mut files)?;
        let (sources, mut files): (Vec<_>, Vec<_>) = files.into_iter().unzip();
        let names = files.iter().flat_map(|gguf| gguf.tensors.iter().map(|tensor| tensor.name.as_str()));
        let mut found = Found::new(gguf_scheme(names), Prefix::default());
        for (index, gguf) in files.iter_mut().enumerate() {
            found.add(index, std::mem::take(&mut gguf.tensors), std::mem::take(&mut gguf.skipped));
        }
        if let Some(factors) = config::LONG_ROPE_FACTORS.iter().find(|name| found.has(name)) {
            return Err(Error::malformed(sources[0].name(), "RoPE scaling", "none for long texts", *factors));
        }
        let divisors = found.small_vector(&sources, config::ROPE_DIVISORS).await?;
        let table = found.tensors.get("token_embd.weight");
        // Without a table, its tensor is missing: 1 lets the other sizes be checked before that.
        let vocab_size = table.and_then(|(_, table)| table.shape.first().copied()).unwrap_or(1);
        let own_relative_biases = found.has(&found.scheme.name(&relative_bias_of(1)));
        let gated =
            found.has(&found.scheme.name("layers.0.mlp.gate_proj.weight")) || found.scheme.layer == "blk.{}.";
        let tensors = GgufTensors { vocab_size, divisors, gated, own_relative_biases };
        let said = config::from_gguf(&files[0], tensors)?;
        let header = Self::new(said, sources, found)?;
        // The tokenizer is built last: it takes more memory than the rest of a header. A tokenizer.json beside the file
        // stands in for a tokenizer of a kind that is not read.
        let tokenizer = match Tokenizer::from_gguf(&files[0]) {
            Ok(own) => own,
            Err(error) => {
                let beside = tokenizers::beside(given).await?.ok_or(error)?;
                beside.check_against(&files[0])?;
                beside
            }
        };
        Ok(header.with_tokenizer(tokenizer))
    }

    async fn from_safetensors(
        config: Option<Rc<dyn Source>>,
        given: TokenizerFiles,
        index_file: Option<Rc<dyn Source>>,
        sources: Vec<Rc<dyn Source>>,
    ) -> Result<Self> {
        let index = match &index_file {
            Some(file) => Some(Index::parse(file.name(), &read_json(&**file).await?)?),
            None => None,
        };
        let mut files = Vec::new();
        for source in &sources {
            files.push(read_tensors(&**source).await?);
        }
        let (said, detected) = match config {
            Some(config) => {
                let said = config::from_json(config.name(), &read_json(&*config).await?)?;
                if let Some(named) = &said.weights {
                    check_weights(config.name(), named, &sources, index_file.as_ref())?;
                }
                (said, None)
            }
            None => {
                let tensors = files.iter().flat_map(|file| &file.tensors);
                let shapes = tensors.map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice())).collect();
                let detected = detect::Tensors { file: sources[0].name(), shapes }.detect()?;
                let mut said = config::from_json(sources[0].name(), detected.config.to_string().as_bytes())?;
                (said.told.not_read, said.told.defaults) = Default::default(); // no file says anything of it
                (said, Some(detected))
            }
        };
        let held = files.iter().flat_map(|file| {
            let skipped = file.skipped.iter().map(|(name, _)| name);
            file.tensors.iter().map(|tensor| &tensor.name).chain(skipped)
        });
        let listed = index.iter().flat_map(|index| index.weight_map.keys());
        let names: Vec<&str> = held.chain(listed).map(String::as_str).collect();
        let schemes = schemes(&said.config);
        let find = |scheme| {
            let names = names.iter().copied();
            Prefix::find(sources[0].name(), names, scheme, said.config.final_norm, said.tied)
        };
        let (mut scheme, mut prefix) = (&schemes[0], Prefix::default());
        for (place, other) in schemes.iter().enumerate().filter(|_| detected.is_none()) {
            let (found, is_whole) = find(other)?;
            if is_whole || place == 0 {
                (scheme, prefix) = (other, found);
            }
            if is_whole {
                break;
            }
        }
        if let Some(detected) = &detected {
            (scheme, prefix) = Prefix::at(&detected.prefix, &names, schemes).unwrap_or((scheme, prefix));
        }
        let own = tokenizers::stored(&sources, &files, &prefix).await;
        let mut found = Found::new(scheme, prefix);
        found.index = index;
        for (number, file) in files.into_iter().enumerate() {
            let prefix = found.prefix.prefix.clone();
            found.records.mark(&file, &prefix);
            found.records.read_header(&file, &prefix)?;
            found.add(number, file.tensors, file.skipped);
        }
        found.read_records(&sources).await?;
        let mut header = Self::new(said, sources, found)?;
        if let Some(Detected { recognized, decided, .. }) = detected {
            header.info.recognized = Some(recognized);
            header.info.decided = decided;
        }
        // As in GGUF, files beside the weights stand in for a tokenizer of their own that is not read.
        let tokenizer = match own {
            Ok(Some(own)) => Some(own),
            Ok(None) => tokenizers::beside(given).await?,
            Err(error) => Some(tokenizers::beside(given).await?.ok_or(error)?),
        };
        match tokenizer {
            Some(tokenizer) => Ok(header.with_tokenizer(tokenizer)),
            None => Ok(header),
        }
    }

    /// Matches the tensors that the network needs with those that were found. Tensors of a layer that are left over are
    /// refused; others are those of a vision tower or an output head.
    fn new(said: Said, sources: Vec<Rc<dyn Source>>, mut found: Found) -> Result<Self> {
        let file = sources[0].name().to_string();
        let Said { mut config, told, .. } = said;
        let mut cut = Vec::new();
        found.add_biases(&mut config);
        found.cut(&mut config).into_iter().for_each(|warning| cut.push(warning));
        let mut tensors = config
            .tensors()
            .into_iter()
            .map(|expected| found.take(&sources, expected, &config))
            .collect::<Result<Vec<_>>>()?;
        let layers = found.scheme.layers();
        let names = found.tensors.into_keys().chain(found.skipped.into_keys());
        let mut extra: Vec<_> = names.filter(|name| name.starts_with(layers)).collect();
        extra.sort();
        if let Some(tensor) = extra.into_iter().next() {
            return Err(Error::ExtraTensor { file, tensor, family: config.family.name() });
        }
        // `Config::tensors` puts the token table first.
        let token_table = tensors[0].clone();
        tensors.sort_by_key(|planned| (planned.source, planned.info.range.start));
        let mut tensor_types = BTreeMap::new();
        tensors.iter().for_each(|planned| *tensor_types.entry(planned.info.dtype).or_default() += 1);
        let info = ModelInfo {
            name: short_name(&file).into(),
            file_bytes: sources.iter().map(|source| source.size()).sum(),
            device_bytes: 0,
            parameters: tensors
                .iter()
                .map(|planned| planned.info.shape.iter().product::<usize>() as u64)
                .sum(),
            tensor_types,
            quantize: None,
            arithmetic: Arithmetic::F32,
            max_length: config.longest_text(),
            begin_tokens: Vec::new(),
            end_tokens: Vec::new(),
            warnings: cut,
            not_read: told.not_read,
            defaults: told.defaults,
            // Every field of it, so that a new one can't be forgotten.
            recognized: None,
            decided: Vec::new(),
            config_sha256: sha256_hex(format!("{config:?}").as_bytes()),
            tokenizer_sha256: None,
            sha256: Vec::new(),
        };
        let mut header = Self { config, info, tokenizer: None, sources, tensors, token_table };
        header.info.warnings.extend(header.losses());
        header.info.device_bytes = header.on_device().map(Planned::device_bytes).sum();
        Ok(header)
    }

    /// Takes the tokenizer. It may have more tokens than the table has rows: a text that holds one of them is refused.
    fn with_tokenizer(mut self, tokenizer: Tokenizer) -> Self {
        let rows = self.config.vocab_size;
        self.info.warnings.extend_from_slice(tokenizer.warnings());
        if tokenizer.vocab_size() > rows {
            let tokens = tokenizer.vocab_size();
            self.info.warnings.push(format!(
                "the tokenizer has {tokens} tokens, but the token table {rows} rows: a text with a token beyond it is \
                 refused"
            ));
        }
        self.tokenizer = Some(tokenizer);
        self.name_special_tokens();
        self
    }

    /// Refuses a model whose table lacks a token that is added to each text, as was chosen with
    /// [`Self::special_tokens`].
    ///
    /// # Errors
    /// [`Error::Malformed`] naming the token.
    pub fn check_special_tokens(&self) -> Result<()> {
        let rows = self.config.vocab_size;
        let template = self.tokenizer.iter().map(Tokenizer::template);
        let mut around = template.flat_map(|template| template.begin.iter().chain(&template.end));
        match around.find(|added| added.id as usize >= rows) {
            None => Ok(()),
            Some(added) => Err(Error::Malformed {
                file: self.sources[0].name().into(),
                item: format!("the token `{}`, which the tokenizer adds to each text,", added.token),
                expected: format!("an id below {rows}, the token table's height"),
                found: added.id.to_string(),
            }),
        }
    }

    /// Writes the tokens around each text into the model's facts.
    fn name_special_tokens(&mut self) {
        let template =
            self.tokenizer.as_ref().map(|tokenizer| tokenizer.template().clone()).unwrap_or_default();
        self.info.begin_tokens = template.begin.into_iter().map(|added| added.token).collect();
        self.info.end_tokens = template.end.into_iter().map(|added| added.token).collect();
        self.info.tokenizer_sha256 = self.tokenizer.as_ref().map(Tokenizer::digest);
    }

    /// What is lost of matrices that no layout holds as they are stored.
    fn losses(&self) -> Option<String> {
        let count = self.on_device().filter(|planned| planned.is_rounded()).count();
        (count > 0).then(|| {
            format!(
                "{count} matrices are repacked to 16 bits: an error of at most 1.5e-5 of the largest of 32 values"
            )
        })
    }

    /// The tensors that go to the device.
    pub(in crate::loader) fn on_device(&self) -> impl Iterator<Item = &Planned> {
        self.tensors.iter().filter(|planned| planned.role != Role::Embedding)
    }

    /// Whether the files hold a tokenizer.
    pub fn has_tokenizer(&self) -> bool {
        self.tokenizer.is_some()
    }

    /// Token ids of each text, as the loaded model has them: what is wrong with a text is told before a weight is read.
    ///
    /// # Errors
    /// Those of [`TextEncoder::tokenize`](crate::encoder::TextEncoder::tokenize).
    pub fn tokenize<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Encoded>> {
        tokenize(self.tokenizer.as_ref(), &self.info, self.config.vocab_size, texts)?.into_iter().collect()
    }

    /// Refuses a model with a tensor that needs more than `limit` bytes in one buffer.
    pub(in crate::loader) fn check_limit(&self, limit: u64) -> Result<()> {
        for planned in self.tensors.iter().filter(|planned| planned.role == Role::Matrix) {
            let needed = planned.buffers()[0];
            if needed > limit {
                return Err(Error::DeviceLimit { item: planned.info.name.clone(), needed, limit });
            }
        }
        Ok(())
    }

    /// The layouts that its matrices will have on the device, each once: products are tuned for them.
    pub fn layouts(&self) -> Vec<Layout> {
        let mut layouts = Vec::new();
        for planned in self.tensors.iter().filter(|planned| planned.role == Role::Matrix) {
            if !layouts.contains(&planned.layout) {
                layouts.push(planned.layout);
            }
        }
        layouts
    }

    /// Whether the token table is kept in memory while the model is loaded.
    pub(in crate::loader) fn keeps_token_table(&self) -> bool {
        let range = &self.token_table.info.range;
        range.end - range.start <= RESIDENT_TABLE
    }
}

/// Our name for the relative biases of a layer.
fn relative_bias_of(layer: usize) -> String {
    format!("layers.{layer}.self_attn.relative_attention_bias.weight")
}

/// Refuses weights that are not the ones that config.json names: transformers reads no others.
fn check_weights(
    config: &str,
    named: &str,
    given: &[Rc<dyn Source>],
    index: Option<&Rc<dyn Source>>,
) -> Result<()> {
    let is_named = |file: &Rc<dyn Source>| uncopied(short_name(file.name())) == short_name(named);
    if given.iter().chain(index).any(is_named) {
        return Ok(());
    }
    Err(Error::SeveralModels {
        first: config.into(),
        second: given[0].name().into(),
        expected: format!("the weights that `transformers_weights` names, `{named}`"),
        found: "others".into(),
    })
}
