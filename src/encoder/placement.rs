//! How a model is held on its device: whole, or layer by layer.

use serde::Serialize;

/// Tokens in one pass through the layers: enough to fill a device, few enough for its memory and for progress.
pub const TOKEN_BUDGET: usize = 1024;

/// Tokens in one pass where layers are streamed: the cost of bringing them is spread over the batch.
pub const STREAMED_TOKEN_BUDGET: usize = 4096;

/// How a model is held on its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Placement {
    /// Whether its layers stay in the file and are brought to the device for each pass.
    pub streamed: bool,
    /// The most tokens of a packed batch; a longer text passes alone.
    pub batch_tokens: usize,
}

impl Placement {
    /// The placement on a device without limits.
    pub fn new(streamed: bool) -> Self {
        Self { streamed, batch_tokens: if streamed { STREAMED_TOKEN_BUDGET } else { TOKEN_BUDGET } }
    }
}
