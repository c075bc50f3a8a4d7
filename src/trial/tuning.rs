//! Which tile of the product an adapter runs fastest, for each layout and class of rows: each candidate is checked against
//! the CPU, then timed. Driven step by step; what it found can be remembered for the adapter.
//!
//! Software adapters take theirs unmeasured; halves and integers are checked there too. A choice changes no result (see `tile`), only its speed.

use super::self_test;
use crate::device::{Device, DeviceKind};
use crate::error::{Error, Result};
use crate::kernel::product::tile::{self, ROWS, candidates, name, tiles};
use crate::kernel::{self, Arithmetic};
use crate::quant::Layout;
use crate::trial::clock::{Clock, Effort};
use serde::Serialize;
use std::collections::BTreeMap;

/// Inputs and outputs of the timed product: a layer's projection of middle size.
const FEATURES: [usize; 2] = [1024, 1024];
/// Of the samples of a candidate, which has been checked before, the fastest counts; of one that lasts, one is enough.
const EFFORT: Effort =
    Effort { lasting: 0.02, samples: 3, fewest: 1, enough: 0.2, left: f64::INFINITY, warm: true };

/// How far a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TuningProgress {
    /// Classes of rows whose tile is chosen, over all layouts.
    pub done: usize,
    pub total: usize,
    /// Whether the last one was measured, and not remembered.
    pub measured: bool,
}

/// A measurement under way.
pub struct Tuning {
    device: Device,
    /// There once something is measured.
    clock: Option<Clock>,
    /// What is not chosen yet: product, class of rows, and the tile that needs only to be checked.
    open: Vec<((Layout, Arithmetic), usize, Option<usize>)>,
    /// Tiles that compute what the CPU does, each found so once for all classes.
    right: Vec<((Layout, Arithmetic), usize)>,
    done: usize,
    /// The layouts whose choices are to be remembered.
    layouts: Vec<&'static str>,
    /// Names of the chosen tiles by layout, one a class of rows; '' where none is. Those of other models' layouts stay.
    chosen: BTreeMap<String, Vec<String>>,
}

impl Tuning {
    /// For products in `arithmetic` with weights of `layouts`; what `remembered` (a former [`Self::finish`]) knows is only checked, and
    /// what it doesn't, or names otherwise, is measured. Adapters are dense whatever the model: their tiles are at least
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
            layouts: Vec::new(),
            chosen: BTreeMap::new(),
        };
        if !device.is_tuned() {
            tuning.only_check(layouts, arithmetic);
            return tuning;
        }
        tuning.chosen = remembered.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        for layout in layouts {
            let product = (*layout, arithmetic.of(*layout));
            let name = name(product.0, product.1);
            if tuning.layouts.contains(&name) {
                continue; // in floats, groups of 16 and 32 share their pipelines
            }
            tuning.layouts.push(name);
            tuning.take_up(product, |_| None);
        }
        let adapters = (Layout::Dense, Arithmetic::F32);
        if !tuning.layouts.contains(&name(adapters.0, adapters.1)) {
            tuning.take_up(adapters, |class| Some(candidates(adapters.1)[class][0]));
        }
        tuning.open.reverse();
        tuning
    }

    /// On a GPU that has no choice: the kernels of halves and integers are no part of the self-test, which every model begins with.
    fn only_check(&mut self, layouts: &[Layout], arithmetic: Arithmetic) {
        if self.device.kind == DeviceKind::Cpu || arithmetic == Arithmetic::F32 {
            return;
        }
        for layout in layouts.iter().filter(|layout| **layout != Layout::Dense) {
            for (class, candidates) in candidates(arithmetic).iter().enumerate() {
                self.open.push(((*layout, arithmetic), class, Some(candidates[0])));
            }
        }
    }

    /// Opens the classes of a product, with the tile that is remembered of each, or `otherwise(class)`.
    fn take_up(
        &mut self,
        (layout, arithmetic): (Layout, Arithmetic),
        otherwise: impl Fn(usize) -> Option<usize>,
    ) {
        let names = self.chosen.get(name(layout, arithmetic)).map_or(&[][..], Vec::as_slice);
        let tiles = tiles(arithmetic);
        for (class, candidates) in candidates(arithmetic).iter().enumerate() {
            let remembered = names
                .get(class)
                .and_then(|name| candidates.iter().copied().find(|tile| tiles[*tile].to_string() == *name));
            self.open.push(((layout, arithmetic), class, remembered.or_else(|| otherwise(class))));
        }
    }

    /// Chooses the next class's tile; `None` when all are chosen.
    ///
    /// # Errors
    /// [`Error::SelfTest`] where a layout has no tile that computes what the CPU does, [`Error::Device`].
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
    async fn measure(&mut self, product: (Layout, Arithmetic), class: usize) -> Result<()> {
        let clock = match self.clock.take() {
            Some(clock) => clock,
            None => Clock::start(&self.device).await?,
        };
        let (mut best, mut wrong) = (None, None);
        let (layout, arithmetic) = product;
        let weight = self_test::weight_of(&self.device, layout, FEATURES).computed_in(arithmetic);
        let x = self_test::normal(&self.device, ROWS[class], FEATURES[1]);
        for index in candidates(arithmetic)[class] {
            if let Some(error) = self.computes(product, *index).await? {
                wrong = Some(error);
                continue;
            }
            let run =
                || tile::as_tile(tiles(arithmetic)[*index], || kernel::quant_matmul(x.clone(), &weight));
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

    /// What is wrong with a tile's results, if anything.
    async fn computes(&mut self, product: (Layout, Arithmetic), tile: usize) -> Result<Option<Error>> {
        if self.right.contains(&(product, tile)) {
            return Ok(None);
        }
        let (layout, arithmetic) = product;
        match self_test::check_tile(&self.device, layout, arithmetic, tiles(arithmetic)[tile]).await {
            Err(error @ Error::SelfTest { .. }) => Ok(Some(error)),
            checked => {
                checked?;
                self.right.push((product, tile));
                Ok(None)
            }
        }
    }

    /// The choices, to be remembered for this adapter; `None` where there was nothing to choose.
    pub fn finish(self) -> Option<String> {
        if self.layouts.is_empty() { None } else { serde_json::to_string(&self.chosen).ok() }
    }

    fn choose(&mut self, (layout, arithmetic): (Layout, Arithmetic), class: usize, tile: usize) {
        tile::choose(layout, arithmetic, class, tile);
        let name = name(layout, arithmetic);
        if self.layouts.contains(&name) {
            let names = self.chosen.entry(name.into()).or_default();
            names.resize(ROWS.len(), String::new());
            names[class] = tiles(arithmetic)[tile].to_string();
        }
    }
}
