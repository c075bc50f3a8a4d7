//! Kernels that sum over rows: how many invocations share a row, and how they add their sums; rows.wgsl gives them
//! their row. Called by `norm`.

use super::info::Info;
use super::{Wgsl, fold};
use crate::device::class::is_software;

/// A GPU's invocations per row: they load neighboring values. After one barrier, every invocation adds the partial sums
/// in the same order.
const LANES_PER_ROW: u32 = 32;
/// A software adapter's rows per workgroup, each of one invocation: there a barrier switches fibers, and loads of
/// neighboring values are no cheaper than others.
const ROWS_PER_WORKGROUP: u32 = 4;

/// The kernel of `source` with its `sums` sums over a row filled in, and its workgroups for the `rows` rows that `info`
/// has as `T`. The kernel adds its own values to `sum`, and finds the row's total there after the place `total_0` or
/// `total_1`.
pub(crate) fn over_rows(
    name: &'static str,
    source: &'static str,
    sums: usize,
    rows: usize,
    info: Info,
) -> (Wgsl, [usize; 3]) {
    const TOTALS: [&str; 2] = ["total_0", "total_1"];
    let software = is_software();
    let (lanes, rows_each) = if software { (1, ROWS_PER_WORKGROUP) } else { (LANES_PER_ROW, 1) };
    let [x, y] = fold(rows.div_ceil(rows_each as usize));
    let sources = [include_str!("rows.wgsl"), source];
    let mut kernel =
        Wgsl::new(name, &sources, [lanes * rows_each, 1], info).set("lanes", lanes).set("rows", rows_each);
    let mut shared = String::new();
    for (index, place) in TOTALS.into_iter().take(sums).enumerate() {
        if software {
            kernel = kernel.set(place, "");
            continue;
        }
        shared += &format!("var<workgroup> partial_{index}: array<f32, {lanes}>;\n");
        let total = format!(
            "partial_{index}[lane] = sum;
            workgroupBarrier();
            sum = 0.0;
            for (var i = 0u; i < {lanes}u; i++) {{ sum += partial_{index}[i]; }}"
        );
        kernel = kernel.set(place, total);
    }
    (kernel.set("shared", shared), [x, y, 1])
}
