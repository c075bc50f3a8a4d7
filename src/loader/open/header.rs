//! What the files say of themselves: configuration, tokenizer, and where each needed tensor lies; all checked.

use super::{config, split};
use crate::encoder::ModelInfo;
use crate::error::{Error, Result};
use crate::format::safetensors::{Index, Safetensors};
use crate::format::{Source, TensorInfo, gguf::Gguf, short_name};
use crate::kernel::Arithmetic;
use crate::loader::read::sequential::PIECE;
use crate::model::{
    Config, Family,
    config::{Expected, Role},
};
use crate::quant::{Layout, Quantize};
use crate::text::tokenizer::Tokenizer;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Tokens that a text is cut to (the reference's limit), unless the model's own is smaller.
const MAX_LENGTH: usize = 2048;
/// Largest token table that is kept in memory; rows of a larger one are read from the file.
const RESIDENT_TABLE: u64 = if cfg!(target_family = "wasm") { 160 << 20 } else { 64 << 20 };
/// Largest config.json or tokenizer.json.
const MAX_JSON: u64 = 64 << 20;

/// A tensor to load.
#[derive(Clone, Debug)]
pub struct Planned {
    pub source: usize,
    pub info: TensorInfo,
    /// Hugging Face's name without prefix.
    pub name: String,
    pub role: Role,
    /// Of a matrix on the device.
    pub layout: Layout,
    /// The heads whose rows have to be put in order (`llama` GGUF files).
    pub heads: Option<usize>,
    /// Names of all matrices that it is joined with, itself among them.
    pub joined: Vec<String>,
}

impl Planned {
    /// Bytes of its buffers on the device: words and scales.
    pub fn buffers(&self) -> [u64; 2] {
        match self.info.shape[..] {
            [out_features, in_features] => self.layout.bytes(out_features, in_features),
            _ => [self.info.shape.iter().product::<usize>() as u64 * 4, 0],
        }
    }

    /// Stored bytes of one row.
    pub fn row_bytes(&self) -> u64 {
        (self.info.range.end - self.info.range.start) / self.info.shape[0] as u64
    }

    /// The rows of a head, where they have to be put in order.
    pub fn head_rows(&self) -> Option<u64> {
        self.heads.map(|heads| (self.info.shape[0] / heads) as u64)
    }

    /// The stored bytes to read at once: whole rows, or whole heads.
    pub fn piece(&self) -> u64 {
        let least = match self.role {
            Role::Vector => self.info.range.end - self.info.range.start,
            _ => self.row_bytes() * self.head_rows().unwrap_or(1),
        };
        (PIECE / least).max(1) * least
    }

    /// Bytes on the device.
    pub fn device_bytes(&self) -> u64 {
        self.buffers().iter().sum()
    }
}

/// Everything but the weights.
pub struct Header {
    pub config: Config,
    pub info: ModelInfo,
    pub(crate) tokenizer: Option<Tokenizer>,
    pub(crate) sources: Vec<Rc<dyn Source>>,
    /// In file order.
    pub(crate) tensors: Vec<Planned>,
    /// One of `tensors`.
    pub(crate) token_table: Planned,
}

impl Header {
    /// Reads the headers of one GGUF file or of all parts of a split one, in any order; or of config.json, tokenizer.json
    /// (optional), safetensors files and their index (optional).
    ///
    /// # Errors
    /// Everything that can be wrong with them: see [`Error`].
    pub async fn read(files: Vec<Rc<dyn Source>>) -> Result<Self> {
        let [mut config, mut tokenizer, mut index] = [None, None, None];
        let mut weights = Vec::new();
        for file in files {
            match short_name(file.name()) {
                "config.json" => config = Some(file),
                "tokenizer.json" => tokenizer = Some(file),
                name if name.ends_with(Index::ENDING) => index = Some(file),
                _ => weights.push(file),
            }
        }
        let Some(first) = weights.first() else {
            return Err(Error::NotAModel {
                file: config.or(tokenizer).or(index).map_or("no file".into(), |file| file.name().into()),
                expected: "a .gguf file, or .safetensors files with config.json",
                found: "no weights".into(),
            });
        };
        let start = first.read(0..first.size().min(4)).await?;
        match config {
            None => Self::from_gguf(weights).await,
            Some(_) if Gguf::is_gguf(&start) => Self::from_gguf(weights).await,
            Some(config) => Self::from_safetensors(config, tokenizer, index, weights).await,
        }
    }

    /// Packs what is dense while it is loaded; tensors that are quantized stay as they are.
    pub fn quantize(mut self, quantize: Quantize) -> Self {
        for planned in self.tensors.iter_mut().filter(|planned| planned.role == Role::Matrix) {
            planned.layout = Layout::packed(planned.info.dtype, Some(quantize));
        }
        self.info.quantize = Some(quantize);
        self.info.device_bytes = self.on_device().map(Planned::device_bytes).sum();
        self
    }

    /// Computes the decoder's products in `arithmetic`; those with dense matrices stay in f32.
    pub fn computed_in(mut self, arithmetic: Arithmetic) -> Self {
        self.info.arithmetic = arithmetic;
        self
    }

    async fn from_gguf(sources: Vec<Rc<dyn Source>>) -> Result<Self> {
        if let Some(file) = sources.iter().find(|source| source.name().ends_with(".safetensors")) {
            return Err(Error::NotAModel {
                file: file.name().into(),
                expected: "config.json beside the .safetensors file",
                found: "no config.json".into(),
            });
        }
        let mut files = Vec::new();
        for source in sources {
            let gguf = Gguf::read(&*source).await?;
            files.push((source, gguf));
        }
        split::sort(&mut files)?;
        let (sources, mut files): (Vec<_>, Vec<_>) = files.into_iter().unzip();
        let mut found = Found::new(gguf_name);
        for (index, gguf) in files.iter_mut().enumerate() {
            found.add(index, std::mem::take(&mut gguf.tensors), |name| name);
            found.skipped.extend(gguf.skipped.drain(..));
        }
        if let Some(factors) = config::ROPE_FACTORS.iter().find(|name| found.has(name)) {
            config::refuse_scaling(sources[0].name(), factors)?;
        }
        let table = found.tensors.get("token_embd.weight");
        let vocab_size = table.and_then(|(_, table)| table.shape.first().copied()).unwrap_or(0);
        let config = config::from_gguf(&files[0], vocab_size)?;
        let tokenizer = Tokenizer::from_gguf(&files[0])?;
        let is_text = |name: &str| name.starts_with("blk.");
        Self::new(config, Some(tokenizer), sources, found, is_text)
    }

    async fn from_safetensors(
        config: Rc<dyn Source>,
        tokenizer: Option<Rc<dyn Source>>,
        index: Option<Rc<dyn Source>>,
        sources: Vec<Rc<dyn Source>>,
    ) -> Result<Self> {
        let json = read_json(&*config).await?;
        let config = config::from_json(config.name(), &json)?;
        let tokenizer = match tokenizer {
            Some(file) => Some(Tokenizer::from_json(file.name(), &read_json(&*file).await?)?),
            None => None,
        };
        let mut found = Found::new(|name| name.into());
        if let Some(file) = index {
            found.index = Some(Index::parse(file.name(), &read_json(&*file).await?)?);
        }
        for (number, source) in sources.iter().enumerate() {
            let file = Safetensors::read(&**source).await?;
            found.add(number, file.tensors, strip);
            found.skipped.extend(file.skipped.into_iter().map(|(name, dtype)| (strip(&name).into(), dtype)));
        }
        Self::new(config, tokenizer, sources, found, |name| name.starts_with("layers."))
    }

    /// Matches what is needed with what was found; `is_text` tells the decoder's own tensors from vision and heads.
    fn new(
        config: Config,
        tokenizer: Option<Tokenizer>,
        sources: Vec<Rc<dyn Source>>,
        mut found: Found,
        is_text: impl Fn(&str) -> bool,
    ) -> Result<Self> {
        let file = sources[0].name().to_string();
        let mut tensors = config
            .tensors()
            .into_iter()
            .map(|expected| found.take(&sources, expected, &config))
            .collect::<Result<Vec<_>>>()?;
        let names = found.tensors.into_keys().chain(found.skipped.into_keys());
        let mut extra: Vec<_> = names.filter(|name| is_text(name)).collect();
        extra.sort();
        if let Some(tensor) = extra.into_iter().next() {
            return Err(Error::ExtraTensor { file, tensor, family: config.family.name() });
        }
        if let Some(tokenizer) = &tokenizer
            && tokenizer.vocab_size() > config.vocab_size
        {
            return Err(Error::Malformed {
                file,
                item: "the tokenizer".into(),
                expected: format!("at most {} tokens, the token table's height", config.vocab_size),
                found: format!("{}", tokenizer.vocab_size()),
            });
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
            max_length: MAX_LENGTH.min(config.max_position_embeddings),
            sha256: Vec::new(),
        };
        let mut header = Self { config, info, tokenizer, sources, tensors, token_table };
        header.info.device_bytes = header.on_device().map(Planned::device_bytes).sum();
        Ok(header)
    }

    /// The tensors that go to the device.
    pub(in crate::loader) fn on_device(&self) -> impl Iterator<Item = &Planned> {
        self.tensors.iter().filter(|planned| planned.role != Role::Embedding)
    }

    /// Whether the files hold a tokenizer.
    pub fn has_tokenizer(&self) -> bool {
        self.tokenizer.is_some()
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

    /// How its matrices will lie on the device: what the products are tuned for.
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

/// The tensors of the files, by their name without prefix.
struct Found {
    /// The file's own name for one of Hugging Face's.
    name: fn(&str) -> String,
    /// With the number of the source each is in.
    tensors: HashMap<String, (usize, TensorInfo)>,
    /// The other source of a tensor that is in two.
    twice: HashMap<String, usize>,
    /// Tensors of types that we don't read.
    skipped: HashMap<String, String>,
    /// Which shard each tensor should be in.
    index: Option<Index>,
}

impl Found {
    fn new(name: fn(&str) -> String) -> Self {
        Self { name, tensors: HashMap::new(), twice: HashMap::new(), skipped: HashMap::new(), index: None }
    }

    /// Adds the tensors of one source; `strip` takes the prefix off a name.
    fn add(&mut self, source: usize, tensors: Vec<TensorInfo>, strip: fn(&str) -> &str) {
        for info in tensors {
            let name = strip(&info.name).to_string();
            if let Some((first, _)) = self.tensors.insert(name.clone(), (source, info)) {
                self.twice.insert(name, first);
            }
        }
    }

    fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name) || self.skipped.contains_key(name)
    }

    fn take(&mut self, sources: &[Rc<dyn Source>], expected: Expected, config: &Config) -> Result<Planned> {
        let name = (self.name)(&expected.name);
        let Some((source, info)) = self.tensors.remove(&name) else {
            return Err(self.missing(sources[0].name(), name));
        };
        if let Some(first) = self.twice.get(&name) {
            let [first, second] = [*first, source].map(|source| sources[source].name().into());
            return Err(Error::DuplicateTensor { tensor: info.name, first, second });
        }
        if info.shape != expected.shape {
            return Err(Error::WrongShape {
                file: sources[source].name().into(),
                tensor: info.name,
                expected: expected.shape,
                found: info.shape,
            });
        }
        let is_gguf_llama = config.family == Family::Llama && name != expected.name;
        let heads = match expected.name.rsplit('.').nth(1) {
            Some("q_proj") if is_gguf_llama => Some(config.num_attention_heads),
            Some("k_proj") if is_gguf_llama => Some(config.num_key_value_heads),
            _ => None,
        };
        let layout = Layout::of(info.dtype);
        let joined = Vec::new();
        Ok(Planned { source, info, name: expected.name, role: expected.role, layout, heads, joined })
    }

    fn missing(&mut self, file: &str, tensor: String) -> Error {
        if let Some(found) = self.skipped.remove(&tensor) {
            return Error::UnknownTensorType { file: file.into(), tensor, found };
        }
        let in_index = self.index.as_ref().and_then(|index| {
            let (name, shard) = index.weight_map.iter().find(|(name, _)| strip(name) == tensor)?;
            let (file, tensor, shard) = (index.file.clone(), name.clone(), shard.clone());
            Some(Error::MissingFromShard { file, tensor, shard })
        });
        in_index.unwrap_or(Error::MissingTensor { file: file.into(), tensor })
    }
}

/// The part of a safetensors name that all exports share.
fn strip(name: &str) -> &str {
    ["model.language_model.", "language_model.model.", "model."]
        .into_iter()
        .find_map(|prefix| name.strip_prefix(prefix))
        .unwrap_or(name)
}

/// GGUF's name for one of Hugging Face's.
fn gguf_name(name: &str) -> String {
    const PARTS: [(&str, &str); 15] = [
        ("embed_tokens", "token_embd"),
        ("layers", "blk"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn", ""),
        ("q_proj", "attn_q"),
        ("k_proj", "attn_k"),
        ("v_proj", "attn_v"),
        ("o_proj", "attn_output"),
        ("q_norm", "attn_q_norm"),
        ("k_norm", "attn_k_norm"),
        ("mlp", ""),
        ("gate_proj", "ffn_gate"),
        ("up_proj", "ffn_up"),
        ("down_proj", "ffn_down"),
    ];
    if name == "norm.weight" {
        return "output_norm.weight".into();
    }
    let part = |part: &str| {
        PARTS.iter().find(|(ours, _)| *ours == part).map_or(part.to_string(), |(_, gguf)| (*gguf).into())
    };
    name.split('.').map(part).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(".")
}

async fn read_json(source: &dyn Source) -> Result<Vec<u8>> {
    if source.size() > MAX_JSON {
        return Err(Error::Absurd {
            file: source.name().into(),
            item: "the length".into(),
            found: source.size(),
            limit: MAX_JSON,
        });
    }
    source.read(0..source.size()).await
}
