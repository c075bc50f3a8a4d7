//! Every way a person's file, link, prompt or device can be wrong: one variant for one thing to act on.

use thiserror::Error;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, naming the file, the item, what was expected and what was found.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    // --- bytes ---
    /// The operating system or the browser could not give the bytes.
    #[error("cannot read `{file}`: {reason}")]
    Read { file: String, reason: String },
    /// What the page that runs the encoder says of its own storage or download.
    #[error("{message}")]
    Host { code: String, message: String },
    /// A result could not be written.
    #[error("cannot write `{file}`: {reason}")]
    Write { file: String, reason: String },
    /// The file is shorter than its own header says.
    #[error("`{file}` is truncated: {item} ends at byte {expected}, but the file has {found} bytes")]
    Truncated { file: String, item: String, expected: u64, found: u64 },

    // --- model files ---
    /// The files given do not make a model.
    #[error("`{file}` is not a model: expected {expected}, found {found}")]
    NotAModel { file: String, expected: &'static str, found: String },
    /// A GGUF version this reader does not know.
    #[error("`{file}`: GGUF version {found} is not supported, expected 2 or 3")]
    GgufVersion { file: String, found: u32 },
    /// A count or a length in a header is beyond any real file's.
    #[error("`{file}`: {item} is {found}, expected at most {limit}")]
    Absurd { file: String, item: String, found: u64, limit: u64 },
    /// A header, or a JSON file beside it, does not follow its format.
    #[error("`{file}`: {item} is malformed: expected {expected}, found {found}")]
    Malformed { file: String, item: String, expected: String, found: String },
    /// A configuration key is absent.
    #[error("`{file}` has no `{key}`, which a `{family}` model needs")]
    MissingKey { file: String, key: String, family: String },
    /// The architecture is none of ours.
    #[error("`{file}`: model family `{found}` is not supported, expected llama, qwen2, qwen3 or qwen3vl")]
    UnknownFamily { file: String, found: String },
    /// The tensor's element type is none of ours.
    #[error(
        "`{file}`: tensor `{tensor}` has type {found}, expected one of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, \
         Q8_0, Q4_K, Q5_K, Q6_K"
    )]
    UnknownTensorType { file: String, tensor: String, found: String },
    /// A tensor the network needs is absent.
    #[error("`{file}` has no tensor `{tensor}`")]
    MissingTensor { file: String, tensor: String },
    /// The safetensors index promises a tensor that the given files don't hold.
    #[error("`{file}` says that tensor `{tensor}` is in `{shard}`, which is not given or does not hold it")]
    MissingFromShard { file: String, tensor: String, shard: String },
    /// Two files hold the same tensor.
    #[error("tensor `{tensor}` is in `{first}` and in `{second}`, expected it once")]
    DuplicateTensor { tensor: String, first: String, second: String },
    /// One of a split file's parts is absent.
    #[error("`{file}` is one of {count} parts, of which {missing} is missing")]
    MissingPart { file: String, count: u64, missing: String },
    /// Files that do not belong together.
    #[error("`{first}` and `{second}` do not belong together: expected {expected}, found {found}")]
    SeveralModels { first: String, second: String, expected: String, found: String },
    /// A layer has a tensor that the family's network does not use: it would be left out without a word.
    #[error("`{file}` has the tensor `{tensor}`, which the network of family {family} does not use")]
    ExtraTensor { file: String, tensor: String, family: &'static str },
    /// A tensor has another shape than the configuration says.
    #[error("`{file}`: tensor `{tensor}` has shape {found:?}, expected {expected:?}")]
    WrongShape { file: String, tensor: String, expected: Vec<usize>, found: Vec<usize> },
    /// The file holds neither of the paper's adapters.
    #[error(
        "`{file}` is not an adapter: expected the tensors of attention pooling (`pool_token`, `encoder.0…`), of mean + \
         MLP (`mlp.0.weight`…) or `layer_weights`, found {found}"
    )]
    NotAnAdapter { file: String, found: String },
    /// A weight or a scale is NaN or infinite.
    #[error("`{file}`: tensor `{tensor}` holds a value that is not finite")]
    NotFinite { file: String, tensor: String },

    // --- texts ---
    /// The tokenizer's kind is none of ours.
    #[error("`{file}`: tokenizer `{found}` is not supported, expected {expected}")]
    UnknownTokenizer { file: String, expected: &'static str, found: String },
    /// A model without a tokenizer was asked to encode text.
    #[error("`{file}` comes without a tokenizer: expected a tokenizer.json beside it")]
    NoTokenizer { file: String },
    /// There is nothing to encode.
    #[error("prompt {index} is empty: expected at least one token")]
    EmptyPrompt { index: usize },
    /// A token id beyond the vocabulary.
    #[error("token id {found} of prompt {index} is outside the vocabulary of {vocab_size}")]
    TokenRange { index: usize, found: u32, vocab_size: usize },

    // --- settings ---
    /// A named option is not one of the choices.
    #[error("{option} `{found}` is not known, expected {expected}")]
    UnknownOption { option: &'static str, expected: String, found: String },
    /// `layer(i)` beyond the model, or a weight list of another length.
    #[error("{item} is {found}, but the model has {layers} layers")]
    LayerCount { item: &'static str, found: usize, layers: usize },
    /// Layer weights that do not make a distribution.
    #[error("layer weight {index} is {found}, expected a finite number")]
    LayerWeight { index: usize, found: f32 },

    /// Something was asked for before its file was opened.
    #[error("no {what} is loaded yet")]
    NotLoaded { what: &'static str },

    // --- device ---
    /// There is no GPU to run on.
    #[error("no GPU is available: {reason}")]
    NoGpu { reason: String },
    /// Products are to be in half precision on a device that doesn't compute in it.
    #[error(
        "arithmetic `f16` needs a GPU with `shader-f16`, but this device has none: {device}; choose f32 or int8"
    )]
    NoShaderF16 { device: String },
    /// The model does not fit the adapter's limits.
    #[error("`{item}` needs {} in one buffer, but this device allows {}", bytes(*needed), bytes(*limit))]
    DeviceLimit { item: String, needed: u64, limit: u64 },
    /// The whole model is more than it may take; its layers can be streamed.
    #[error(
        "the model needs {} of device memory, but the budget is {}; streamed layer by layer it needs {}",
        bytes(*needed), bytes(*limit), bytes(*streamed)
    )]
    OverBudget { needed: u64, limit: u64, streamed: u64 },
    /// Even a few layers at a time are more than the model may take.
    #[error(
        "the model needs {} of device memory with {slots} layers at a time, but the budget is {}",
        bytes(*needed), bytes(*limit)
    )]
    BudgetTooSmall { needed: u64, limit: u64, slots: usize },
    /// The device computes something else than the CPU does.
    #[error(
        "the device failed its self-test: `{kernel}` differs from the CPU by {found:e}, expected at most {limit:e}; \
         choose the CPU instead"
    )]
    SelfTest { kernel: &'static str, found: f32, limit: f32 },
    /// The device went away: a driver's reset, a browser that ended its GPU process.
    #[error("the graphics device was lost ({reason})")]
    DeviceLost { reason: String },
    /// A result could not be brought back from the device.
    #[error("the device failed while computing: {reason}")]
    Device { reason: String },

    /// The person stopped it.
    #[error("cancelled")]
    Cancelled,

    // --- benchmark ---
    /// The file is not a TED-6K data set.
    #[error("`{file}` is not a TED-6K file: {item} should be {expected}, found {found}")]
    NotTed { file: String, item: String, expected: &'static str, found: String },
    /// An item that a link names is not there.
    #[error("`{file}` has no usable item `{item}`")]
    NoItem { file: String, item: String },
    /// Nothing is left to evaluate.
    #[error("no item of `{file}` is left: {reason}")]
    NoItems { file: String, reason: String },
    /// The file is not the report of an evaluation.
    #[error("`{file}` is not a report: {item} should be {expected}, found {found}")]
    NotAReport { file: String, item: String, expected: &'static str, found: String },
    /// Two reports have nothing to compare.
    #[error("`{first}` and `{second}` can't be compared: {reason}")]
    NoSharedItems { first: String, second: String, reason: String },
    /// The file has no scores on TED-6K beside others.
    #[error("`{file}` is not a list of scores: {item} should be {expected}, found {found}")]
    NotScores { file: String, item: String, expected: &'static str, found: String },
    /// Values that have no correlation.
    #[error("no correlation of {item}: expected {expected}, found {found}")]
    Statistics { item: String, expected: &'static str, found: String },
}

impl Error {
    /// The variant's name, by which a page or a script tells errors apart.
    pub fn code(&self) -> String {
        if let Self::Host { code, .. } = self {
            return code.clone();
        }
        format!("{self:?}").split([' ', '{', '(']).next().unwrap_or_default().to_string()
    }
}

/// Bytes, for people.
fn bytes(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{:.1} kB", count as f64 * 1e-3),
        _ => format!("{:.1} MB", count as f64 * 1e-6),
    }
}
