//! Dense values -> the codes, scale and minimum of one group of 32, for a checkpoint that is packed while it loads.
//!
//! ```text
//! Q8   d = max |x| / 127                 code = round(x / d)             as ggml's Q8_0
//! I16  d = max |x| / 32767               code = round(x / d), and d is an f32
//! Q4   d = (max - min) / 15, m = min     code = round((x - m) / d)       as Q4_1, then least squares
//! ```
//! The scale and the minimum are rounded to f16's 11 bits before they choose the codes. Values that a group can hold
//! exactly come back exactly. Inner loops run over lanes, so that every compiler vectorizes them.

use super::layout::Layout;
use super::rounding::{round_even, round_to_half};

/// Values in a group that [`encode`] takes.
pub(super) const GROUP: usize = 32;

/// Rounds of least squares for Q4. Root mean square error relative to the formula's without any, on normal values, a
/// ffn_down and a token table (qwen2-0.5b, SmolLM2): 1 round 0.957, 2 rounds 0.940, 3 rounds 0.932, 5 rounds 0.927; a
/// search over 9 first scales, as ggml's for Q4_K, reaches 0.911 at ten times the work.
const LEAST_SQUARES_ROUNDS: usize = 3;

/// Values that [`lanes`] joins at a time: a vector of AVX2, two of SSE2 and of wasm.
const LANES: usize = 8;

/// The scale and the minimum of `values`; their codes go into `codes`. The scale is NaN if a value is not finite.
pub(super) fn encode(layout: Layout, values: &[f32; GROUP], codes: &mut [i8; GROUP]) -> (f32, f32) {
    // 0 * x is 0, or NaN if x is not finite.
    if sum(values.map(|value| 0.0 * value)) != 0.0 {
        return (f32::NAN, 0.0);
    }
    match layout {
        Layout::Packed4 { .. } => encode4(values, codes),
        _ => encode8(values, codes),
    }
}

fn encode8(values: &[f32; GROUP], codes: &mut [i8; GROUP]) -> (f32, f32) {
    let largest = lanes(values.map(f32::abs), f32::max);
    let scale = round_to_half(largest / 127.0);
    let inverse = invert(scale);
    *codes = values.map(|value| round_even((value * inverse).clamp(-127.0, 127.0)) as i8);
    (scale, 0.0)
}

/// The scale of `values` in integers of 16 bits; their codes go into `codes`. It is NaN if a value is not finite.
pub(super) fn encode16(values: &[f32; GROUP], codes: &mut [i16; GROUP]) -> f32 {
    if sum(values.map(|value| 0.0 * value)) != 0.0 {
        return f32::NAN;
    }
    let scale = lanes(values.map(f32::abs), f32::max) / 32767.0;
    let inverse = invert(scale);
    *codes = values.map(|value| round_even((value * inverse).clamp(-32767.0, 32767.0)) as i16);
    scale
}

fn encode4(values: &[f32; GROUP], codes: &mut [i8; GROUP]) -> (f32, f32) {
    let (first, last) = (lanes(*values, f32::min), lanes(*values, f32::max));
    let (mut scale, mut min) = (round_to_half((last - first) / 15.0), round_to_half(first));
    let (mut nearest, mut error) = choose(values, scale, min);
    for _ in 0..LEAST_SQUARES_ROUNDS {
        let (next_scale, next_min) = least_squares(values, first, &nearest);
        let (next, next_error) = choose(values, next_scale, next_min);
        if next_error >= error {
            break;
        }
        (scale, min, nearest, error) = (next_scale, next_min, next, next_error);
    }
    *codes = nearest.map(|code| code as i8);
    (scale, min)
}

/// The nearest codes 0..=15 for `scale` and `min`, and the sum of their squared errors.
fn choose(values: &[f32; GROUP], scale: f32, min: f32) -> ([f32; GROUP], f32) {
    let inverse = invert(scale);
    let nearest = values.map(|value| round_even(((value - min) * inverse).clamp(0.0, 15.0)));
    let mut errors = *values;
    for (error, code) in errors.iter_mut().zip(&nearest) {
        *error = (code * scale + min - *error).powi(2);
    }
    (nearest, sum(errors))
}

/// The scale and the minimum with the least squared error for given codes. Values enter the sums minus `first`, the
/// smallest: where a group's values are close together, these differences are small and lose no digits.
fn least_squares(values: &[f32; GROUP], first: f32, codes: &[f32; GROUP]) -> (f32, f32) {
    let above = values.map(|value| value - first);
    let mut products = above;
    products.iter_mut().zip(codes).for_each(|(product, code)| *product *= code);
    let (q, qq) = (sum(*codes), sum(codes.map(|code| code * code)));
    let (x, qx) = (sum(above), sum(products));
    let n = GROUP as f32;
    let determinant = n * qq - q * q; // whole numbers, exact
    if determinant == 0.0 {
        return (0.0, round_to_half(first + x / n));
    }
    let scale = (n * qx - q * x) / determinant;
    let min = (qq * x - q * qx) / determinant;
    (round_to_half(scale), round_to_half(first + min))
}

fn sum(values: [f32; GROUP]) -> f32 {
    lanes(values, |a, b| a + b)
}

/// Joins all values by an associative function, eight at a time.
fn lanes(values: [f32; GROUP], join: impl Fn(f32, f32) -> f32) -> f32 {
    let [first, rest @ ..] = values.as_chunks::<LANES>().0 else { return 0.0 };
    let mut all = *first;
    for lanes in rest {
        for (all, value) in all.iter_mut().zip(lanes) {
            *all = join(*all, *value);
        }
    }
    all.into_iter().reduce(join).unwrap_or_default()
}

/// `1 / scale`, or 0 if the scale is not positive: a group whose values are all equal.
fn invert(scale: f32) -> f32 {
    if scale > 0.0 { 1.0 / scale } else { 0.0 }
}
