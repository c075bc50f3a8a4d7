//! How a product is cut into invocations: a short list, and which of it is taken for how many rows.
//!
//! Every tile adds in the order of k, and those of GPUs with the same fused multiply-adds: a row's result does not depend
//! on the tile, so a choice can be measured anew without changing an embedding.

use super::Arithmetic;
use crate::kernel::launch;
use crate::quant::Layout;
use std::cell::Cell;
use std::fmt;
use std::sync::RwLock;

/// The part of the output that one invocation owns: `rows` x `columns`, with `lanes` invocations along N and along M.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    pub kind: Kind,
    pub rows: usize,
    pub columns: usize,
    pub lanes: [u32; 2],
}

/// Where the operands of the sums are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// All in registers, the sums stored in a loop: written out, their edges and addends are most of what a software
    /// adapter has to compile, and it has no registers that an array would be moved out of.
    Software,
    /// All in registers, with fused multiply-adds.
    Registers,
    /// Sixteen k of x and of the dequantized weight in the workgroup's memory, or thirty-two as halves or codes.
    Shared,
}

impl Tile {
    /// Rows and columns of a workgroup.
    pub fn outputs(self) -> [usize; 2] {
        [self.rows * self.lanes[1] as usize, self.columns * self.lanes[0] as usize]
    }
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { kind, rows, columns, lanes: [x, y] } = self;
        write!(f, "{kind:?} {rows}x{columns}, {x}x{y} lanes")
    }
}

/// For software adapters.
///
/// What decides there (SwiftShader's compiler, read in its source and measured): a load is four branches and forty-odd
/// instructions for four lanes, a shift is done lane by lane, a store to a `var` is masked, a barrier switches fibers. So
/// a tile is wide along N, where all columns share the loaded `x`; codes are masked in place and scaled by a power of two
/// instead of being shifted; a sum takes 8 values of k in one expression; there is no workgroup memory. 2-core GFLOP/s by
/// processor time, 64x576x1536, rows x columns: 16x8 with shifts 2.4 to 3.9, 8x12 5.4, 4x24 5.9, 8x24 7.1, 16x24 8.2
/// (which takes twice as long to compile). One tile for all: few rows are soon done, and each pipeline takes a second to
/// compile.
const SOFTWARE: Tile = Tile { kind: Kind::Software, rows: 8, columns: 24, lanes: [8, 1] };

/// For GPUs, of which [`Tuning`](super::super::Tuning) takes what the adapter runs fastest.
///
/// What to expect of each, for 16 k of 4-bit weights: operations and bytes that a workgroup takes from memory (64 a row
/// of x; 8 of codes and 2 of scales a column), registers of an invocation (sums, operands, about 20 for addresses),
/// workgroup memory (rows of x are padded to 80 bytes, so that neighbouring rows lie in other banks).
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
/// A GPU of 20 TFLOP/s and 500 GB/s needs 40 operations a byte; neighbouring workgroups share one operand through the
/// second-level cache, so 24 do. The first three read each code once an invocation that dequantizes it for its rows
/// alone: good for few rows, where the weight is read once anyway and memory decides; they put few rows on many
/// workgroups (N = 4096: 32). The shared ones dequantize a code once for 32 or 64 rows; of their 16-lane groups a vec4 of
/// x is a broadcast and one of w conflict-free. 64 x 64 needs 1,024 tokens at N = 960 to fill 240 workgroups, so smaller
/// tiles win on wide GPUs with short texts. Up to 128 registers, half of the threads that an SM or CU holds are resident
/// (16 warps of 32); 13 KiB let three to seven workgroups stand side by side in 48 to 96 KiB.
pub const GPU: [Tile; 7] = [
    Tile { kind: Kind::Registers, rows: 4, columns: 2, lanes: [64, 1] },
    Tile { kind: Kind::Registers, rows: 8, columns: 2, lanes: [64, 1] },
    Tile { kind: Kind::Registers, rows: 8, columns: 4, lanes: [32, 2] },
    Tile { kind: Kind::Shared, rows: 4, columns: 8, lanes: [8, 8] },
    Tile { kind: Kind::Shared, rows: 4, columns: 8, lanes: [8, 16] },
    Tile { kind: Kind::Shared, rows: 8, columns: 8, lanes: [8, 8] },
    Tile { kind: Kind::Shared, rows: 8, columns: 8, lanes: [16, 8] },
];

/// For integers, software adapters among them: the same in memory of the workgroup, a quarter as large.
///
/// For 32 k of 4-bit weights, as above (128 bytes a row of x; 16 of codes and 4 of scales a column). A dot product of four
/// codes counts eight operations; beside each sum in f32 stands one of integers.
///
/// | tile              | outputs | operations | bytes | per byte | registers | workgroup memory |
/// |-------------------|---------|------------|-------|----------|-----------|------------------|
/// | Shared 1x8, 8x8   | 8 x 64  | 32,768     | 2,304 | 14       | 52        | 2.9 KiB          |
/// | Shared 4x8, 8x8   | 32 x 64 | 131,072    | 5,376 | 24       | 108       | 4 KiB            |
/// | Shared 4x8, 8x16  | 64 x 64 | 262,144    | 9,472 | 28       | 108       | 5.3 KiB          |
///
/// A row is rounded by one invocation, once a workgroup: 200 operations for 64 columns' 512 dot products. Eight rows a
/// lane would hold 128 registers of sums.
pub const INT8: [Tile; 3] = [
    Tile { kind: Kind::Shared, rows: 1, columns: 8, lanes: [8, 8] },
    Tile { kind: Kind::Shared, rows: 4, columns: 8, lanes: [8, 8] },
    Tile { kind: Kind::Shared, rows: 4, columns: 8, lanes: [8, 16] },
];

/// For half precision: as for integers, in memory of the workgroup that is half as large as with f32.
///
/// For 32 k of 4-bit weights, as above. Beside the sums in f32 stand eight k of eight columns' weights, in 32 registers, and of
/// one row at a time x and the sums of eight.
///
/// | tile              | outputs  | FLOP    | bytes  | FLOP/byte | registers | workgroup memory |
/// |-------------------|----------|---------|--------|-----------|-----------|------------------|
/// | Shared 1x8, 8x8   | 8 x 64   | 32,768  | 2,304  | 14        | 70        | 4.6 KiB          |
/// | Shared 4x8, 8x8   | 32 x 64  | 131,072 | 5,376  | 24        | 94        | 6.4 KiB          |
/// | Shared 4x8, 8x16  | 64 x 64  | 262,144 | 9,472  | 28        | 94        | 8.8 KiB          |
/// | Shared 8x8, 8x8   | 64 x 64  | 262,144 | 9,472  | 28        | 126       | 8.8 KiB          |
/// | Shared 8x8, 16x8  | 64 x 128 | 524,288 | 10,752 | 49        | 126       | 12.8 KiB         |
///
/// Where an instruction multiplies and adds two halves, 8 k of a row by 8 columns are 32 instructions, and 16 more that take
/// their sums to f32 and add them there; in f32 alone they are 64. Longer runs would spare some, and round more.
pub const F16: [Tile; 5] = [
    Tile { kind: Kind::Shared, rows: 1, columns: 8, lanes: [8, 8] },
    Tile { kind: Kind::Shared, rows: 4, columns: 8, lanes: [8, 8] },
    Tile { kind: Kind::Shared, rows: 4, columns: 8, lanes: [8, 16] },
    Tile { kind: Kind::Shared, rows: 8, columns: 8, lanes: [8, 8] },
    Tile { kind: Kind::Shared, rows: 8, columns: 8, lanes: [16, 8] },
];

/// Numbers of rows that are told apart: at most 8, 32, 128, and more. They are measured at these, and at the last.
pub const ROWS: [usize; 4] = [8, 32, 128, 512];
/// Which of [`GPU`] are measured for each, the one first that is taken unmeasured.
const GPU_CANDIDATES: [&[usize]; ROWS.len()] = [&[1, 0, 3], &[2, 1, 3], &[3, 2, 4, 5], &[4, 3, 5, 6]];
/// The same of [`F16`].
const F16_CANDIDATES: [&[usize]; ROWS.len()] = [&[0, 1], &[1, 0], &[1, 2, 3], &[2, 3, 4]];
/// The same of [`INT8`].
const INT8_CANDIDATES: [&[usize]; ROWS.len()] = [&[0, 1], &[1, 0], &[1, 2], &[2, 1]];

/// Products that have pipelines of their own. In floats, groups of both sizes share them.
const NAMES: [&str; 8] = [
    "Packed4",
    "Packed8",
    "Dense",
    "Packed4 int8",
    "Packed8 int8",
    "Packed8 int8 by 16",
    "Packed4 f16",
    "Packed8 f16",
];

/// Indices into the tiles of each, one a class of rows.
static CHOSEN: RwLock<[[Option<usize>; ROWS.len()]; NAMES.len()]> =
    RwLock::new([[None; ROWS.len()]; NAMES.len()]);

thread_local! {
    /// What [`as_tile`] asks for.
    static TILE: Cell<Option<Tile>> = const { Cell::new(None) };
}

/// The tile for a product of `rows` rows.
pub fn for_rows(rows: usize, layout: Layout, arithmetic: Arithmetic) -> Tile {
    let class = class(rows);
    let chosen = || CHOSEN.read().ok().and_then(|all| all[index(layout, arithmetic)][class]);
    match TILE.get() {
        Some(tile) => tile,
        None if arithmetic == Arithmetic::F32 && launch::is_software() => SOFTWARE,
        None => tiles(arithmetic)[chosen().unwrap_or(candidates(arithmetic)[class][0])],
    }
}

/// Takes that one of [`tiles`] from now on for the class of rows.
pub fn choose(layout: Layout, arithmetic: Arithmetic, class: usize, tile: usize) {
    if let Ok(mut all) = CHOSEN.write() {
        all[index(layout, arithmetic)][class] = Some(tile);
    }
}

/// The tiles of a GPU.
pub fn tiles(arithmetic: Arithmetic) -> &'static [Tile] {
    match arithmetic {
        Arithmetic::F32 => &GPU,
        Arithmetic::F16 => &F16,
        Arithmetic::Int8 => &INT8,
    }
}

/// Which of [`tiles`] are measured for each class of rows.
pub fn candidates(arithmetic: Arithmetic) -> &'static [&'static [usize]; ROWS.len()] {
    match arithmetic {
        Arithmetic::F32 => &GPU_CANDIDATES,
        Arithmetic::F16 => &F16_CANDIDATES,
        Arithmetic::Int8 => &INT8_CANDIDATES,
    }
}

/// The name of a product's pipelines.
pub fn name(layout: Layout, arithmetic: Arithmetic) -> &'static str {
    NAMES[index(layout, arithmetic)]
}

/// Runs `work` with products in `tile`.
pub fn as_tile<R>(tile: Tile, work: impl FnOnce() -> R) -> R {
    launch::with(&TILE, tile, work)
}

fn class(rows: usize) -> usize {
    ROWS[..ROWS.len() - 1].iter().take_while(|most| rows > **most).count()
}

fn index(layout: Layout, arithmetic: Arithmetic) -> usize {
    match (layout, arithmetic) {
        (Layout::Packed4, Arithmetic::F32) => 0,
        (Layout::Packed8 { .. }, Arithmetic::F32) => 1,
        (Layout::Dense, _) => 2,
        (Layout::Packed4, Arithmetic::Int8) => 3,
        (Layout::Packed8 { group: 32 }, Arithmetic::Int8) => 4,
        (Layout::Packed8 { .. }, Arithmetic::Int8) => 5,
        (Layout::Packed4, Arithmetic::F16) => 6,
        (Layout::Packed8 { .. }, Arithmetic::F16) => 7,
    }
}
