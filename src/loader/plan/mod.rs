//! A model's plan: the memory it will take and how it will be held. A person sees it before any weight is read.

pub(super) mod fit;
mod joining;

use crate::encoder::{Placement, TOKEN_BUDGET};
use crate::error::Result;
use crate::loader::Header;
use fit::{Limits, SLOTS, Sentence};
use serde::Serialize;

/// A model's plan. Byte counts are device memory unless their doc says otherwise.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// Whether its layers will stay in the file and be brought for each pass.
    pub streamed: bool,
    /// Tokens of a packed batch.
    pub batch_tokens: usize,
    /// Bytes of all files.
    pub download_bytes: u64,
    /// Bytes of the weights.
    pub weight_bytes: u64,
    /// Activations of a batch, between layers and in them.
    pub activation_bytes: u64,
    /// Bytes of the whole model with a batch.
    pub whole_bytes: u64,
    /// Bytes of a few layers at a time, with a batch.
    pub streamed_bytes: u64,
    /// Host memory at its peak.
    pub host_bytes: u64,
    /// Bytes of the largest buffer that the model can't do without.
    pub largest_buffer_bytes: u64,
    /// Bytes of the largest buffer that the device allows; `None` without a known limit.
    pub max_buffer_bytes: Option<u64>,
    /// Device memory that the model may take; `None` without a limit.
    pub budget_bytes: Option<u64>,
    /// Why the model can't be loaded; `None` where it can.
    pub refused: Option<Sentence>,
}

/// How a model will be held within `limits`: whole, or `streamed`, with `small_batches` where the device was too small before.
///
/// # Errors
/// The errors of [`Header::place`].
pub(crate) fn place(
    header: &Header,
    limits: Limits,
    streamed: bool,
    small_batches: bool,
) -> Result<Placement> {
    header.place(limits, streamed).map(|placement| clamp(placement, small_batches))
}

fn clamp(placement: Placement, small_batches: bool) -> Placement {
    let most = if small_batches { TOKEN_BUDGET } else { usize::MAX };
    Placement { batch_tokens: placement.batch_tokens.min(most), ..placement }
}

impl Plan {
    /// The plan of [`Header::place`]; where that refuses the model, the plan without its limits and the reason.
    pub fn new(header: &Header, limits: Limits, streamed: bool, small_batches: bool) -> Self {
        let placed = place(header, limits, streamed, small_batches);
        let placement = placed.as_ref().copied().unwrap_or(clamp(Placement::new(streamed), small_batches));
        let fit = |placement: Placement| header.fit(placement.batch_tokens, Limits::default());
        let other = |streamed| Placement { streamed, batch_tokens: placement.batch_tokens.min(TOKEN_BUDGET) };
        let most = |streamed| if placement.streamed == streamed { placement } else { other(streamed) };
        let held = fit(placement);
        Self {
            streamed: placement.streamed,
            batch_tokens: placement.batch_tokens,
            download_bytes: held.download_bytes,
            weight_bytes: header.info.device_bytes,
            activation_bytes: held.activation_bytes,
            whole_bytes: fit(most(false)).device_bytes,
            streamed_bytes: fit(most(true)).streamed_bytes(SLOTS),
            host_bytes: held.host_bytes,
            largest_buffer_bytes: held.largest_buffer_bytes,
            max_buffer_bytes: limits.max_buffer_bytes,
            budget_bytes: limits.budget_bytes,
            refused: placed.err().map(|error| Sentence::of(&error)),
        }
    }
}
