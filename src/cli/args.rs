//! The arguments of each command.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// The text encoder of a diffusion model, and the benchmark that measures it (GRAN-TED and TED-6K).
#[derive(Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Show a model file's family, sizes, tensor types and the memory it needs.
    Inspect {
        /// A .gguf file, a .safetensors file with config.json beside it, a part or the index of either, or a folder.
        model: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        quantize: QuantizeOption,
    },
    /// Embed texts and show how similar they are to the encoder.
    Embed {
        /// A .gguf file, a .safetensors file with config.json beside it, a part or the index of either, or a folder.
        model: PathBuf,
        /// The texts; `-` reads them from standard input, one a line.
        #[arg(required = true)]
        texts: Vec<String>,
        /// Print the vectors as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Write the hidden states of texts to a safetensors file, to be held against those of another program.
    States {
        /// A .gguf file, a .safetensors file with config.json beside it, a part or the index of either, or a folder.
        model: PathBuf,
        /// The texts; `-` reads them from standard input, one a line.
        texts: Vec<String>,
        /// Token ids instead of a text, such as "5 17 300"; may be repeated. They come after the texts.
        #[arg(long, value_name = "IDS")]
        ids: Vec<String>,
        /// Where to write input_ids, hidden_states.0 to hidden_states.L (L after the final norm) and last_prenorm; of several
        /// texts under 0., 1. and so on.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        load: LoadOptions,
    },
    /// Score the encoder on TED-6K or a part of it.
    Evaluate {
        /// A .gguf file, a .safetensors file with config.json beside it, a part or the index of either, or a folder.
        model: PathBuf,
        /// A TED-6K file in the published schema.
        ted: PathBuf,
        /// The items, such as "caption=image;type=Adjective|OCR;n=10;captions=5;seed=7".
        #[arg(long, default_value = "all")]
        subset: String,
        /// Where to write the report: .json is all of it, .csv the accuracies, .jsonl the items. May be repeated.
        #[arg(long, value_name = "FILE")]
        out: Vec<PathBuf>,
        #[command(flatten)]
        cache: CacheOptions,
        #[command(flatten)]
        options: Options,
    },
    /// Score every single layer and the mixes of layers, from one pass over the texts.
    Layers {
        /// A .gguf file, a .safetensors file with config.json beside it, a part or the index of either, or a folder.
        model: PathBuf,
        /// A TED-6K file in the published schema.
        ted: PathBuf,
        /// The items, such as "n=10;seed=7" (10 of each type).
        #[arg(long, default_value = "all")]
        subset: String,
        /// mean or last_token.
        #[arg(long, default_value = "mean")]
        pooling: String,
        /// The weights of `weighted`: a JSON list, or an adapter's .safetensors or .pt file.
        #[arg(long, value_name = "FILE")]
        layer_weights: Option<PathBuf>,
        #[command(flatten)]
        load: LoadOptions,
        /// Where to write the study as JSON.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Measure the device, each part of a layer, and the model.
    Bench {
        /// A .gguf file, a .safetensors file with config.json beside it, a part or the index of either, or a folder.
        model: PathBuf,
        /// Lengths of the text, such as 64,2048 [default: 16,64,256,1024].
        #[arg(long, value_delimiter = ',')]
        tokens: Vec<usize>,
        /// Budget; what would not end within it is left out.
        #[arg(long, default_value_t = 120.0)]
        seconds: f64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        load: LoadOptions,
    },
    /// Compare two reports item by item (McNemar's exact test).
    Compare {
        /// A report (.json or .jsonl) of `evaluate`, of the page, or of the reference evaluator.
        first: PathBuf,
        /// Another one, of the same items or some of them.
        second: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Correlate TED scores with downstream scores (Pearson, Spearman).
    Correlate {
        /// Published results as www/data/leaderboard.json, or pairs: a CSV of name,ted,downstream, or a JSON list of these.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub struct CacheOptions {
    /// Folder of finished vectors, by which a stopped run goes on [default: gran-ted in the user's cache folder].
    #[arg(long, value_name = "FOLDER", conflicts_with = "no_cache")]
    pub cache: Option<PathBuf>,
    /// Neither read nor keep finished vectors.
    #[arg(long)]
    pub no_cache: bool,
}

#[derive(Args)]
pub struct Options {
    /// last, last_prenorm, penultimate, layer(i), norm_avg, or weighted [default: weighted where there are layer weights, else norm_avg].
    #[arg(long)]
    pub feature: Option<String>,
    /// The weights of `weighted`: a JSON list, or an adapter's file [default: those of --adapter].
    #[arg(long, value_name = "FILE")]
    pub layer_weights: Option<PathBuf>,
    /// mean, last_token, or adapter [default: adapter where one is given, else mean].
    #[arg(long)]
    pub pooling: Option<String>,
    /// A trained adapter: .safetensors, or the reference's epoch_N.pt.
    #[arg(long, value_name = "FILE")]
    pub adapter: Option<PathBuf>,
    /// Round the adapter and the scores to bfloat16, as the reference evaluator does.
    #[arg(long)]
    pub reference_precision: bool,
    #[command(flatten)]
    pub load: LoadOptions,
}

#[derive(Args)]
pub struct LoadOptions {
    /// cpu, gpu, or auto: a GPU where there is a real one.
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Device memory for weights; a larger model's layers stay in the file and are brought for each batch.
    #[arg(long, value_name = "MB")]
    pub budget: Option<u64>,
    #[command(flatten)]
    pub quantize: QuantizeOption,
    /// f32, f16 or int8: f16 multiplies packed weights and activations in half precision, on GPUs with shader-f16; int8 multiplies
    /// the codes of packed weights with activations rounded to 8 bits: 1.2 times as fast on the CPU, slower on software adapters;
    /// scores change a little in both.
    #[arg(long, default_value = "f32")]
    pub arithmetic: String,
    /// Use the relative biases of the first layer in all layers of a UMT5, as the paper's program does.
    #[arg(long)]
    pub shared_bias: bool,
    /// file or none: add the begin and end tokens that the tokenizer's file names to each text, or none.
    #[arg(long, default_value = "file")]
    pub special_tokens: String,
}

#[derive(Args)]
pub struct QuantizeOption {
    /// q8 or q4: pack F32, F16 and BF16 weights to that many bits while they are loaded.
    #[arg(long)]
    pub quantize: Option<String>,
}
