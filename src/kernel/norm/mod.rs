//! Operations with a norm over each row.

pub(super) mod layer_mix;
pub(super) mod layer_norm;
pub(super) mod rms_norm;

/// The mean of `x` and its variance around that mean.
#[inline(always)]
fn mean_and_variance(x: &[f32]) -> (f32, f32) {
    let mean = sum_of(x, |x| x) / x.len() as f32;
    (mean, sum_of(x, |x| (x - mean) * (x - mean)) / x.len() as f32)
}

/// `sum(value(x))` in sixteen partial sums, in the order of [`super::cpu::vector::dot`].
#[inline(always)]
fn sum_of(x: &[f32], value: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0f32; 16];
    let (chunks, rest) = x.as_chunks::<16>();
    for chunk in chunks {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += value(*x);
        }
    }
    for (sum, x) in sums.iter_mut().zip(rest) {
        *sum += value(*x);
    }
    sums.iter().sum()
}
