//! Which tile of the product an adapter runs fastest, for each family of products and row class: every candidate is
//! checked against the CPU, then timed. The caller drives it step by step, and can remember the choices for the
//! adapter.
//!
//! Software adapters use their tiles untimed; those for halves and integers are checked there too. A choice changes no
//! result (see `tile`), only the speed.

use super::self_test;
use crate::device::{Device, DeviceKind};
use crate::error::{Error, Result};
use crate::kernel::product::ProductKind;
use crate::kernel::product::tile::{ROW_CLASSES, as_tile};
use crate::kernel::{self, Arithmetic};
use crate::quant::Layout;
use crate::trial::clock::{Clock, Effort};
use serde::Serialize;
use std::collections::BTreeMap;

/// Outputs and inputs of the timed product: a layer's projection of middle size.
const FEATURES: [usize; 2] = [1024, 1024];
/// How a candidate is timed: its fastest sample counts, and one is enough if it is long. It has run before, to be
/// checked.
const EFFORT: Effort =
    Effort { lasting: 0.02, samples: 3, fewest: 1, enough: 0.2, left: f64::INFINITY, warm: true };

/// How far a measurement of tiles is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TuningProgress {
    /// Row classes whose tile is chosen, over all families.
    pub done: usize,
    /// Row classes of all families.
    pub total: usize,
    /// Whether the last choice was measured; it was remembered otherwise.
    pub measured: bool,
}

/// A measurement of tiles under way.
pub struct Tuning {
    device: Device,
    /// Created at the first measurement.
    clock: Option<Clock>,
    /// Choices still to make, the next one last: product, row class, and a remembered tile that only needs checking.
    open: Vec<(ProductKind, usize, Option<usize>)>,
    /// Tiles already verified against the CPU; one check serves every row class.
    right: Vec<(ProductKind, usize)>,
    /// Number of choices made.
    done: usize,
    /// Names of the families whose choices are to be remembered.
    families: Vec<&'static str>,
    /// The chosen tiles' names by family, one for each row class ('' = none). Entries of other families are kept.
    chosen: BTreeMap<String, Vec<String>>,
}

impl Tuning {
    /// Plans the choices for a model that computes in `arithmetic` and has weights of `layouts`. Tiles that
    /// `remembered` (the result of an earlier [`Self::finish`]) names are only checked; row classes that it doesn't
    /// name, or names in another way, are measured. Adapters are dense whatever the model: their tiles are at least
    /// checked.
    pub fn new(
        device: &Device,
        layouts: &[Layout],
        arithmetic: Arithmetic,
        remembered: Option<&str>,
    ) -> Self {
        let mut tuning = Self {
            device: device.clone(),
            clock: None,
            open: Vec::new(),
            right: Vec::new(),
            done: 0,
            families: Vec::new(),
            chosen: BTreeMap::new(),
        };
        if !device.is_tuned() {
            tuning.only_check(layouts, arithmetic);
            return tuning;
        }
        tuning.chosen = remembered.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        for layout in layouts {
            let product = ProductKind::new(*layout, arithmetic);
            let name = product.family().name;
            if tuning.families.contains(&name) {
                continue; // in floats, groups of 16 and 32 share their pipelines
            }
            tuning.families.push(name);
            tuning.take_up(product, |_| None);
        }
        let adapters = ProductKind::new(Layout::Dense, Arithmetic::F32);
        if !tuning.families.contains(&adapters.family().name) {
            tuning.take_up(adapters, |class| Some(adapters.family().candidates[class][0]));
        }
        tuning.open.reverse();
        tuning
    }

    /// Plans checks alone, for a GPU that has no choice of tiles: the self-test, which every model begins with, does
    /// not cover the kernels of halves and integers.
    fn only_check(&mut self, layouts: &[Layout], arithmetic: Arithmetic) {
        if self.device.kind == DeviceKind::Cpu || arithmetic == Arithmetic::F32 {
            return;
        }
        for layout in layouts.iter().filter(|layout| **layout != Layout::Dense) {
            let product = ProductKind::new(*layout, arithmetic);
            for (class, candidates) in product.family().candidates.iter().enumerate() {
                self.open.push((product, class, Some(candidates[0])));
            }
        }
    }

    /// Plans the choices of a product, one for each row class, with the tile remembered for it, or `otherwise(class)`.
    fn take_up(&mut self, product: ProductKind, otherwise: impl Fn(usize) -> Option<usize>) {
        let family = product.family();
        let names = self.chosen.get(family.name).map_or(&[][..], Vec::as_slice);
        for (class, candidates) in family.candidates.iter().enumerate() {
            let remembered = names.get(class).and_then(|name| {
                candidates.iter().copied().find(|tile| family.tiles[*tile].to_string() == *name)
            });
            self.open.push((product, class, remembered.or_else(|| otherwise(class))));
        }
    }

    /// Makes the next choice; `None` when all are made.
    ///
    /// # Errors
    /// [`Error::SelfTest`] if no candidate computes what the CPU does, [`Error::Device`] if the device fails.
    pub async fn step(&mut self) -> Result<Option<TuningProgress>> {
        let Some((product, class, remembered)) = self.open.pop() else {
            return Ok(None);
        };
        let measured = match remembered {
            Some(tile) if self.computes(product, tile).await?.is_none() => {
                self.choose(product, class, tile);
                false
            }
            _ => {
                self.measure(product, class).await?;
                true
            }
        };
        self.done += 1;
        Ok(Some(TuningProgress { done: self.done, total: self.done + self.open.len(), measured }))
    }

    /// Times the candidates that compute what the CPU does, and chooses the fastest.
    async fn measure(&mut self, product: ProductKind, class: usize) -> Result<()> {
        let clock = match self.clock.take() {
            Some(clock) => clock,
            None => Clock::start(&self.device).await?,
        };
        let (mut best, mut wrong) = (None, None);
        let family = product.family();
        let weight =
            self_test::weight_of(&self.device, product.layout, FEATURES).computed_in(product.arithmetic);
        let x = self_test::values(&self.device, ROW_CLASSES[class], FEATURES[1]);
        for index in family.candidates[class] {
            if let Some(error) = self.computes(product, *index).await? {
                wrong = Some(error);
                continue;
            }
            let run = || as_tile(family.tiles[*index], || kernel::quant_matmul(x.clone(), &weight));
            let samples = clock.kernel(&run, EFFORT).await?;
            let seconds = samples.times.into_iter().fold(f64::INFINITY, f64::min);
            if best.is_none_or(|(fastest, _)| seconds < fastest) {
                best = Some((seconds, *index));
            }
        }
        self.clock = Some(clock);
        match (best, wrong) {
            (Some((_, tile)), _) => self.choose(product, class, tile),
            (None, Some(error)) => return Err(error),
            (None, None) => {}
        }
        Ok(())
    }

    /// The error of a tile whose results differ from the CPU's; `None` if they agree.
    async fn computes(&mut self, product: ProductKind, tile: usize) -> Result<Option<Error>> {
        if self.right.contains(&(product, tile)) {
            return Ok(None);
        }
        match self_test::check_tile(&self.device, product, product.family().tiles[tile]).await {
            Err(error @ Error::SelfTest { .. }) => Ok(Some(error)),
            checked => {
                checked?;
                self.right.push((product, tile));
                Ok(None)
            }
        }
    }

    /// The choices as JSON, to be remembered for this adapter; `None` if there was nothing to choose.
    pub fn finish(self) -> Option<String> {
        if self.families.is_empty() { None } else { serde_json::to_string(&self.chosen).ok() }
    }

    fn choose(&mut self, product: ProductKind, class: usize, tile: usize) {
        let family = product.family();
        family.choose(class, tile);
        if self.families.contains(&family.name) {
            let names = self.chosen.entry(family.name.into()).or_default();
            names.resize(ROW_CLASSES.len(), String::new());
            names[class] = family.tiles[tile].to_string();
        }
    }
}
