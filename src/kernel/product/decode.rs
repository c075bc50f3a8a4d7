//! The text of weights that decode.wgsl decodes, for the products in f32.

use crate::quant::{Code, Half, Layout};

/// The source that a product with a weight of `layout` needs: it is none for the others, whose kernels stay as short.
pub(super) fn source(layout: Layout) -> &'static str {
    match layout {
        Layout::Half(Half::F16) | Layout::Scaled { code: Code::E4M3 | Code::E5M2 | Code::F4, .. } => {
            include_str!("decode.wgsl")
        }
        _ => "",
    }
}

/// The expression of what a scale of [`Layout::Scaled`] is multiplied with, from its bits.
pub(super) fn scale(code: Code, bits: &str) -> String {
    let unit = match code {
        Code::E4M3 => -7.0f64,
        Code::E5M2 => -15.0,
        Code::I8 | Code::I16 | Code::I4 | Code::Odd4 | Code::F4 => return format!("bitcast<f32>({bits})"),
    };
    format!("bitcast<f32>({bits}) * {:e}", unit.exp2())
}

/// The expression of a code's value, from a word in whose uppermost bits it stands and from [`scale`].
pub(super) fn scaled(code: Code, top: &str, scale: &str) -> String {
    match code {
        Code::E4M3 => format!("e4m3({top}, {scale})"),
        Code::E5M2 => format!("e5m2({top}, {scale})"),
        Code::F4 => format!("fp4({top}, {scale})"),
        Code::I8 => format!("f32(bitcast<i32>({top}) >> 24u) * {scale}"),
        Code::I16 => format!("f32(bitcast<i32>({top}) >> 16u) * {scale}"),
        Code::I4 => format!("(f32({top} >> 28u) - 8.0) * {scale}"),
        Code::Odd4 => format!("(f32({top} >> 28u) - 7.5) * {scale}"),
    }
}

/// The expression of a number of 16 bits, from a word whose upper half it is; `factor` is the weight's.
pub(super) fn half(half: Half, top: &str, factor: &str) -> String {
    match half {
        Half::F16 => format!("f16_value({top}, {factor} * {:e})", 112f64.exp2()),
        Half::BF16 => format!("bitcast<f32>({top})"),
    }
}
