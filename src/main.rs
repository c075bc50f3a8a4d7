//! The command line; see `cli`.

#[cfg(not(target_family = "wasm"))]
mod cli;

#[cfg(not(target_family = "wasm"))]
fn main() -> std::process::ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    keep_freed_memory();
    cli::main()
}

/// Makes glibc keep freed activations. A pass frees and allocates the same ones in each layer; by default glibc
/// returns them to the system, whose fresh pages are zeroed and mapped one by one: a fifth of the time on 1024
/// tokens.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    const TRIM_THRESHOLD: i32 = -1;
    const MMAP_THRESHOLD: i32 = -3;
    const ACTIVATIONS: i32 = 32 << 20; // bytes; larger blocks, such as weights, still go back to the system
    const FREE: i32 = 512 << 20;
    unsafe extern "C" {
        /// malloc.h of glibc; both parameters are in bytes.
        fn mallopt(parameter: i32, value: i32) -> i32;
    }
    // SAFETY: no other thread runs yet.
    unsafe {
        mallopt(MMAP_THRESHOLD, ACTIVATIONS);
        mallopt(TRIM_THRESHOLD, FREE);
    }
}

#[cfg(target_family = "wasm")]
fn main() {}
