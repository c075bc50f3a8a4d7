//! Several weights of one input as one weight: q, k and v, or gate and up, are then a single product.

use super::half_float::{f32_to_half, half_to_f32};
use super::layout::{Half, Layout};
use super::packed::Packed;

/// Joins weights of the same layout and input into one weight, whose outputs are those of `parts`, one after the other;
/// `None` if layouts or inputs differ, or there are no parts.
///
/// The parts share the largest factor: numbers in f16 of the others become smaller by a power of two, which is exact as
/// long as they stay above f16's subnormal range, 2^-28 of the largest.
pub fn join_outputs(parts: &[Packed]) -> Option<Packed> {
    let [first, ..] = parts else { return None };
    if parts.iter().any(|part| (part.layout, part.in_features) != (first.layout, first.in_features)) {
        return None;
    }
    let factor = parts.iter().fold(f32::MIN_POSITIVE, |all, part| all.max(part.factor));
    let half = |bits: u32, ratio: f32| f32_to_half(half_to_f32(bits & 0xffff) * ratio);
    let scaled = |part: &Packed, pairs: &[u32]| -> Vec<u32> {
        let ratio = part.factor / factor;
        pairs.iter().map(|pair| half(*pair, ratio) | half(*pair >> 16, ratio) << 16).collect()
    };
    let beside = |columns: Vec<&[u32]>| {
        let mut all = Vec::with_capacity(columns.iter().map(|values| values.len()).sum());
        for row in 0..columns[0].len() / first.out_features {
            for (values, part) in columns.iter().zip(parts) {
                all.extend_from_slice(&values[row * part.out_features..][..part.out_features]);
            }
        }
        all
    };
    let words = || beside(parts.iter().map(|part| &part.words[..]).collect());
    let scales = || beside(parts.iter().map(|part| &part.scales[..]).collect());
    let all_scaled = |field: fn(&Packed) -> &[u32]| {
        let scaled: Vec<_> = parts.iter().map(|part| scaled(part, field(part))).collect();
        beside(scaled.iter().map(Vec::as_slice).collect())
    };
    let (words, scales) = match first.layout {
        Layout::Dense | Layout::Half(Half::BF16) => (words(), vec![0]),
        Layout::Half(Half::F16) => (all_scaled(|part| &part.words), vec![0]),
        Layout::Scaled { .. } => (words(), scales()),
        Layout::Packed4 { .. } | Layout::Packed8 { .. } => (words(), all_scaled(|part| &part.scales)),
    };
    Some(Packed {
        layout: first.layout,
        out_features: parts.iter().map(|part| part.out_features).sum(),
        in_features: first.in_features,
        words,
        scales,
        factor,
    })
}
