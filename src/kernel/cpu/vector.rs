//! Vector arithmetic of the CPU twins, compiled for the instructions that the processor has.
//!
//! [`simd!`] makes a function's AVX2 and baseline versions from one body and picks one at run time; `FMA` tells the
//! body whether fused multiply-add is an instruction or a slow library call. (AVX-512 gained 15 % at best.) Each stays
//! a function of its own: when several are inlined into one caller, they keep their sums in memory (1.4 times as long
//! in wasm).

use crate::quant::rounding::WHOLE;

/// Defines `fn name<P: Bound>(args) -> R` that runs `body::<FMA, P>(args)` with the best instructions at hand;
/// `<P: Bound>` is optional.
macro_rules! simd {
    (
        $vis:vis fn $name:ident $(<$panel:ident: $bound:ident>)? ($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?
        = $body:ident
    ) => {
        #[inline(never)]
        $vis fn $name $(<$panel: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn avx2 $(<$panel: $bound>)? ($($arg: $ty),*) $(-> $ret)? {
                    $body::<true $(, $panel)?>($($arg),*)
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has the instructions that the function is compiled for.
                    return unsafe { avx2 $(::<$panel>)? ($($arg),*) };
                }
            }
            $body::<{ cfg!(target_arch = "aarch64") } $(, $panel)?>($($arg),*)
        }
    };
}
pub(crate) use simd;

/// `a * b + c`, rounded once if `FMA`, and twice otherwise.
#[inline(always)]
pub(crate) fn madd<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Columns of a panel, the right operand of [`multiply_rows`]: a panel holds sixteen values of each k, side by side.
/// One dequantized panel of a weight stays in the second-level cache.
pub(crate) const PANEL: usize = 16;
/// Rows of a block, the left operand of [`multiply_rows`], whose sums it holds in registers: 6 x 16 sums are twelve of
/// AVX2's sixteen registers, 4 x 16 are all of wasm's. Measured against 4 x 8 to 24 x 16 and 6 x 64: within 15 % of the
/// best on AVX-512, AVX2 and SIMD128.
pub(crate) const BLOCK_ROWS: usize = if cfg!(target_family = "wasm") { 4 } else { 6 };

/// `sums[i][j] = sum_k x[k][i] * panel[k][j]`, in the order of k.
#[inline(always)]
pub(crate) fn multiply_rows<const FMA: bool>(
    x: &[[f32; BLOCK_ROWS]],
    panel: &[[f32; PANEL]],
) -> [[f32; PANEL]; BLOCK_ROWS] {
    let mut sums = [[0f32; PANEL]; BLOCK_ROWS];
    for (x, weights) in x.iter().zip(panel) {
        for i in 0..BLOCK_ROWS {
            for j in 0..PANEL {
                sums[i][j] = madd::<FMA>(x[i], weights[j], sums[i][j]);
            }
        }
    }
    sums
}

/// `sums += low * low + high * high` for the 16-bit halves of `w` and of `x`, which hold codes of a byte.
#[inline(always)]
pub(crate) fn dot_pairs<const FMA: bool>(sums: &mut [i32; PANEL], w: &[i32; PANEL], x: i32) {
    #[cfg(target_arch = "x86_64")]
    if FMA {
        use std::arch::x86_64::{
            __m256i, _mm256_add_epi32, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_set1_epi32,
            _mm256_storeu_si256,
        };
        let (sums, w) = (sums.as_chunks_mut::<8>().0, w.as_chunks::<8>().0);
        for (sums, w) in sums.iter_mut().zip(w) {
            let sums: *mut __m256i = sums.as_mut_ptr().cast();
            // SAFETY: `FMA` is only set on processors with AVX2; both operands are 256 bits, and may be unaligned.
            unsafe {
                let dots = _mm256_madd_epi16(_mm256_loadu_si256(w.as_ptr().cast()), _mm256_set1_epi32(x));
                _mm256_storeu_si256(sums, _mm256_add_epi32(_mm256_loadu_si256(sums), dots));
            }
        }
        return;
    }
    #[cfg(all(target_family = "wasm", target_feature = "simd128"))]
    {
        use std::arch::wasm32::{i32x4, i32x4_add, i32x4_dot_i16x8, i32x4_extract_lane, i32x4_splat};
        let (sums, w) = (sums.as_chunks_mut::<4>().0, w.as_chunks::<4>().0);
        for (sums, w) in sums.iter_mut().zip(w) {
            let dots = i32x4_dot_i16x8(i32x4(w[0], w[1], w[2], w[3]), i32x4_splat(x));
            let all = i32x4_add(i32x4(sums[0], sums[1], sums[2], sums[3]), dots);
            *sums = [
                i32x4_extract_lane::<0>(all),
                i32x4_extract_lane::<1>(all),
                i32x4_extract_lane::<2>(all),
                i32x4_extract_lane::<3>(all),
            ];
        }
        return;
    }
    #[allow(unreachable_code, reason = "the instructions above do the same")]
    for j in 0..PANEL {
        let half = |value: i32| (value as i16 as i32, value >> 16);
        let ((w_low, w_high), (x_low, x_high)) = (half(w[j]), half(x));
        sums[j] += w_low * x_low + w_high * x_high;
    }
}

/// `e^x` to within two units in the last place; x is clamped to [-87.3, 88]. It is written out because the library's
/// `exp` is a call, and loops with calls are not vectorized. Cody and Waite's reduction to |r| <= ln 2 / 2, then the
/// series to r^7.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    let x = x.clamp(-87.3, 88.0);
    let shifted = madd::<FMA>(x, std::f32::consts::LOG2_E, WHOLE);
    let n = shifted - WHOLE;
    let r = madd::<FMA>(n, 2.121_944_4e-4, madd::<FMA>(n, -0.693_359_4, x)); // ln 2 in two parts
    let mut p = 1.0 / 5040.0;
    for factor in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = madd::<FMA>(p, r, factor);
    }
    p * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}

/// `sum(a * b)`, in sixteen partial sums, so that the order of additions is fixed and vectors are full.
#[inline(always)]
pub(crate) fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0f32; LANES];
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for lane in 0..LANES {
            sums[lane] = madd::<FMA>(a[lane], b[lane], sums[lane]);
        }
    }
    for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] = madd::<FMA>(*a, *b, sums[lane]);
    }
    sums.iter().sum()
}

/// Runs `work(row, out_row)` for every row of `out`, which are `width` values each; on all cores if the target has
/// threads.
pub(crate) fn for_rows(out: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        out.par_chunks_mut(width).enumerate().for_each(|(row, out)| work(row, out));
    }
    #[cfg(target_family = "wasm")]
    out.chunks_mut(width).enumerate().for_each(|(row, out)| work(row, out));
}

#[cfg(test)]
mod tests {
    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let apart = |x: f32, found: f32| {
            let expected = f64::from(x).exp();
            assert!((f64::from(found) - expected).abs() <= 2.5e-7 * expected, "exp({x}) = {found}");
        };
        for step in -87_000..88_000 {
            let x = step as f32 * 1e-3;
            apart(x, super::exp::<false>(x));
            apart(x, super::exp::<true>(x));
        }
        assert_eq!(super::exp::<false>(0.0), 1.0);
        assert!(super::exp::<false>(f32::MIN) < 2e-38);
        assert!(super::exp::<false>(1000.0).is_finite());
    }
}
