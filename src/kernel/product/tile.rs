//! How a product is cut into invocations: short lists of tiles, and which of them is used for how many rows.
//!
//! Every tile adds in the order of k, and those of GPUs with the same fused multiply-adds: a row's result does not
//! depend on the tile, so a choice can be measured anew without changing an embedding.

use super::{Arithmetic, ProductKind};
use crate::device::class::{is_software, with};
use crate::quant::{Code, Half, Layout};
use std::cell::Cell;
use std::fmt;
use std::sync::RwLock;

/// How the output of a product is divided among the invocations of a workgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Where the operands are, and so which kernel runs.
    pub operands: Operands,
    /// Rows of the output that one invocation owns.
    pub rows: usize,
    /// Columns of the output that one invocation owns.
    pub columns: usize,
    /// Invocations along N and along M.
    pub lanes: [u32; 2],
}

/// Where the operands of the sums are. The names of the variants are part of a tile's name, which users' files keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operands {
    /// All in registers, and the sums are stored in a loop: written out, their edges and addends are most of what a
    /// software adapter has to compile, and it has no registers that an array would be moved out of.
    Software,
    /// All in registers, with fused multiply-adds.
    Registers,
    /// In the workgroup's memory: sixteen k of x and of the dequantized weight, or thirty-two as halves or codes.
    Shared,
}

impl Tile {
    /// Rows and columns of the output that a workgroup owns.
    pub(super) fn outputs(self) -> [usize; 2] {
        [self.rows * self.lanes[1] as usize, self.columns * self.lanes[0] as usize]
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { operands, rows, columns, lanes: [x, y] } = self;
        write!(f, "{operands:?} {rows}x{columns}, {x}x{y} lanes")
    }
}

/// The tile of software adapters, in f32.
///
/// These costs decide (SwiftShader's compiler, read in its source and measured): a load is four branches and forty-odd
/// instructions for four lanes, a shift is done lane by lane, a store to a `var` is masked, a barrier switches fibers.
/// So the tile is wide along N, where all columns share the loaded `x`; codes are masked in place and scaled by a power
/// of two instead of being shifted; a sum takes 8 values of k in one expression; there is no workgroup memory. GFLOP/s
/// on two cores by processor time, 64x576x1536, rows x columns: 16x8 with shifts 2.4 to 3.9, 8x12 5.4, 4x24 5.9, 8x24
/// 7.1, 16x24 8.2 (which takes twice as long to compile). One tile serves all numbers of rows: a product of few rows is
/// soon done, and each pipeline takes a second to compile.
const SOFTWARE: Tile = Tile { operands: Operands::Software, rows: 8, columns: 24, lanes: [8, 1] };

/// The tile of software adapters for floats of 4, 8 and 16 bits and more rows than [`SOFTWARE`] has. They take twice the
/// loads of 8-bit integers, or a longer decoding, which twice the rows share: with 8 rows SwiftShader reaches 0.7 to 0.8
/// of the GFLOP/s of 8-bit integers, llvmpipe 0.8 for 16 bits.
const SOFTWARE_FLOATS: Tile = Tile { rows: 16, ..SOFTWARE };

/// The tiles of GPUs in f32, from which [`Tuning`](crate::trial::Tuning) chooses what the adapter runs fastest.
///
/// The table has the expected costs of each tile for 16 k of 4-bit weights: operations, and bytes that a workgroup
/// takes from memory (64 per row of x; 8 of codes and 2 of scales per column); registers of an invocation (sums,
/// operands, about 20 for addresses); workgroup memory (rows of x are padded to 80 bytes, so that neighboring rows lie
/// in different banks).
///
/// | tile                  | outputs  | FLOP    | bytes | FLOP/byte | registers | workgroup memory |
/// |-----------------------|----------|---------|-------|-----------|-----------|------------------|
/// | Registers 4x2, 64x1   | 4 x 128  | 16,384  | 1,536 | 11        | 70        | none             |
/// | Registers 8x2, 64x1   | 8 x 128  | 32,768  | 1,792 | 18        | 110       | none             |
/// | Registers 8x4, 32x2   | 16 x 128 | 65,536  | 2,304 | 28        | 130       | none             |
/// | Shared 4x8, 8x8       | 32 x 64  | 65,536  | 2,688 | 24        | 76        | 6.5 KiB          |
/// | Shared 4x8, 8x16      | 64 x 64  | 131,072 | 4,736 | 28        | 76        | 9 KiB            |
/// | Shared 8x8, 8x8       | 64 x 64  | 131,072 | 4,736 | 28        | 124       | 9 KiB            |
/// | Shared 8x8, 16x8      | 64 x 128 | 262,144 | 5,376 | 49        | 124       | 13 KiB           |
///
/// A GPU of 20 TFLOP/s and 500 GB/s needs 40 operations per byte; neighboring workgroups share one operand through the
/// second-level cache, so 24 suffice. In the first three tiles, every invocation that needs a code reads it and
/// dequantizes it for its own rows alone: this is good for few rows, where the weight is read once anyway and memory
/// decides; and few rows are spread over many workgroups (N = 4096: 32). The shared tiles dequantize a code once for 32
/// or 64 rows; within their 16-lane groups, the load of a vec4 of x is a broadcast, and that of a vec4 of w is free of
/// bank conflicts. 64 x 64 needs 1,024 tokens at N = 960 to fill 240 workgroups, so smaller tiles win on wide GPUs with
/// short texts. With up to 128 registers, half of the threads that an SM or CU holds are resident (16 warps of 32); 13
/// KiB let three to seven workgroups stand side by side in 48 to 96 KiB.
pub const GPU: [Tile; 7] = [
    Tile { operands: Operands::Registers, rows: 4, columns: 2, lanes: [64, 1] },
    Tile { operands: Operands::Registers, rows: 8, columns: 2, lanes: [64, 1] },
    Tile { operands: Operands::Registers, rows: 8, columns: 4, lanes: [32, 2] },
    Tile { operands: Operands::Shared, rows: 4, columns: 8, lanes: [8, 8] },
    Tile { operands: Operands::Shared, rows: 4, columns: 8, lanes: [8, 16] },
    Tile { operands: Operands::Shared, rows: 8, columns: 8, lanes: [8, 8] },
    Tile { operands: Operands::Shared, rows: 8, columns: 8, lanes: [16, 8] },
];

/// The tiles for integers, on software adapters too: operands in the workgroup's memory, a quarter as large as in f32.
///
/// Expected costs for 32 k of 4-bit weights, as for [`GPU`] (128 bytes per row of x; 16 of codes and 4 of scales per
/// column). A dot product of four codes counts as eight operations; each sum in f32 has one of integers beside it.
///
/// | tile              | outputs | operations | bytes | per byte | registers | workgroup memory |
/// |-------------------|---------|------------|-------|----------|-----------|------------------|
/// | Shared 1x8, 8x8   | 8 x 64  | 32,768     | 2,304 | 14       | 52        | 2.9 KiB          |
/// | Shared 4x8, 8x8   | 32 x 64 | 131,072    | 5,376 | 24       | 108       | 4 KiB            |
/// | Shared 4x8, 8x16  | 64 x 64 | 262,144    | 9,472 | 28       | 108       | 5.3 KiB          |
///
/// One invocation rounds a row, once per workgroup: 200 operations for 64 columns' 512 dot products. Eight rows per
/// lane would need 128 registers for sums.
pub const INT8: [Tile; 3] = [
    Tile { operands: Operands::Shared, rows: 1, columns: 8, lanes: [8, 8] },
    Tile { operands: Operands::Shared, rows: 4, columns: 8, lanes: [8, 8] },
    Tile { operands: Operands::Shared, rows: 4, columns: 8, lanes: [8, 16] },
];

/// The tiles for half precision, on software adapters too: operands in the workgroup's memory, half as large as in f32.
///
/// Expected costs for 32 k of 4-bit weights, as for [`INT8`]. Besides the sums in f32, an invocation holds eight k of
/// eight columns' weights, in 32 registers, and x and the sums of eight of one row at a time.
///
/// | tile              | outputs  | FLOP    | bytes  | FLOP/byte | registers | workgroup memory |
/// |-------------------|----------|---------|--------|-----------|-----------|------------------|
/// | Shared 1x8, 8x8   | 8 x 64   | 32,768  | 2,304  | 14        | 70        | 4.6 KiB          |
/// | Shared 4x8, 8x8   | 32 x 64  | 131,072 | 5,376  | 24        | 94        | 6.4 KiB          |
/// | Shared 4x8, 8x16  | 64 x 64  | 262,144 | 9,472  | 28        | 94        | 8.8 KiB          |
/// | Shared 8x8, 8x8   | 64 x 64  | 262,144 | 9,472  | 28        | 126       | 8.8 KiB          |
/// | Shared 8x8, 16x8  | 64 x 128 | 524,288 | 10,752 | 49        | 126       | 12.8 KiB         |
///
/// If one instruction multiplies and adds two halves, 8 k of a row by 8 columns are 32 instructions, and 16 more
/// convert their sums to f32 and add them there; in f32 alone they are 64. Sums of more than eight would save some
/// instructions, and round more.
pub const F16: [Tile; 5] = [
    Tile { operands: Operands::Shared, rows: 1, columns: 8, lanes: [8, 8] },
    Tile { operands: Operands::Shared, rows: 4, columns: 8, lanes: [8, 8] },
    Tile { operands: Operands::Shared, rows: 4, columns: 8, lanes: [8, 16] },
    Tile { operands: Operands::Shared, rows: 8, columns: 8, lanes: [8, 8] },
    Tile { operands: Operands::Shared, rows: 8, columns: 8, lanes: [16, 8] },
];

/// Row classes of a product: up to 8, up to 32, up to 128 rows, and more. Each is timed at its number, the last at 512.
pub(crate) const ROW_CLASSES: [usize; 4] = [8, 32, 128, 512];

/// For each row class, the tiles that are worth timing, as indices into a family's tiles. The first is used until one
/// is chosen.
type Candidates = [&'static [usize]; ROW_CLASSES.len()];

const GPU_CANDIDATES: Candidates = [&[1, 0, 3], &[2, 1, 3], &[3, 2, 4, 5], &[4, 3, 5, 6]];
const F16_CANDIDATES: Candidates = [&[0, 1], &[1, 0], &[1, 2, 3], &[2, 3, 4]];
const INT8_CANDIDATES: Candidates = [&[0, 1], &[1, 0], &[1, 2], &[2, 1]];

/// Products that run the same compiled kernels, and so share a choice of tiles. In floats, groups of both sizes do.
pub(crate) struct Family {
    /// The key of its choices in the files that users keep: never change it.
    pub name: &'static str,
    /// The tiles that a GPU may choose from.
    pub tiles: &'static [Tile],
    /// The tiles that are timed for each row class.
    pub candidates: Candidates,
    /// The chosen tile of each row class, as an index into `tiles`.
    chosen: RwLock<[Option<usize>; ROW_CLASSES.len()]>,
}

static PACKED4: Family = Family::new("Packed4", &GPU, GPU_CANDIDATES);
static PACKED8: Family = Family::new("Packed8", &GPU, GPU_CANDIDATES);
static DENSE: Family = Family::new("Dense", &GPU, GPU_CANDIDATES);
static F16_WEIGHTS: Family = Family::new("F16", &GPU, GPU_CANDIDATES);
static BF16_WEIGHTS: Family = Family::new("BF16", &GPU, GPU_CANDIDATES);
static E4M3_WEIGHTS: Family = Family::new("E4M3", &GPU, GPU_CANDIDATES);
static E5M2_WEIGHTS: Family = Family::new("E5M2", &GPU, GPU_CANDIDATES);
static I8_WEIGHTS: Family = Family::new("I8", &GPU, GPU_CANDIDATES);
static I16_WEIGHTS: Family = Family::new("I16", &GPU, GPU_CANDIDATES);
static I4_WEIGHTS: Family = Family::new("I4", &GPU, GPU_CANDIDATES);
static F4_WEIGHTS: Family = Family::new("F4", &GPU, GPU_CANDIDATES);
static ODD4_WEIGHTS: Family = Family::new("Odd4", &GPU, GPU_CANDIDATES);
static PACKED4_INT8: Family = Family::new("Packed4 int8", &INT8, INT8_CANDIDATES);
static PACKED4_INT8_BY_16: Family = Family::new("Packed4 int8 by 16", &INT8, INT8_CANDIDATES);
static PACKED8_INT8: Family = Family::new("Packed8 int8", &INT8, INT8_CANDIDATES);
static PACKED8_INT8_BY_16: Family = Family::new("Packed8 int8 by 16", &INT8, INT8_CANDIDATES);
static PACKED4_F16: Family = Family::new("Packed4 f16", &F16, F16_CANDIDATES);
static PACKED8_F16: Family = Family::new("Packed8 f16", &F16, F16_CANDIDATES);

impl Family {
    const fn new(name: &'static str, tiles: &'static [Tile], candidates: Candidates) -> Self {
        Self { name, tiles, candidates, chosen: RwLock::new([None; ROW_CLASSES.len()]) }
    }

    /// Uses `tiles[tile]` from now on for products of a row class.
    pub(crate) fn choose(&self, class: usize, tile: usize) {
        if let Ok(mut chosen) = self.chosen.write() {
            chosen[class] = Some(tile);
        }
    }

    /// The tile of a row class: the chosen one, or the first candidate.
    fn tile(&self, class: usize) -> Tile {
        let chosen = self.chosen.read().ok().and_then(|chosen| chosen[class]);
        self.tiles[chosen.unwrap_or(self.candidates[class][0])]
    }
}

impl ProductKind {
    /// The family of its kernels.
    pub(crate) fn family(self) -> &'static Family {
        match (self.layout, self.arithmetic) {
            (Layout::Packed4 { .. }, Arithmetic::F32) => &PACKED4,
            (Layout::Packed8 { .. }, Arithmetic::F32) => &PACKED8,
            (Layout::Dense, _) => &DENSE,
            (Layout::Half(Half::F16), _) => &F16_WEIGHTS,
            (Layout::Half(Half::BF16), _) => &BF16_WEIGHTS,
            (Layout::Scaled { code: Code::E4M3, .. }, _) => &E4M3_WEIGHTS,
            (Layout::Scaled { code: Code::E5M2, .. }, _) => &E5M2_WEIGHTS,
            (Layout::Scaled { code: Code::I8, .. }, _) => &I8_WEIGHTS,
            (Layout::Scaled { code: Code::I16, .. }, _) => &I16_WEIGHTS,
            (Layout::Scaled { code: Code::I4, .. }, _) => &I4_WEIGHTS,
            (Layout::Scaled { code: Code::Odd4, .. }, _) => &ODD4_WEIGHTS,
            (Layout::Scaled { code: Code::F4, .. }, _) => &F4_WEIGHTS,
            (Layout::Packed4 { group: 32 }, Arithmetic::Int8) => &PACKED4_INT8,
            (Layout::Packed4 { .. }, Arithmetic::Int8) => &PACKED4_INT8_BY_16,
            (Layout::Packed8 { group: 32 }, Arithmetic::Int8) => &PACKED8_INT8,
            (Layout::Packed8 { .. }, Arithmetic::Int8) => &PACKED8_INT8_BY_16,
            (Layout::Packed4 { .. }, Arithmetic::F16) => &PACKED4_F16,
            (Layout::Packed8 { .. }, Arithmetic::F16) => &PACKED8_F16,
        }
    }
}

thread_local! {
    /// This thread's override, set by [`as_tile`].
    static TILE: Cell<Option<Tile>> = const { Cell::new(None) };
}

/// The tile for a product of `rows` rows: this thread's override, or the one that fits the adapter's class and the
/// choices.
pub(crate) fn for_rows(rows: usize, kind: ProductKind) -> Tile {
    match TILE.get() {
        Some(tile) => tile,
        None if kind.arithmetic == Arithmetic::F32 && is_software() => match kind.layout {
            Layout::Half(_) | Layout::Scaled { code: Code::E4M3 | Code::E5M2 | Code::F4, .. }
                if rows > SOFTWARE.rows =>
            {
                SOFTWARE_FLOATS
            }
            _ => SOFTWARE,
        },
        None => kind.family().tile(class(rows)),
    }
}

/// Runs `work` with all of this thread's products in `tile`, which fits their arithmetic; results are the same.
pub fn as_tile<R>(tile: Tile, work: impl FnOnce() -> R) -> R {
    with(&TILE, tile, work)
}

/// The row class of a product, as an index into [`ROW_CLASSES`].
fn class(rows: usize) -> usize {
    ROW_CLASSES[..ROW_CLASSES.len() - 1].iter().take_while(|most| rows > **most).count()
}
