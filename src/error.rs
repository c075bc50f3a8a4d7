//! Every way in which a person's file, link, prompt or device can be wrong: one variant for one thing to act on.
//! The message says what was found and what was expected; the doc of a variant says what to do about it.

mod shown;

use std::fmt::{self, Display, Formatter, Write};

pub use shown::shown;

/// A result whose error is the crate's [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Defines [`enum@Error`] and the message of each variant, which `#[error(…)]` says as `format!` takes it.
macro_rules! errors {
    (
        $(#[$on_enum:meta])*
        pub enum Error {
            $($(#[doc = $doc:literal])* #[error($($words:tt)*)] $variant:ident $({ $($field:ident: $of:ty),* $(,)? })?,)*
        }
    ) => {
        $(#[$on_enum])*
        pub enum Error {
            $($(#[doc = $doc])* $variant $({ $($field: $of),* })?,)*
        }

        impl Error {
            #[allow(unused_variables)] // a field that the message leaves out
            fn write(&self, message: &mut impl Write) -> fmt::Result {
                match self {
                    $(Self::$variant $({ $($field),* })? => write!(message, $($words)*),)*
                }
            }
        }
    };
}

errors! {
/// What went wrong. The message names the file, the item, what was expected and what was found. Text of a file is cut
/// and its control characters are escaped, so that no message is longer than about 2 kB.
#[derive(Debug)]
#[non_exhaustive]
#[allow(missing_docs)] // of fields: the message says what each of them is
pub enum Error {
    // --- bytes ---
    /// The operating system or the browser could not give the bytes. Check the path, the link and the permissions.
    #[error("cannot read `{file}`: {reason}")]
    Read { file: String, reason: String },
    /// A failure of the page's own storage or download, with the code and the message that the page gave it.
    #[error("{message}")]
    Host { code: String, message: String },
    /// A result could not be written. Check the folder, its permissions and the free space.
    #[error("cannot write `{file}`: {reason}")]
    Write { file: String, reason: String },
    /// A result was to be written over a file that the same command reads. Choose another place for it.
    #[error("the result would be written over `{input}`, which this command {uses}: expected another place, found `{file}`")]
    OverInput { file: String, input: String, uses: &'static str },
    /// The file is shorter than its own header says. Download it again.
    #[error("`{file}` is truncated: {item} ends at byte {expected}, but the file has {found} bytes")]
    Truncated { file: String, item: String, expected: u64, found: u64 },

    // --- model files ---
    /// The files given do not make a model: most often another kind of file, or a page instead of a file. Check the
    /// link.
    #[error("`{file}` is not a model: expected {expected}, found {found}")]
    NotAModel { file: String, expected: &'static str, found: String },
    /// The file is of a GGUF version that this reader does not know. Convert the model with a current llama.cpp.
    #[error("`{file}`: GGUF version {found} is not supported, expected 2 or 3")]
    GgufVersion { file: String, found: u32 },
    /// A count, a length or a size is larger than in any real file: the file is damaged, or of another kind.
    #[error("`{file}`: {item} is {found}, expected at most {limit}")]
    Absurd { file: String, item: String, found: u64, limit: u64 },
    /// A header, or a JSON file beside it, breaks the rules of its format. Download or convert the file again.
    #[error("`{file}`: {item} is malformed: expected {expected}, found {found}")]
    Malformed { file: String, item: String, expected: String, found: String },
    /// A key says that the vectors are computed in a way that is not built here. Choose another model: without it they
    /// would be others than the reference's.
    #[error("`{file}`: `{key}` is {found}, which is not computed here, expected {expected}")]
    NotComputed { file: String, key: String, expected: String, found: String },
    /// A configuration key is missing. Convert the model again, or take a complete config.json.
    #[error("`{file}` has no `{key}`, which a `{family}` model needs")]
    MissingKey { file: String, key: String, family: String },
    /// The network does not cover this architecture. Choose a model of one of the families listed.
    #[error(
        "`{file}`: model family `{found}` is not supported, expected llama, mistral, smollm3, qwen2, qwen2vl, qwen3, \
         qwen3vl, gemma2, gemma3, t5, umt5, t5gemma, clip or xlm-roberta"
    )]
    UnknownFamily { file: String, found: String },
    /// The codec does not read this element type. Choose a file with one of the types listed.
    #[error(
        "`{file}`: tensor `{tensor}` has type {found}, expected one of F32, F16, BF16, F8_E4M3, F8_E5M2, Q4_0, Q4_1, \
         Q5_0, Q5_1, Q8_0, Q2_K to Q6_K, IQ1_S to IQ4_XS, MXFP4, NVFP4, TQ1_0, TQ2_0"
    )]
    UnknownTensorType { file: String, tensor: String, found: String },
    /// A weight is stored as codes, and the scales that make values of them are missing. Download or convert the file
    /// again.
    #[error(
        "`{file}`: layer `{layer}` is stored as codes of {found} without their scale: expected a tensor \
         `{layer}.{scale}`"
    )]
    MissingScale { file: String, layer: String, found: String, scale: &'static str },
    /// A weight is packed, and the record that says how is missing: a program that did not know it has saved the file.
    #[error(
        "`{file}`: tensor `{tensor}` holds packed codes ({found}) and nothing says what they are: expected \
         `comfy_quant` beside it, `_quantization_metadata` in the header, or `quant_state` of bitsandbytes"
    )]
    NoRecord { file: String, tensor: String, found: String },
    /// A weight is packed in a way that is not read. Choose a file in one of the formats listed.
    #[error(
        "`{file}`: layer `{layer}` is packed as {found}, which is not read, expected float8_e4m3fn, float8_e5m2, \
         mxfp8, nvfp4, int8_tensorwise, or nf4 or fp4 of bitsandbytes"
    )]
    UnknownPacking { file: String, layer: String, found: String },
    /// A tensor that the network needs is missing. Download or convert the file again.
    #[error("`{file}` has no tensor `{tensor}`")]
    MissingTensor { file: String, tensor: String },
    /// The safetensors index names a tensor that the given files do not hold. Give all files that it lists.
    #[error("`{file}` says that tensor `{tensor}` is in `{shard}`, which is not given or does not hold it")]
    MissingFromShard { file: String, tensor: String, shard: String },
    /// Two files hold the same tensor. Give each file of one model once.
    #[error("tensor `{tensor}` is in `{first}` and in `{second}`, expected it once")]
    DuplicateTensor { tensor: String, first: String, second: String },
    /// One of the parts of a split file is missing. Give all of them.
    #[error("`{file}` is one of {count} parts, of which {missing} is missing")]
    MissingPart { file: String, count: u64, missing: String },
    /// Files of several models were given as one. Give the files of one model.
    #[error("`{first}` and `{second}` do not belong together: expected {expected}, found {found}")]
    SeveralModels { first: String, second: String, expected: String, found: String },
    /// A LoRA adapter lies beside the model that it changes: the base alone would be another model than the folder's.
    /// Merge the adapter, or name the base's own file.
    #[error(
        "`{file}` is a LoRA adapter beside its base `{base}`, which is not merged here: merge it first (peft's \
         `merge_and_unload`), or name the base's file for the base alone"
    )]
    LoraBeside { file: String, base: String },
    /// A layer has a tensor that the family's network does not use: embeddings without it would be wrong, so the model
    /// is refused.
    #[error("`{file}` has the tensor `{tensor}`, which the network of family {family} does not use")]
    ExtraTensor { file: String, tensor: String, family: &'static str },
    /// A tensor has another shape than the configuration says: the two are of different models.
    #[error("`{file}`: tensor `{tensor}` has shape {found:?}, expected {expected:?}")]
    WrongShape { file: String, tensor: String, expected: Vec<usize>, found: Vec<usize> },
    /// The file holds neither of the paper's adapters nor layer weights. Choose another file.
    #[error(
        "`{file}` is not an adapter: expected the tensors of attention pooling (`pool_token`, `encoder.0…`), of mean + \
         MLP (`mlp.0.weight`…) or `layer_weights`, found {found}"
    )]
    NotAnAdapter { file: String, found: String },
    /// A weight or a scale is NaN or infinite, so the file is damaged. Download or convert it again.
    #[error("`{file}`: tensor `{tensor}` holds a value that is not finite")]
    NotFinite { file: String, tensor: String },
    /// A weight is nothing but zeros, which no training gives: the rest of the file has not arrived. Download it again.
    #[error(
        "`{file}`: tensor `{tensor}` holds nothing but zeros, expected weights: a download that was not finished?"
    )]
    OnlyZeros { file: String, tensor: String },

    // --- texts ---
    /// The tokenizer is of a kind that is not read. Give the model's tokenizer.json beside it.
    #[error("`{file}`: tokenizer `{found}` is not supported, expected {expected}")]
    UnknownTokenizer { file: String, expected: &'static str, found: String },
    /// A model without a tokenizer was asked to encode text; token ids work without one.
    #[error("`{file}` comes without a tokenizer: expected a tokenizer.json beside it")]
    NoTokenizer { file: String },
    /// A prompt without tokens: there is nothing to encode.
    #[error("prompt {index} is empty: expected at least one token")]
    EmptyPrompt { index: usize },
    /// A token id is outside the vocabulary: ids and model do not belong together.
    #[error("token id {found} of prompt {index} is outside the vocabulary of {vocab_size}")]
    TokenRange { index: usize, found: u32, vocab_size: usize },
    /// A list of token ids is longer than the texts that the model takes. Texts are cut to that length, lists are not.
    #[error("prompt {index} has {found} token ids, expected at most {max_length}")]
    TooLong { index: usize, found: usize, max_length: usize },
    /// A text's vector has the length zero, so it has no direction and no cosine. Choose another feature, or leave the
    /// text out.
    #[error("the vector of prompt {index} has length zero, expected a direction")]
    NoDirection { index: usize },

    /// A text holds a token that the model never learned, most often padding that a tokenizer was given later. Leave it
    /// out of the text.
    #[error("prompt {index} holds the token `{token}` with id {id}, but the token table has {rows} rows")]
    NoRow { index: usize, token: String, id: u32, rows: usize },

    // --- settings ---
    /// The value of an option is not one of its choices, which the message lists.
    #[error("{option} `{found}` is not known, expected {expected}")]
    UnknownOption { option: &'static str, expected: String, found: String },
    /// `layer(i)` has a number above the number of layers, or the list of layer weights has another length.
    #[error("{item} is {found}, but the model has {layers} layers")]
    LayerCount { item: &'static str, found: usize, layers: usize },
    /// The file ends before the model's last layer, and the feature needs it. Choose `layer(i)`, or give the whole model.
    #[error(
        "{feature} needs the whole model, expected {stated} layers and the final norm, found {held} layers: choose \
         layer(0) to layer({held})"
    )]
    CutModel { feature: String, held: usize, stated: usize },
    /// A layer weight is NaN or infinite, so the weights do not make a distribution.
    #[error("layer weight {index} is {found}, expected a finite number")]
    LayerWeight { index: usize, found: f32 },

    /// Something was asked for before its file was opened. Open the file first.
    #[error("no {what} is loaded yet")]
    NotLoaded { what: &'static str },

    // --- device ---
    /// There is no GPU to run on. Choose the CPU, or update the browser or the driver.
    #[error("no GPU is available: {reason}")]
    NoGpu { reason: String },
    /// Half precision was asked for on a device that does not compute in it.
    #[error(
        "arithmetic `f16` needs a GPU with `shader-f16`, but this device has none: {device}; choose f32 or int8"
    )]
    NoShaderF16 { device: String },
    /// One tensor is larger than the largest buffer of the device. Choose a smaller model or the CPU.
    #[error("`{item}` needs {} in one buffer, but this device allows {}", bytes(*needed), bytes(*limit))]
    DeviceLimit { item: String, needed: u64, limit: u64 },
    /// The whole model is larger than the memory budget. Stream its layers, or raise the budget.
    #[error(
        "the model needs {} of device memory, but the budget is {}; streamed layer by layer it needs {}",
        bytes(*needed), bytes(*limit), bytes(*streamed)
    )]
    OverBudget { needed: u64, limit: u64, streamed: u64 },
    /// A few layers at a time are still larger than the memory budget. Raise it, or choose a smaller model.
    #[error(
        "the model needs {} of device memory with {slots} layers at a time, but the budget is {}",
        bytes(*needed), bytes(*limit)
    )]
    BudgetTooSmall { needed: u64, limit: u64, slots: usize },
    /// A kernel gives other results on the device than on the CPU.
    #[error(
        "the device failed its self-test: `{kernel}` differs from the CPU by {found:e}, expected at most {limit:e}; \
         choose the CPU instead"
    )]
    SelfTest { kernel: &'static str, found: f32, limit: f32 },
    /// The device went away, as when a driver is reset or a browser ends its GPU process. Open the device again.
    #[error("the graphics device was lost ({reason})")]
    DeviceLost { reason: String },
    /// A result could not be brought back from the device. Try again with shorter texts, or choose the CPU.
    #[error("the device failed while computing: {reason}")]
    Device { reason: String },

    /// The person stopped the task.
    #[error("cancelled")]
    Cancelled,

    // --- benchmark ---
    /// The file is not a TED-6K data set. Choose the published file.
    #[error("`{file}` is not a TED-6K file: {item} should be {expected}, found {found}")]
    NotTed { file: String, item: String, expected: &'static str, found: String },
    /// An item that a link names is not in the data set: the link is of another version of it.
    #[error("`{file}` has no usable item `{item}`")]
    NoItem { file: String, item: String },
    /// No item is left to evaluate. Widen the subset.
    #[error("no item of `{file}` is left: {reason}")]
    NoItems { file: String, reason: String },
    /// The file is not the report of an evaluation. Choose one of ours or of the reference evaluator's.
    #[error("`{file}` is not a report: {item} should be {expected}, found {found}")]
    NotAReport { file: String, item: String, expected: &'static str, found: String },
    /// Two reports have no items in common. Compare reports of one subset.
    #[error("`{first}` and `{second}` can't be compared: {reason}")]
    NoSharedItems { first: String, second: String, reason: String },
    /// The file does not list scores on TED-6K together with scores on other tasks.
    #[error("`{file}` is not a list of scores: {item} should be {expected}, found {found}")]
    NotScores { file: String, item: String, expected: &'static str, found: String },
    /// The values have no correlation: too few of them, all equal, or not finite.
    #[error("no correlation of {item}: expected {expected}, found {found}")]
    Statistics { item: String, expected: &'static str, found: String },
}
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut message = shown::Message::default();
        self.write(&mut message)?;
        f.write_str(&message.finish())
    }
}

impl std::error::Error for Error {}

impl Error {
    /// Whether one text of many is at fault: the others can be encoded without it.
    pub(crate) fn is_of_a_text(&self) -> bool {
        matches!(
            self,
            Self::EmptyPrompt { .. } | Self::TokenRange { .. } | Self::TooLong { .. } | Self::NoRow { .. }
        )
    }

    /// [`Error::Malformed`]: `item` of `file` is `found`, where its format wants `expected`.
    pub(crate) fn malformed(
        file: impl Into<String>,
        item: impl Into<String>,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let (file, item) = (file.into(), item.into());
        Self::Malformed { file, item, expected: expected.into(), found: found.into() }
    }
}

/// Defines `Error::code` for the variants listed, which have to be all of them.
macro_rules! codes {
    ($($variant:ident)+) => {
        impl Error {
            /// The name of the variant, by which a page or a script tells errors apart; the page's own code for
            /// [`Error::Host`].
            pub fn code(&self) -> String {
                match self {
                    Self::Host { code, .. } => code.clone(),
                    $(Self::$variant { .. } => stringify!($variant).into(),)+
                }
            }
        }

        /// The variants listed.
        #[cfg(test)]
        const CODES: &[&str] = &[$(stringify!($variant),)+];
    };
}

codes! {
    Read Write OverInput Truncated NotAModel GgufVersion Absurd Malformed NotComputed MissingKey UnknownFamily
    UnknownTensorType MissingScale NoRecord UnknownPacking MissingTensor MissingFromShard DuplicateTensor MissingPart SeveralModels LoraBeside ExtraTensor
    WrongShape NotAnAdapter NotFinite OnlyZeros UnknownTokenizer NoTokenizer EmptyPrompt TokenRange TooLong NoDirection NoRow
    UnknownOption LayerCount CutModel
    LayerWeight NotLoaded NoGpu NoShaderF16 DeviceLimit OverBudget BudgetTooSmall SelfTest DeviceLost Device
    Cancelled NotTed NoItem NoItems NotAReport NoSharedItems NotScores Statistics
}

/// A number of bytes in kB or MB, as messages show it.
fn bytes(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{:.1} kB", count as f64 * 1e-3),
        _ => format!("{:.1} MB", count as f64 * 1e-6),
    }
}

#[cfg(test)]
mod tests {
    use super::{CODES, Error};

    /// Links, pages and scripts know errors by these names.
    #[test]
    fn codes_are_the_variants_names() {
        let source = include_str!("error.rs");
        let list = source.split_once("\nerrors! {").and_then(|(_, rest)| rest.split_once("pub enum Error {"));
        let body = list.and_then(|(_, rest)| rest.split_once("\n}\n"));
        let lines = body.map(|(body, _)| body.lines()).into_iter().flatten();
        let variants = lines.filter_map(|line| line.strip_prefix("    ")?.split([' ', ',']).next());
        let mut names: Vec<&str> = variants.filter(|name| name.starts_with(char::is_uppercase)).collect();
        names.retain(|name| *name != "Host");
        assert_eq!(names, CODES);
        assert_eq!(Error::Cancelled.to_string(), "cancelled");
        assert_eq!(Error::Cancelled.code(), "Cancelled");
        assert_eq!(Error::NoGpu { reason: "none".into() }.code(), "NoGpu");
        assert_eq!(Error::Host { code: "Quota".into(), message: "full".into() }.code(), "Quota");
    }

    #[test]
    fn messages_are_short_and_hold_no_control_characters() {
        let long = "n".repeat(100_000);
        let error =
            Error::malformed("\u{1b}]0;x\u{7}.gguf", format!("tensor `{long}`"), "one", "\u{202e}\u{9b}1A\n");
        let message = error.to_string();
        assert!(message.len() < 1000, "{message}");
        assert!(message.starts_with(r"`\u{1b}]0;x\u{7}.gguf`: tensor `nnn"), "{message}");
        assert!(message.ends_with(r"nnn` is malformed: expected one, found \u{202e}\u{9b}1A\n"), "{message}");
        let escapes = "\u{1b}".repeat(100_000);
        let error = Error::WrongShape {
            file: escapes.clone(),
            tensor: escapes,
            expected: vec![7; 9000],
            found: vec![],
        };
        assert!(error.to_string().len() <= 2048);
    }
}
