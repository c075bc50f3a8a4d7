//! One way to open a model, for every frontend: header, plan, self-test, tuning, weights, step by step.

use super::plan::{Plan, place};
use super::{Header, Limits, Loading, Progress};
use crate::device::{Device, DeviceKind};
use crate::encoder::{Placement, TextEncoder};
use crate::error::{Error, Result};
use crate::format::Source;
use crate::kernel::Arithmetic;
use crate::model::{Config, NormKind, Positions};
use crate::provenance::Build;
use crate::quant::{Layout, Quantize};
use crate::text::tokenizer::SpecialTokens;
use crate::trial::self_test::{ModelKernels, SelfTest, SelfTestProgress, Tested, check_model};
use crate::trial::{Tuning, TuningProgress};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::rc::Rc;

/// The choices that a person makes when a model is opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions {
    /// How dense weights are packed while they are loaded; `None` leaves them as they are.
    pub quantize: Option<Quantize>,
    /// The arithmetic of products with packed weights.
    pub arithmetic: Arithmetic,
    /// Whether the begin and end tokens of the tokenizer's file are added to each text.
    pub special_tokens: SpecialTokens,
    /// Uses the relative biases of the first layer in all layers of a UMT5.
    pub shared_bias: bool,
    /// Device memory that the model may take, in bytes.
    pub budget_bytes: Option<u64>,
    /// Leaves the layers in their file, even where the whole model is within the limits.
    pub streamed: bool,
    /// Keeps the batches of a streamed model as small as those of a whole one: for a device that was too small before.
    pub small_batches: bool,
}

/// A model on its way from its files to an encoder.
///
/// [`read`](Self::read) costs a few hundred kilobytes; the [`plan`](Self::plan) then says what the model will take, and
/// [`step`](Self::step) tests the device, measures it and loads the weights, as far as the caller lets it.
pub struct Opening {
    device: Device,
    layouts: Vec<Layout>,
    kernels: ModelKernels,
    limits: Limits,
    options: OpenOptions,
    plan: Plan,
    tested: Tested,
    /// The tiles that were remembered, as [`Opened::tiles`].
    remembered: Option<String>,
    measured: bool,
    tiles: Option<String>,
    stage: Stage,
}

/// The work that comes next.
enum Stage {
    Start(Box<Header>),
    SelfTest(Box<Header>, SelfTest),
    Tuning(Box<Header>, Box<Tuning>),
    Weights(Box<Loading>),
    /// A step has failed, or is under way.
    Ended,
}

/// How far an opening is, by stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "stage", rename_all = "snake_case")]
pub enum OpeningProgress {
    /// The device's kernels are compared with the CPU's.
    SelfTest(SelfTestProgress),
    /// The products' tiles are measured, where the device has a choice.
    Tuning(TuningProgress),
    /// The weights are read, packed and uploaded.
    Weights(Progress),
}

/// An opened model, and what its opening has found out about the device.
pub struct Opened {
    /// The model.
    pub encoder: TextEncoder,
    /// The kernels that the device has shown to compute as the CPU does.
    pub tested: Tested,
    /// The tiles of the products, for the next [`Opening::remember`] on this adapter; `None` where there is no choice.
    pub tiles: Option<String>,
    /// Whether any of them was measured, and not remembered.
    pub measured: bool,
}

/// Chosen tiles, with the build that chose them: another one has other kernels.
#[derive(Serialize, Deserialize)]
struct KeptTiles {
    build: String,
    /// What [`Tuning::finish`] has given.
    tiles: Value,
}

impl Opening {
    /// Reads the headers of a model's `files` and plans how it will lie on `device`.
    ///
    /// A plan that the device or the budget refuses is no error here: [`Self::plan`] says why, and [`Self::step`] fails.
    ///
    /// # Errors
    /// The errors of [`Header::read`], and [`Error::NoShaderF16`].
    pub async fn read(files: Vec<Rc<dyn Source>>, device: &Device, options: &OpenOptions) -> Result<Self> {
        Self::new(Header::read(files).await?, device, options)
    }

    /// As [`Self::read`], where the headers are read already.
    ///
    /// # Errors
    /// [`Error::NoShaderF16`], those of [`Header::check_special_tokens`].
    pub fn new(header: Header, device: &Device, options: &OpenOptions) -> Result<Self> {
        let mut header = header.computed_in(options.arithmetic).special_tokens(options.special_tokens);
        header.check_special_tokens()?;
        if options.shared_bias {
            header = header.share_bias()?;
        }
        if let Some(quantize) = options.quantize {
            header = header.quantize(quantize);
        }
        options.arithmetic.check(device)?;
        let limits = Limits { max_buffer_bytes: device.max_buffer_bytes, budget_bytes: options.budget_bytes };
        let plan = Plan::new(&header, limits, options.streamed, options.small_batches);
        Ok(Self {
            device: device.clone(),
            layouts: header.layouts(),
            kernels: kernels(&header.config),
            limits,
            options: *options,
            plan,
            tested: Tested::default(),
            remembered: None,
            measured: false,
            tiles: None,
            stage: Stage::Start(Box::new(header)),
        })
    }

    /// The memory that the model will take, and how it will be held.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Tells what is known of the device: kernels `tested` for a model before this one, and the [`tiles`](Opened::tiles)
    /// that were kept. Tiles of another build, and what is no list of tiles, are measured anew.
    #[must_use]
    pub fn remember(mut self, tested: Tested, tiles: Option<&str>) -> Self {
        let kept = tiles.and_then(|text| serde_json::from_str::<KeptTiles>(text).ok());
        self.remembered =
            kept.filter(|kept| kept.build == Build::current().id()).map(|kept| kept.tiles.to_string());
        self.tested = tested;
        self
    }

    /// Does the next piece of work; `None` when the model is there.
    ///
    /// # Errors
    /// The plan's refusal, [`Error::SelfTest`] where the device computes something else than the CPU, those of
    /// [`Loading::step`].
    pub async fn step(&mut self) -> Result<Option<OpeningProgress>> {
        loop {
            match std::mem::replace(&mut self.stage, Stage::Ended) {
                // 1. A model that does not fit is refused before the device is tested.
                Stage::Start(header) => {
                    self.place(&header)?;
                    if self.device.kind == DeviceKind::Cpu {
                        self.stage = self.load(header)?;
                        continue;
                    }
                    let test = SelfTest::new(&self.device, &self.layouts, &self.tested);
                    self.stage = Stage::SelfTest(header, test);
                }

                // 2. Kernels are made and compared with the CPU's.
                Stage::SelfTest(header, mut test) => {
                    if let Some(progress) = test.step().await? {
                        self.stage = Stage::SelfTest(header, test);
                        return Ok(Some(OpeningProgress::SelfTest(progress)));
                    }
                    self.tested.passed(&self.layouts);
                    check_model(&self.device, self.kernels).await?;
                    let remembered = self.remembered.as_deref();
                    let tuning = Tuning::new(&self.device, &self.layouts, header.info.arithmetic, remembered);
                    self.stage = Stage::Tuning(header, Box::new(tuning));
                }

                // 3. Tiles are measured, or only checked where they are remembered.
                Stage::Tuning(header, mut tuning) => {
                    if let Some(progress) = tuning.step().await? {
                        self.measured |= progress.measured;
                        self.stage = Stage::Tuning(header, tuning);
                        return Ok(Some(OpeningProgress::Tuning(progress)));
                    }
                    let tiles = tuning.finish().and_then(|tiles| serde_json::from_str(&tiles).ok());
                    let kept = tiles.map(|tiles| KeptTiles { build: Build::current().id(), tiles });
                    self.tiles = kept.and_then(|kept| serde_json::to_string(&kept).ok());
                    self.stage = self.load(header)?;
                }

                // 4. Weights.
                Stage::Weights(mut loading) => {
                    let progress = loading.step().await?;
                    if progress.is_none() {
                        self.device.wait().await?;
                    }
                    self.stage = Stage::Weights(loading);
                    return Ok(progress.map(OpeningProgress::Weights));
                }
                Stage::Ended => return Err(Error::NotLoaded { what: "model" }),
            }
        }
    }

    fn load(&self, header: Box<Header>) -> Result<Stage> {
        let placement = self.place(&header)?;
        let loading = Loading::new(*header, self.device.clone())?.placed(placement);
        Ok(Stage::Weights(Box::new(loading)))
    }

    fn place(&self, header: &Header) -> Result<Placement> {
        place(header, self.limits, self.options.streamed, self.options.small_batches)
    }

    /// The kernels that the device has shown to be right so far, even after a step that has failed.
    pub fn tested(&self) -> &Tested {
        &self.tested
    }

    /// The model, once [`Self::step`] has given `None`.
    ///
    /// # Errors
    /// [`Error::NotLoaded`] and [`Error::MissingTensor`] before that.
    pub fn finish(self) -> Result<Opened> {
        let Stage::Weights(loading) = self.stage else {
            return Err(Error::NotLoaded { what: "model" });
        };
        let encoder = loading.finish()?;
        Ok(Opened { encoder, tested: self.tested, tiles: self.tiles, measured: self.measured })
    }
}

/// The kernels of a model that not every model runs.
fn kernels(config: &Config) -> ModelKernels {
    ModelKernels {
        heads: config.heads(),
        relative: matches!(config.positions, Positions::Relative { .. }),
        layer_norm: config.norm.kind == NormKind::Layer,
        activation: config.activation,
        gated: config.gated,
    }
}
