//! From arguments to an encoder and its settings.

use super::args::{LoadOptions, Options, QuantizeOption};
use super::cache;
use super::files::model_files;
use super::output::{bar, tell};
use super::quiet::quietly;
use gran_ted::device::{Device, DeviceKind};
use gran_ted::encoder::{Settings, TextEncoder};
use gran_ted::error::{Error, Result};
use gran_ted::format::{DiskFile, Source};
use gran_ted::loader::{AdapterFile, Header, OpenOptions, Opening, OpeningProgress};
use gran_ted::model::{Feature, Pooling, Precision};
use gran_ted::quant::Quantize;
use gran_ted::trial::self_test::{Tested, test_adapters};
use pollster::block_on;
use std::path::{Path, PathBuf};
use std::rc::Rc;

impl QuantizeOption {
    fn parse(&self) -> Result<Option<Quantize>> {
        self.quantize.as_ref().map(|name| name.parse()).transpose()
    }

    /// The header of the model at `path`, its weights to be packed as asked for.
    pub fn header(&self, path: &Path) -> Result<Header> {
        let quantize = self.parse()?;
        let header = block_on(Header::read(open_files(&model_files(path)?)?))?;
        Ok(match quantize {
            Some(quantize) => header.quantize(quantize),
            None => header,
        })
    }
}

impl Options {
    /// Checks everything that can be checked before the model is loaded.
    pub fn check(&self) -> Result<Choice<'_>> {
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
pub struct Choice<'a> {
    feature: Feature,
    pooling: &'a str,
    adapter: Option<AdapterFile>,
    precision: Precision,
}

impl Choice<'_> {
    /// Checks everything that the model's header tells about the choice.
    pub fn check(&self, header: &Header) -> Result<()> {
        if let Some(file) = self.adapter.as_ref().filter(|_| self.pooling == "adapter") {
            block_on(file.check_values(&header.config))?;
        }
        self.feature.check(&header.config)
    }

    /// Loads the adapter, where one is to be used, onto a device that was `tested`.
    pub fn settings(self, encoder: &TextEncoder, mut tested: Tested) -> Result<Settings> {
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
            tell("warning: nothing is rounded: the reference runs mean + MLP in f32");
        }
        Ok(settings)
    }
}

fn open_adapter(path: &Path) -> Result<AdapterFile> {
    block_on(AdapterFile::open(Rc::new(DiskFile::open(path)?)))
}

/// The layer weights in a file that is named for them.
pub fn open_layer_weights(path: &Path) -> Result<Vec<f32>> {
    let (file, tensor) = (path.display().to_string(), "layer_weights".into());
    open_adapter(path)?.layer_weights.ok_or(Error::MissingTensor { file, tensor })
}

fn open_device(name: &str) -> Result<Device> {
    if name == "auto" {
        return Ok(match quietly(|| block_on(Device::gpu())).0 {
            Ok(device) if !device.software => device,
            _ => Device::cpu(),
        });
    }
    let kind = name.parse::<DeviceKind>()?;
    let (device, said) = quietly(|| block_on(Device::open(kind)));
    if device.is_err() {
        said.lines().for_each(tell); // what the drivers have said may be the reason
    }
    device
}

/// A model whose headers are read: what they and the options tell is checked before a weight is read.
pub struct Model {
    pub header: Header,
    /// Its files.
    pub files: Vec<PathBuf>,
    open: OpenOptions,
}

impl Model {
    /// Reads the headers of the model at `path`.
    pub fn open(path: &Path, options: &LoadOptions) -> Result<Self> {
        if options.device != "auto" {
            options.device.parse::<DeviceKind>()?;
        }
        let open = OpenOptions {
            quantize: options.quantize.parse()?,
            arithmetic: options.arithmetic.parse()?,
            special_tokens: options.special_tokens.parse()?,
            shared_bias: options.shared_bias,
            budget_bytes: options.budget.map(|megabytes| megabytes.saturating_mul(1_000_000)),
            ..OpenOptions::default()
        };
        let files = model_files(path)?;
        let header = block_on(Header::read(open_files(&files)?))?;
        let header = if open.shared_bias { header.share_bias()? } else { header };
        // Texts are tokenized before the weights are read, so it takes the tokens around them now.
        let header = header.special_tokens(open.special_tokens);
        header.check_special_tokens()?;
        header.info.warnings.iter().for_each(|warning| tell(&format!("warning: {warning}")));
        Ok(Self { header, files, open })
    }
}

fn open_files(paths: &[PathBuf]) -> Result<Vec<Rc<dyn Source>>> {
    paths.iter().map(|path| Ok(Rc::new(DiskFile::open(path)?) as Rc<dyn Source>)).collect()
}

/// Loads a model with a progress bar; the device is tested before it is trusted.
pub fn load(model: Model, options: &LoadOptions) -> Result<(TextEncoder, Tested)> {
    let device = open_device(&options.device)?;
    let opening = Opening::new(model.header, &device, &model.open)?;
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
