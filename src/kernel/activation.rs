//! The activations of an MLP, once as WGSL and once in Rust. They are the ends of products and of [`super::glu`].

use crate::kernel::cpu::vector::exp;

/// The function between the projections of an MLP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `x / (1 + e^-x)`, also called swish (arXiv 1702.03118).
    Silu,
    /// `x Φ(x)`, Φ the normal distribution (arXiv 1606.08415).
    Gelu,
    /// The approximation of [`Self::Gelu`] by `tanh`, of the same paper: `gelu_new`, `gelu_pytorch_tanh`.
    GeluTanh,
    /// The approximation of [`Self::Gelu`] by `x / (1 + e^(-1.702 x))`: CLIP's `quick_gelu`.
    QuickGelu,
    /// `max(x, 0)`
    Relu,
}

/// Past this size of its argument `tanh` is 1 in f32, and the exponential in some drivers' `tanh` overflows soon after.
const TANH_IS_ONE: f32 = 10.0;

/// `sqrt(2 / pi)`
const GELU_FACTOR: f32 = 0.797_884_6;
/// The coefficient of the cube in [`Activation::GeluTanh`].
const GELU_CUBE: f32 = 0.044_715;

/// The error function as a quotient of polynomials in x², times x; |x| is at most [`ERF_IS_ONE`]. The coefficients are
/// those of Eigen's `generic_fast_erf_float` (MPL-2.0); they are within 4e-7 of erf.
const ERF_NUMERATOR: [f32; 7] = [
    -2.726_142_3e-10,
    2.770_681_4e-8,
    -2.101_024e-6,
    -5.692_506_4e-5,
    -7.349_906_4e-4,
    -2.954_6e-3,
    -1.609_603_3e-2,
];
const ERF_DENOMINATOR: [f32; 5] =
    [-1.456_607_2e-5, -2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2];
/// Where the quotient has reached 1.
const ERF_IS_ONE: f32 = 4.0;

impl Activation {
    /// The body of a WGSL function of `v: f32`.
    pub(in crate::kernel) fn wgsl(self) -> String {
        let horner = |factors: &[f32]| {
            let (first, rest) = factors.split_first().unwrap_or((&0.0, &[]));
            rest.iter().fold(format!("{first:e}"), |sum, factor| format!("({sum} * s + {factor:e})"))
        };
        match self {
            Self::Silu => "return v / (1.0 + exp(-v));".into(),
            Self::QuickGelu => "return v / (1.0 + exp(-1.702 * v));".into(),
            Self::Relu => "return max(v, 0.0);".into(),
            Self::GeluTanh => format!(
                "let t = {GELU_FACTOR:e} * (v + {GELU_CUBE:e} * v * v * v);
                return 0.5 * v * (1.0 + tanh(clamp(t, -{TANH_IS_ONE:e}, {TANH_IS_ONE:e})));"
            ),
            Self::Gelu => format!(
                "let x = clamp(v * {:e}, -{ERF_IS_ONE:e}, {ERF_IS_ONE:e});
                let s = x * x;
                return 0.5 * v * (1.0 + x * {} / {});",
                std::f32::consts::FRAC_1_SQRT_2,
                horner(&ERF_NUMERATOR),
                horner(&ERF_DENOMINATOR),
            ),
        }
    }

    /// Its value at `v`; `FMA` as in [`exp`].
    #[inline(always)]
    pub(in crate::kernel) fn apply<const FMA: bool>(self, v: f32) -> f32 {
        match self {
            Self::Silu => v / (1.0 + exp::<FMA>(-v)),
            Self::QuickGelu => v / (1.0 + exp::<FMA>(-1.702 * v)),
            Self::Relu => v.max(0.0),
            Self::GeluTanh => {
                let t = GELU_FACTOR * (v + GELU_CUBE * v * v * v);
                0.5 * v * (1.0 + tanh::<FMA>(t))
            }
            Self::Gelu => {
                let x = (v * std::f32::consts::FRAC_1_SQRT_2).clamp(-ERF_IS_ONE, ERF_IS_ONE);
                let s = x * x;
                let horner = |factors: &[f32]| factors.iter().fold(0.0, |sum, factor| sum * s + factor);
                0.5 * v * (1.0 + x * horner(&ERF_NUMERATOR) / horner(&ERF_DENOMINATOR))
            }
        }
    }
}

/// `tanh(x)` by [`exp`], for loops that are vectorized.
#[inline(always)]
pub(in crate::kernel) fn tanh<const FMA: bool>(x: f32) -> f32 {
    let x = x.clamp(-TANH_IS_ONE, TANH_IS_ONE);
    // Near zero the quotient loses digits: there the series to x^7 has all of them.
    if x.abs() < 0.15 {
        let s = x * x;
        return x * (1.0 + s * (-1.0 / 3.0 + s * (2.0 / 15.0 - s * (17.0 / 315.0))));
    }
    let power = exp::<FMA>(2.0 * x);
    (power - 1.0) / (power + 1.0)
}

/// The text of `tanh` of the expression `x` in WGSL, for every size of `x`.
pub(in crate::kernel) fn tanh_wgsl(x: &str) -> String {
    format!("tanh(clamp({x}, -{TANH_IS_ONE:e}, {TANH_IS_ONE:e}))")
}

#[cfg(test)]
mod tests {
    use super::{Activation, tanh};

    #[test]
    fn values_are_those_of_the_formulas() {
        // The error function by Simpson's rule, in f64.
        let erf = |x: f64| {
            const STEPS: i32 = 400;
            let h = x / f64::from(STEPS);
            let at = |i: i32| (-(h * f64::from(i)).powi(2)).exp();
            let inner: f64 = (1..STEPS).map(|i| if i % 2 == 1 { 4.0 * at(i) } else { 2.0 * at(i) }).sum();
            2.0 / std::f64::consts::PI.sqrt() * h / 3.0 * (at(0) + inner + at(STEPS))
        };
        for step in -8000..=8000 {
            let v = step as f64 * 1e-3;
            let expected = [
                (Activation::Silu, v / (1.0 + (-v).exp())),
                (Activation::Gelu, 0.5 * v * (1.0 + erf(v / 2f64.sqrt()))),
                (
                    Activation::GeluTanh,
                    0.5 * v
                        * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (v + 0.044715 * v.powi(3))).tanh()),
                ),
                (Activation::QuickGelu, v / (1.0 + (-1.702 * v).exp())),
                (Activation::Relu, v.max(0.0)),
            ];
            for (activation, expected) in expected {
                for found in [activation.apply::<false>(v as f32), activation.apply::<true>(v as f32)] {
                    let apart = (f64::from(found) - expected).abs();
                    assert!(apart < 1e-6 * v.abs().max(0.1), "{activation:?}({v}) = {found}, not {expected}");
                }
            }
            let apart = (f64::from(tanh::<false>(v as f32)) - v.tanh()).abs();
            assert!(apart <= 1e-6 * v.tanh().abs(), "tanh({v}) is {apart} off");
        }
    }
}
