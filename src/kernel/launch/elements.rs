//! Kernels with one invocation per element; elements.wgsl gives them their element. Called by `elementwise`, `peak` and
//! `rotary`.

use super::info::Info;
use super::{Wgsl, fold};

/// Invocations of a workgroup.
const WORKGROUP: usize = 64;

/// The kernel of `source`, and its workgroups for `count` elements: surplus invocations leave by comparing
/// `element(at)` with a size in `info`.
pub(crate) fn over_elements(
    name: &'static str,
    source: &'static str,
    count: usize,
    info: Info,
) -> (Wgsl, [usize; 3]) {
    let [x, y] = fold(count.div_ceil(WORKGROUP));
    let sources = [include_str!("elements.wgsl"), source];
    (Wgsl::new(name, &sources, [WORKGROUP as u32, 1], info), [x, y, 1])
}
