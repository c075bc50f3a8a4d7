//! Kernels that sum over rows: how many invocations share a row, and how they add their sums. Called by `rms_norm` and
//! `layer_mix`.

use super::info::Info;
use super::{self as launch, Wgsl, fold};

/// A GPU's invocations a row: loads are neighbours. One barrier, then every invocation adds the partial sums in the
/// same order.
const LANES: u32 = 32;
/// A software adapter's rows a workgroup, each of one invocation: there a barrier switches fibers, and neighbouring
/// loads are no cheaper than others.
const ROWS: u32 = 4;

/// The kernel with its `sums` sums over a row filled in, and its workgroups for `rows` rows.
pub fn over_rows(
    name: &'static str,
    sources: &'static [&'static str],
    sums: usize,
    rows: usize,
    info: Info,
) -> (Wgsl, [usize; 3]) {
    const TOTALS: [&str; 2] = ["total_0", "total_1"];
    let software = launch::is_software();
    let (lanes, rows_each) = if software { (1, ROWS) } else { (LANES, 1) };
    let [x, y] = fold(rows.div_ceil(rows_each as usize));
    let mut kernel =
        Wgsl::new(name, sources, [lanes * rows_each, 1], info).set("lanes", lanes).set("rows", rows_each);
    let (mut shared, mut totals) = (String::new(), Vec::new());
    for index in 0..sums {
        if software {
            totals.push(String::new());
            continue;
        }
        shared += &format!("var<workgroup> partial_{index}: array<f32, {lanes}>;\n");
        totals.push(format!(
            "partial_{index}[lane] = sum;
            workgroupBarrier();
            sum = 0.0;
            for (var i = 0u; i < {lanes}u; i++) {{ sum += partial_{index}[i]; }}"
        ));
    }
    for (place, total) in TOTALS.into_iter().zip(totals) {
        kernel = kernel.set(place, total);
    }
    (kernel.set("shared", shared), [x, y, 1])
}
