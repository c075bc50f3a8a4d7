//! The native frontend. An error is one line on standard error and exit status 1.

mod cache;
mod commands;
mod files;

use clap::{Args, Parser, Subcommand};
use commands::{bench, compare, inspect, layers, run};
use files::model_files;
use gran_ted::device::{Device, DeviceKind};
use gran_ted::encoder::{Settings, TextEncoder};
use gran_ted::error::{Error, Result};
use gran_ted::format::DiskFile;
use gran_ted::loader::{AdapterFile, Header, OpenOptions, Opening, OpeningProgress};
use gran_ted::model::{Feature, Pooling, Precision};
use gran_ted::quant::Quantize;
use gran_ted::trial::self_test::{Tested, test_adapters};
use indicatif::{ProgressBar, ProgressStyle};
use pollster::block_on;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

/// The text encoder of a diffusion model, and the benchmark that measures it (GRAN-TED and TED-6K).
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
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
        /// The texts.
        #[arg(required = true)]
        texts: Vec<String>,
        /// Print the vectors as JSON.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        options: Options,
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
        /// A report of `evaluate`, of the page, or of the reference evaluator.
        first: PathBuf,
        /// Another one, of the same items or some of them.
        second: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Correlate TED scores with downstream scores (Pearson, Spearman).
    Correlate {
        /// Published results as www/leaderboard.json, or pairs: a CSV of name,ted,downstream, or a JSON list of these.
        file: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
struct CacheOptions {
    /// Folder of finished vectors, by which a stopped run goes on [default: gran-ted in the user's cache folder].
    #[arg(long, value_name = "FOLDER", conflicts_with = "no_cache")]
    cache: Option<PathBuf>,
    /// Neither read nor keep finished vectors.
    #[arg(long)]
    no_cache: bool,
}

#[derive(Args)]
struct Options {
    /// last, penultimate, layer(i), norm_avg, or weighted [default: weighted where there are layer weights, else norm_avg].
    #[arg(long)]
    feature: Option<String>,
    /// The weights of `weighted`: a JSON list, or an adapter's file [default: those of --adapter].
    #[arg(long, value_name = "FILE")]
    layer_weights: Option<PathBuf>,
    /// mean, last_token, or adapter [default: adapter where one is given, else mean].
    #[arg(long)]
    pooling: Option<String>,
    /// A trained adapter: .safetensors, or the reference's epoch_N.pt.
    #[arg(long, value_name = "FILE")]
    adapter: Option<PathBuf>,
    /// Round the adapter and the scores to bfloat16, as the reference evaluator does.
    #[arg(long)]
    reference_precision: bool,
    #[command(flatten)]
    load: LoadOptions,
}

#[derive(Args)]
struct LoadOptions {
    /// cpu, gpu, or auto: a GPU where there is a real one.
    #[arg(long, default_value = "auto")]
    device: String,
    /// Device memory for weights; a larger model's layers stay in the file and are brought for each batch.
    #[arg(long, value_name = "MB")]
    budget: Option<u64>,
    #[command(flatten)]
    quantize: QuantizeOption,
    /// f32, f16 or int8: f16 multiplies packed weights and activations in half precision, on GPUs with shader-f16; int8 multiplies
    /// the codes of packed weights with activations rounded to 8 bits: 1.2 times as fast on the CPU, slower on software adapters;
    /// scores change a little in both.
    #[arg(long, default_value = "f32")]
    arithmetic: String,
}

#[derive(Args)]
struct QuantizeOption {
    /// q8 or q4: pack F32, F16 and BF16 weights to that many bits while they are loaded.
    #[arg(long)]
    quantize: Option<String>,
}

impl QuantizeOption {
    fn parse(&self) -> Result<Option<Quantize>> {
        self.quantize.as_ref().map(|name| name.parse()).transpose()
    }

    /// The header of the model at `path`, its weights to be packed as asked for.
    fn header(&self, path: &Path) -> Result<Header> {
        let quantize = self.parse()?;
        let header = block_on(Header::read(model_files(path)?))?;
        Ok(match quantize {
            Some(quantize) => header.quantize(quantize),
            None => header,
        })
    }
}

impl Options {
    /// What can be wrong before the model is loaded.
    fn check(&self) -> Result<Choice<'_>> {
        let adapter = self.adapter.as_deref().map(open_adapter).transpose()?;
        let weights = match &self.layer_weights {
            Some(path) => Some(open_layer_weights(path)?),
            None => adapter.as_ref().and_then(|adapter| adapter.layer_weights.clone()),
        };
        let default = if weights.is_some() { "weighted" } else { "norm_avg" };
        let feature = Feature::parse(self.feature.as_deref().unwrap_or(default), weights.as_deref())?;
        let pooling = match (&self.pooling, &adapter) {
            (Some(name), _) => name,
            (None, Some(_)) => "adapter",
            (None, None) => "mean",
        };
        if pooling != "adapter" || adapter.is_none() {
            Pooling::parse(pooling, None)?;
        }
        let precision = if self.reference_precision { Precision::Reference } else { Precision::Full };
        Ok(Choice { feature, pooling, adapter, precision })
    }
}

/// The options, read and checked.
struct Choice<'a> {
    feature: Feature,
    pooling: &'a str,
    adapter: Option<AdapterFile>,
    precision: Precision,
}

impl Choice<'_> {
    /// Loads the adapter, where one is to be used, onto a device that was `tested`.
    fn settings(self, encoder: &TextEncoder, mut tested: Tested) -> Result<Settings> {
        let adapter = match &self.adapter {
            Some(file) if self.pooling == "adapter" => {
                block_on(test_adapters(encoder.device(), &mut tested))?;
                Some(Rc::new(block_on(file.load(encoder, self.precision))?))
            }
            _ => None,
        };
        let pooling = Pooling::parse(self.pooling, adapter)?;
        let settings = Settings { feature: self.feature, pooling, precision: self.precision };
        if settings.precision == Precision::Reference && !settings.rounds() {
            eprintln!("warning: nothing is rounded: the reference runs mean + MLP in f32");
        }
        Ok(settings)
    }
}

fn open_adapter(path: &Path) -> Result<AdapterFile> {
    block_on(AdapterFile::open(Rc::new(DiskFile::open(path)?)))
}

/// The layer weights in a file that is named for them.
fn open_layer_weights(path: &Path) -> Result<Vec<f32>> {
    let (file, tensor) = (path.display().to_string(), "layer_weights".into());
    open_adapter(path)?.layer_weights.ok_or(Error::MissingTensor { file, tensor })
}

fn open_device(name: &str) -> Result<Device> {
    if name == "auto" {
        return Ok(match block_on(Device::gpu()) {
            Ok(device) if !device.software => device,
            _ => Device::cpu(),
        });
    }
    block_on(Device::open(name.parse::<DeviceKind>()?))
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Inspect { model, json, quantize } => inspect::inspect(&model, json, &quantize),
        Command::Embed { model, texts, json, options } => run::embed(&model, &texts, json, &options),
        Command::Evaluate { model, ted, subset, out, cache, options } => {
            run::evaluate(&model, &ted, &subset, &out, &cache, &options)
        }
        Command::Layers { model, ted, subset, pooling, layer_weights, load, out } => {
            let study = layers::LayersOptions { subset, pooling, layer_weights, load, out };
            layers::layers(&model, &ted, &study)
        }
        Command::Bench { model, tokens, seconds, json, load } => {
            bench::bench(&model, &tokens, seconds, json, &load)
        }
        Command::Compare { first, second, json } => compare::compare(&first, &second, json),
        Command::Correlate { file, json } => compare::correlate(&file, json),
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// Opens a model with a progress bar; the device is tested before it is trusted.
fn load(path: &Path, options: &LoadOptions) -> Result<(TextEncoder, Tested)> {
    let open = OpenOptions {
        quantize: options.quantize.parse()?,
        arithmetic: options.arithmetic.parse()?,
        budget_bytes: options.budget.map(|megabytes| megabytes.saturating_mul(1_000_000)),
        ..OpenOptions::default()
    };
    let header = block_on(Header::read(model_files(path)?))?;
    let device = open_device(&options.device)?;
    let opening = Opening::new(header, &device, &open)?;
    let mut opening = opening.remember(Tested::default(), cache::tiles(&device).as_deref());
    let bar = bar(opening.plan().download_bytes, "{msg} {bar:32} {bytes}/{total_bytes}", "loading");
    while let Some(progress) = block_on(opening.step())? {
        if let OpeningProgress::Weights(progress) = progress {
            bar.set_position(progress.done);
        }
    }
    bar.finish_and_clear();
    let opened = opening.finish()?;
    if let Some(tiles) = opened.tiles.filter(|_| opened.measured) {
        cache::keep_tiles(&device, &tiles);
    }
    Ok((opened.encoder, opened.tested))
}

/// A bar on standard error; hidden where that is no terminal.
fn bar(total: u64, template: &str, message: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(message)
}

/// Writes to standard output; a reader that has gone away is not an error.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
