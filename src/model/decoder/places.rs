//! What tells the network the places of tokens: tables of rotations, rows that are added to the token embeddings, biases
//! by distance.

use super::Batch;
use crate::device::Device;
use crate::error::Result;
use crate::kernel;
use crate::model::config::{Config, Positions};
use crate::model::linear::Norm;
use crate::model::weights::Weights;
use burn::tensor::{DType, Int, Tensor, TensorData};

/// The tables of the places, and what the token embeddings go through.
#[derive(Clone)]
pub(super) struct Places {
    /// Of each set of rotations, `[max_length, head_dim]`: cosines, then sines.
    pub tables: Vec<Tensor<2>>,
    /// Biases by distance that all layers share, `[2 M + 1, H]`.
    pub bias: Option<Tensor<2>>,
    /// A row for each position, `[max_length, D]`.
    rows: Option<Tensor<2>>,
    scale: f32,
    norm: Option<Norm>,
}

impl Places {
    /// Takes its tensors out of `weights`. `max_length` is the number of tokens of the longest text that it will get.
    pub(super) fn load(
        weights: &mut Weights,
        config: &Config,
        max_length: usize,
        device: &Device,
    ) -> Result<Self> {
        let table = |rope: &crate::model::Rope| {
            let frequencies = rope.frequencies(config.head_dim);
            kernel::rotary_table_of(&frequencies, rope.amplitude(), max_length, device)
        };
        let width = config.hidden_size;
        let (mut rows, mut bias) = (None, None);
        match config.positions {
            Positions::Rotary(_) => {}
            Positions::Learned { rows: count, first, token_type } => {
                let all = weights.vector("embed_positions.weight")?.reshape([count, width]);
                let own = all.slice([first..count, 0..width]);
                rows = Some(match token_type {
                    true => own + weights.vector("embed_token_types.weight")?.reshape([1, width]),
                    false => own,
                });
            }
            Positions::Relative { shared: true, .. } => bias = Some(relative_bias(weights, "", config)?),
            Positions::Relative { .. } => {}
        }
        let norm = match config.embedding_norm {
            true => Some(Norm::load(weights, "embed_norm", config.norm)?),
            false => None,
        };
        let tables = config.ropes().iter().map(table).collect();
        Ok(Self { tables, bias, rows, scale: config.embedding_scale, norm })
    }

    /// h_0: rows `x [T, D]` of the token table -> `[T, D]`
    pub(super) fn embed(&self, mut x: Tensor<2>, batch: &Batch) -> Tensor<2> {
        if self.scale != 1.0 {
            x = x * self.scale;
        }
        if let Some(rows) = &self.rows {
            x = x + rows.clone().select(0, batch.positions.clone());
        }
        self.norm.iter().fold(x, |x, norm| norm.forward(x))
    }
}

/// The biases of a table of buckets by distance, `[2 M + 1, H]`: row `j - i + M` for a query at i and a key at j.
pub(super) fn relative_bias(weights: &mut Weights, prefix: &str, config: &Config) -> Result<Tensor<2>> {
    let Positions::Relative { buckets, max_distance, .. } = config.positions else {
        return Ok(Tensor::zeros([1, config.num_attention_heads], &Default::default()));
    };
    let dot = if prefix.is_empty() { "" } else { "." };
    let table = weights.vector(&format!("{prefix}{dot}relative_attention_bias.weight"))?;
    let reach = max_distance as i64;
    let rows: Vec<u32> = (-reach..=reach).map(|distance| bucket(distance, buckets, max_distance)).collect();
    let rows = TensorData::new(rows, [2 * max_distance + 1]);
    let rows: Tensor<1, Int> = Tensor::from_data(rows, (&table.device(), DType::U32));
    Ok(table.reshape([buckets, config.num_attention_heads]).select(0, rows))
}

/// The bucket of a key `distance` tokens behind its query (T5's `_relative_position_bucket`, both ways): half of the
/// buckets are for keys behind the query; of each half, the first half is for single distances, and the rest grow as
/// logarithms up to `max_distance`. The reference computes them in f32.
fn bucket(distance: i64, buckets: usize, max_distance: usize) -> u32 {
    let half = (buckets / 2) as u32;
    let base = if distance > 0 { half } else { 0 };
    let (size, exact) = (distance.unsigned_abs() as u32, half / 2);
    if size < exact {
        return base + size;
    }
    let ratio = (size as f32 / exact as f32).ln() / (max_distance as f64 / f64::from(exact)).ln() as f32;
    let step = (ratio * (half - exact) as f32) as u32;
    base + (exact + step).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::bucket;

    /// transformers 5.24, `T5Attention._relative_position_bucket(relative_position, True, 32, 128)`.
    #[test]
    fn buckets_are_those_of_t5() {
        let keys_behind =
            [(1, 17), (7, 23), (8, 24), (11, 24), (12, 25), (15, 25), (16, 26), (32, 28), (64, 30)];
        let keys_before = [(0, 0), (-1, 1), (-8, 8), (-16, 10), (-90, 14), (-91, 15), (-127, 15), (-128, 15)];
        for (distance, expected) in keys_behind.into_iter().chain(keys_before) {
            assert_eq!(bucket(distance, 32, 128), expected, "{distance}");
        }
    }
}
