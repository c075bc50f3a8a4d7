//! Vector arithmetic of the CPU twins, compiled for the instructions the processor has.
//!
//! [`simd!`] makes a function's AVX2 and baseline versions from one body and picks one at run time; `FMA` tells the
//! body whether fused multiply-add is an instruction or a slow library call. (AVX-512 gained 15 % at best.)

/// Defines `fn name(args) -> R` that runs `body::<FMA>(args)` with the best instructions at hand.
macro_rules! simd {
    ($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? = $body:ident) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? { $body::<true>($($arg),*) }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has the instructions the function is compiled for.
                    return unsafe { avx2($($arg),*) };
                }
            }
            $body::<{ cfg!(target_arch = "aarch64") }>($($arg),*)
        }
    };
}
pub(super) use simd;

/// `a * b + c`, rounded once where `FMA`.
#[inline(always)]
pub fn madd<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `sum(a * b)`. Sixteen partial sums, so that the order of additions is fixed and vectors are full.
#[inline(always)]
pub fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
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

/// `y += a * x`.
#[inline(always)]
pub fn axpy<const FMA: bool>(a: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = madd::<FMA>(a, *x, *y);
    }
}

/// Runs `work(row, out_row)` for every row of `out`, on all cores where there are threads.
pub fn for_rows(out: &mut [f32], width: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    #[cfg(not(target_family = "wasm"))]
    {
        use rayon::prelude::*;
        out.par_chunks_mut(width).enumerate().for_each(|(row, out)| work(row, out));
    }
    #[cfg(target_family = "wasm")]
    out.chunks_mut(width).enumerate().for_each(|(row, out)| work(row, out));
}
