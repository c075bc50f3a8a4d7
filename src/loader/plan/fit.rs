//! The memory and the download that a model will take, computed from its header alone.
//!
//! ```text
//! whole      layers + fixed + activations
//! streamed   slots * largest layer + fixed + activations          fixed: the final norm and the table of rotations
//! ```
//! Activations are the largest set of `[T, ...]` buffers that are alive together in `model::decoder`.

use crate::encoder::Placement;
use crate::error::{Error, Result};
use crate::loader::open::header::Header;
use crate::model::{Config, NormPlaces};
use crate::text::token_table::KEPT_ROWS;
use serde::{Serialize, Serializer};

/// Layers on the device at once while a model is streamed: one computes while the next is filled.
pub const SLOTS: usize = 2;

/// A device's limits. `None` means that no limit is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// The largest buffer that one binding may hold.
    pub max_buffer_bytes: Option<u64>,
    /// Device memory that the model may take.
    pub budget_bytes: Option<u64>,
}

/// The fewest tokens in a batch that are worth bringing a layer for.
const FEWEST_TOKENS: usize = 64;

/// The memory for a model and one packed batch.
#[derive(Debug, Serialize)]
pub struct Fit {
    /// Tokens of the batch.
    pub tokens: usize,
    /// Bytes of all files.
    pub download_bytes: u64,
    /// Device: the whole model with its batch.
    pub device_bytes: u64,
    /// Device: the weights of all layers.
    pub layers_bytes: u64,
    /// Device: the weights of the largest layer.
    pub layer_bytes: u64,
    /// Device: the final norm and the table of rotations.
    pub fixed_bytes: u64,
    /// Device: the activations of the batch, between layers and in them.
    pub activation_bytes: u64,
    /// Device: the largest buffer that the model can't do without. (Matrices are joined only where the device allows.)
    pub largest_buffer_bytes: u64,
    /// The content of that buffer: a tensor's name, or the batch.
    pub largest_buffer: String,
    /// Host memory at its peak: the resident token table (or the cached rows of a table that stays in its file), plus the
    /// larger of the tensors in transit to the device and the rows of one batch. On the CPU, all device bytes are the
    /// host's too.
    pub host_bytes: u64,
    /// The reasons why the model does not fit; empty where it does.
    #[serde(serialize_with = "sentences")]
    pub problems: Vec<Error>,
}

impl Fit {
    /// Device memory with `slots` layers on the device at once.
    pub fn streamed_bytes(&self, slots: usize) -> u64 {
        self.layers_bytes.min(slots as u64 * self.layer_bytes) + self.fixed_bytes + self.activation_bytes
    }
}

impl Header {
    /// The memory that the model takes with a packed batch of `tokens`, and why that is not within `limits`.
    pub fn fit(&self, tokens: usize, limits: Limits) -> Fit {
        let mut layers = vec![0; self.config.num_hidden_layers];
        let mut fixed_bytes = (self.info.max_length * self.config.head_dim * 4) as u64;
        for planned in self.on_device() {
            match planned.layer() {
                Some(layer) => layers[layer] += planned.device_bytes(),
                None => fixed_bytes += planned.device_bytes(),
            }
        }
        let layers_bytes = layers.iter().sum();
        let joined = self.joined(limits.max_buffer_bytes);
        let activation_bytes = tokens as u64 * self.token_bytes(&joined);
        let (largest_buffer, largest_buffer_bytes) = self.largest_buffer(tokens);
        let mut fit = Fit {
            tokens,
            download_bytes: self.info.file_bytes,
            device_bytes: layers_bytes + fixed_bytes + activation_bytes,
            layers_bytes,
            layer_bytes: layers.into_iter().max().unwrap_or_default(),
            fixed_bytes,
            activation_bytes,
            largest_buffer_bytes,
            largest_buffer,
            host_bytes: self.host_bytes(tokens, &joined),
            problems: Vec::new(),
        };
        fit.problems = problems(&fit, limits);
        fit
    }

    /// How the model will be held: whole where the limits allow it, else streamed, with batches as large as they allow.
    ///
    /// # Errors
    /// [`Error::DeviceLimit`]; [`Error::BudgetTooSmall`] where not even a few layers at a time fit the budget.
    pub fn place(&self, limits: Limits, streamed: bool) -> Result<Placement> {
        let mut placement = Placement::new(streamed);
        if let Some(limit) = limits.max_buffer_bytes {
            self.check_limit(limit)?;
            let most = (limit / self.widest_bytes()) as usize;
            placement.batch_tokens = placement.batch_tokens.min(most.max(1));
        }
        let Some(budget) = limits.budget_bytes else { return Ok(placement) };
        let fit = self.fit(placement.batch_tokens, limits);
        if !streamed {
            return if fit.device_bytes <= budget { Ok(placement) } else { self.place(limits, true) };
        }
        let without = fit.streamed_bytes(SLOTS) - fit.activation_bytes;
        let token_bytes = self.token_bytes(&self.joined(limits.max_buffer_bytes));
        let most = budget.saturating_sub(without) / token_bytes;
        if most < FEWEST_TOKENS as u64 {
            let needed = without + FEWEST_TOKENS as u64 * token_bytes;
            return Err(Error::BudgetTooSmall { needed, limit: budget, slots: SLOTS });
        }
        placement.batch_tokens = placement.batch_tokens.min(most as usize);
        Ok(placement)
    }

    /// Device memory that one token of a batch takes.
    fn token_bytes(&self, joined: &[Vec<String>]) -> u64 {
        let gates = joined.iter().filter(|names| names[0].ends_with("gate_proj.weight")).count();
        // An MLP without a gate stores one product, as a joined one does.
        let one_product = !self.config.gated || gates == self.config.num_hidden_layers;
        let spans = if self.config.window.is_some() { 2 } else { 1 };
        4 * live_values(&self.config, one_product) + 4 + 8 * spans // and the position
    }

    /// Bytes of one token in the widest buffer of activations.
    fn widest_bytes(&self) -> u64 {
        let heads = self.config.num_attention_heads + 2 * self.config.num_key_value_heads;
        4 * self.config.intermediate_size.max(heads * self.config.head_dim) as u64
    }

    fn largest_buffer(&self, tokens: usize) -> (String, u64) {
        let activations = (format!("a batch of {tokens} tokens"), tokens as u64 * self.widest_bytes());
        let words = self.on_device().map(|planned| (planned.info.name.clone(), planned.buffers()[0]));
        words.chain([activations]).max_by_key(|(_, bytes)| *bytes).unwrap_or_default()
    }

    fn host_bytes(&self, tokens: usize, joined: &[Vec<String>]) -> u64 {
        let table = &self.token_table.info.range;
        let (table, kept) = match self.keeps_token_table() {
            true => (table.end - table.start, 0),
            false => (0, KEPT_ROWS as u64 * self.token_table.row_bytes()),
        };
        let rows = 2 * (tokens * self.config.hidden_size * 4) as u64; // and the copy that is on its way
        table + self.loading_bytes(joined).max(kept + rows)
    }
}

/// Values of one token that are on the device at once, at the worst moment of a layer. The running mix of layers and the residual
/// stream are always there. `gate_up_joined`: gate and up projection are one product, which stores what they make.
fn live_values(config: &Config, gate_up_joined: bool) -> u64 {
    let (d, f) = (config.hidden_size, config.intermediate_size);
    let q = config.num_attention_heads * config.head_dim;
    let kv = config.num_key_value_heads * config.head_dim;
    // A norm of what a block gives is one more row.
    let kept = if config.norms == NormPlaces::Around { 3 * d } else { 2 * d };
    // A product with a bias is stored before it is added to the residual stream.
    let [of_o, of_down] =
        [config.biases.o_proj, config.biases.down_proj].map(|bias| if bias { d } else { 0 });
    let moments = [
        d + q + 2 * kv,                                           // the norm's output, q, k, v
        q + 2 * kv + q + kv + q,   // q, k, v; q and k rotated; what attention gives
        q + 2 * kv + q + d + of_o, // q, k, v; what attention gives; the output projection
        if gate_up_joined { d + f } else { 3 * f }, // the norm's output and SwiGLU; or gate, up, and their product
        of_down + if gate_up_joined { d + f } else { d + 2 * f }, // SwiGLU and the layer's output; or the norm's, gate, up
    ];
    (kept + moments.into_iter().max().unwrap_or_default()) as u64
}

fn problems(fit: &Fit, limits: Limits) -> Vec<Error> {
    let mut problems = Vec::new();
    if let Some(limit) = limits.max_buffer_bytes
        && fit.largest_buffer_bytes > limit
    {
        let (item, needed) = (fit.largest_buffer.clone(), fit.largest_buffer_bytes);
        problems.push(Error::DeviceLimit { item, needed, limit });
    }
    if let Some(limit) = limits.budget_bytes {
        let (needed, streamed) = (fit.device_bytes, fit.streamed_bytes(SLOTS));
        if streamed > limit {
            problems.push(Error::BudgetTooSmall { needed: streamed, limit, slots: SLOTS });
        } else if needed > limit {
            problems.push(Error::OverBudget { needed, limit, streamed });
        }
    }
    problems
}

/// An error as a page shows it.
#[derive(Debug, Serialize)]
pub struct Sentence {
    /// The name of the error's variant.
    pub code: String,
    /// The error in a sentence.
    pub message: String,
}

impl Sentence {
    /// The code and the message of `error`.
    pub fn of(error: &Error) -> Self {
        Self { code: error.code(), message: error.to_string() }
    }
}

fn sentences<S: Serializer>(problems: &[Error], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(problems.iter().map(Sentence::of))
}
