//! Whether the adapter is a CPU in disguise: such an adapter wants other kernels. One fact, in one place.
//!
//! [`Device::gpu`](super::Device::gpu) records it. Kernels read it when they are launched, and compute the same either way.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::LocalKey;

/// Whether this process's adapter is software; a process has one wgpu device.
static SOFTWARE: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// This thread's override, set by [`as_class`].
    static CLASS: Cell<Option<bool>> = const { Cell::new(None) };
}

/// Records whether this process's adapter is software. A page may say otherwise, to try the other kernels.
pub fn set_software(software: bool) {
    SOFTWARE.store(software, Ordering::Relaxed);
}

/// Whether kernels are launched for a software adapter.
pub fn is_software() -> bool {
    CLASS.get().unwrap_or_else(|| SOFTWARE.load(Ordering::Relaxed))
}

/// Runs `work` with the kernels for software adapters, or with the others, on any adapter. The results are the same.
pub fn as_class<R>(software: bool, work: impl FnOnce() -> R) -> R {
    with(&CLASS, software, work)
}

/// Runs `work` with `cell` set on this thread, and resets it even if `work` panics.
pub(crate) fn with<T: Copy + 'static, R>(
    cell: &'static LocalKey<Cell<Option<T>>>,
    value: T,
    work: impl FnOnce() -> R,
) -> R {
    struct Reset<T: Copy + 'static>(&'static LocalKey<Cell<Option<T>>>, Option<T>);
    impl<T: Copy + 'static> Drop for Reset<T> {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _reset = Reset(cell, cell.replace(Some(value)));
    work()
}
