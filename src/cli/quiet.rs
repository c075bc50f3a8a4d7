//! Standard error without the lines of other libraries: while a GPU is looked for, its drivers print errors about displays
//! that nobody needs, and a person takes them for this program's.

#[cfg(unix)]
pub use unix::quietly;

/// Does `work`. Gives its result, and no lines: only on unix can they be held back.
#[cfg(not(unix))]
pub fn quietly<T>(work: impl FnOnce() -> T) -> (T, String) {
    (work(), String::new())
}

#[cfg(unix)]
mod unix {
    use std::fs::{File, OpenOptions};
    use std::io::{Read, Result, Seek, SeekFrom, Write};
    use std::os::fd::{AsFd, AsRawFd, OwnedFd};

    /// The descriptor of standard error.
    const STDERR: i32 = 2;
    /// The most bytes of the held lines that are given back.
    const MOST: u64 = 16 << 10;

    unsafe extern "C" {
        /// unistd.h: makes `new` a copy of `old`, after closing it; -1 where that fails.
        fn dup2(old: i32, new: i32) -> i32;
    }

    /// Does `work` while standard error goes into a file without a name. Gives its result and what was written meanwhile.
    pub fn quietly<T>(work: impl FnOnce() -> T) -> (T, String) {
        let Ok(held) = Held::new() else { return (work(), String::new()) };
        let done = work();
        (done, held.lines())
    }

    /// Standard error, turned away until this is dropped, also by a panic.
    struct Held {
        own: OwnedFd,
        file: File,
    }

    impl Held {
        fn new() -> Result<Self> {
            let own = std::io::stderr().as_fd().try_clone_to_owned()?;
            let file = nameless().or_else(|_| File::options().write(true).open("/dev/null"))?;
            turn(file.as_raw_fd())?;
            Ok(Self { own, file })
        }

        fn lines(self) -> String {
            let mut file = self.file.try_clone();
            drop(self);
            let mut bytes = Vec::new();
            if let Ok(file) = &mut file
                && file.seek(SeekFrom::Start(0)).is_ok()
            {
                let _ = file.take(MOST).read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        }
    }

    impl Drop for Held {
        fn drop(&mut self) {
            let _ = std::io::stderr().flush();
            let _ = turn(self.own.as_raw_fd());
        }
    }

    /// Makes standard error what `to` is.
    fn turn(to: i32) -> Result<()> {
        // SAFETY: both descriptors are open, and owned by the caller or by the process for its whole life; standard error
        // is replaced in one step, so that no other file can take its number meanwhile.
        match unsafe { dup2(to, STDERR) } {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// A file that goes away with its descriptor.
    fn nameless() -> Result<File> {
        let path = std::env::temp_dir().join(format!(".gran-ted-{}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        std::fs::remove_file(path)?;
        Ok(file)
    }
}
