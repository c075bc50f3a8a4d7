//! The first Ctrl-C ends a run after its batch, so that its report and its finished vectors are kept.

use super::output::tell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status that a shell gives a program that Ctrl-C ended.
pub const INTERRUPTED: u8 = 130;

/// Set by the first Ctrl-C; a second one ends the program.
pub fn stop_on_interrupt() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = stop.clone();
    let handler = move || {
        if seen.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    };
    if let Err(error) = ctrlc::set_handler(handler) {
        tell(&format!("warning: Ctrl-C will not stop cleanly: {error}"));
    }
    stop
}
