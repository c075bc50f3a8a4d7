//! Text of kernels that is written out by loops: WGSL has no register arrays that every compiler keeps in registers.

/// The components of a vec4.
pub(crate) const COMPONENTS: [&str; 4] = ["x", "y", "z", "w"];

/// `line(0)` to `line(count - 1)`, one below the other.
pub(crate) fn lines(count: usize, line: &dyn Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().join("\n")
}
