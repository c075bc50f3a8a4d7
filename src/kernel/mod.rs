//! The encoder's fused operations, which Burn lacks: each as WGSL for the device and as plain loops for the CPU.
//!
//! An operation's folder holds its contract (the public function, re-exported here), its launch, its CPU twin, and its
//! `.wgsl`, which opens with formula and layout. `backend` says which of the two a backend runs; `launch` has the parts
//! that launches share, `cpu` those that twins share. Called by `model`, `encoder`, `trial` and `bench`. All tensors
//! are contiguous f32 unless a contract says otherwise; `T` tokens are packed end to end.
//!
//! Burn's operations take tensors and no context, so some state belongs to the process or to a thread:
//!
//! ```text
//! launch::LAUNCHES              thread    number of kernels launched, for tests
//! launch::zero                  process   the tensor that fills bindings a launch does not use
//! product::tile::Family.chosen  process   the tiles that trial::tuning has chosen
//! product::tile::TILE           thread    the tile that as_tile asks for
//! ```
//!
//! Whether the adapter is software is a state of `device::class`.

mod activation;
mod attention;
mod backend;
mod cpu;
mod elementwise;
mod launch;
mod norm;
mod peak;
mod pool;
pub(crate) mod product;
mod rotary;

pub use activation::Activation;
pub use attention::{Heads as AttentionHeads, attention, attention_relative};
pub use elementwise::glu::glu;
pub use elementwise::round_bf16::round_bf16;
pub use launch::launches;
pub use norm::layer_mix::layer_mix;
pub use norm::layer_norm::layer_norm;
pub use norm::rms_norm::rms_norm;
pub use peak::copy::copy;
pub use peak::multiply_adds::{MULTIPLY_ADD_FLOP, multiply_adds};
pub use pool::segment_mean::segment_mean;
pub use product::tile::{F16 as F16_TILES, GPU as GPU_TILES, INT8 as INT8_TILES, Tile, as_tile};
pub use product::{
    Arithmetic, PackedWeight, quant_matmul, quant_matmul_act, quant_matmul_add, quant_matmul_bias,
    quant_matmul_glu,
};
pub use rotary::table::{
    frequencies as rotary_frequencies, table as rotary_table, table_bf16 as rotary_table_bf16,
    table_of as rotary_table_of,
};
pub use rotary::{Heads as RotaryHeads, norm_rotary, rotary};
