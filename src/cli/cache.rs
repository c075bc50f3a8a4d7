//! Finished vectors on disk, so that a stopped run goes on where it was. One file for each scope:
//! a line of the scope's JSON, then records of equal length: the vector's name (32 bytes), the vector with its checksum
//! (f32, little-endian). A damaged record is dropped, and said. An unusable cache is reported and ignored: it never costs a run.

use super::args::CacheOptions;
use super::output::tell;
use gran_ted::device::Device;
use gran_ted::format::hex;
use gran_ted::ted::Run;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Result, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const KEY: usize = 32;

/// The open file of a run's scope; `None` inside where there is no cache.
pub struct Cache(Option<Open>);

struct Open {
    path: PathBuf,
    file: File,
    /// Bytes before the first record.
    start: u64,
    vector_length: usize,
}

impl Cache {
    /// The file for the scope of `run`.
    pub fn open(options: &CacheOptions, run: &Run) -> Self {
        let folder = match &options.cache {
            Some(folder) => Some(folder.clone()),
            None => user_cache(),
        };
        let Some(folder) = folder.filter(|_| !options.no_cache) else { return Self(None) };
        let path = folder.join(format!("{}.vectors", &run.scope_id()[..32]));
        match Open::new(&folder, &path, run) {
            Ok(open) => Self(Some(open)),
            Err(error) => {
                tell(&format!("warning: this run can't be resumed: `{}`: {error}", path.display()));
                Self(None)
            }
        }
    }

    /// Whether finished vectors are kept.
    pub fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Gives the run the stored vectors of its texts.
    pub fn restore(&mut self, run: &mut Run) {
        let Some(open) = &mut self.0 else { return };
        if let Err(error) = open.restore(run) {
            tell(&format!("warning: cannot read `{}`: {error}", open.path.display()));
        }
        let progress = run.progress();
        if progress.damaged > 0 {
            let (count, place) = (progress.damaged, open.path.display());
            tell(&format!("warning: {count} vectors in `{place}` are damaged, and are computed anew"));
        }
        if progress.restored > 0 {
            let (count, total, place) = (progress.restored, progress.total_texts, open.path.display());
            tell(&format!("{count} of {total} texts are restored from `{place}`"));
        }
    }

    /// Appends fresh vectors.
    pub fn keep(&mut self, fresh: Vec<(String, Vec<f32>)>) {
        let Some(open) = &mut self.0 else { return };
        if let Err(error) = open.append(&fresh) {
            tell(&format!(
                "warning: this run can't be resumed from here: `{}`: {error}",
                open.path.display()
            ));
            self.0 = None;
        }
    }
}

impl Open {
    fn new(folder: &Path, path: &Path, run: &Run) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        file.try_lock().map_err(|_| std::io::Error::other("another run is using it"))?;
        let line = format!("{}\n", run.scope());
        let mut found = String::new();
        BufReader::new(&file).take(1 + line.len() as u64).read_line(&mut found)?;
        if found != line {
            if !found.is_empty() {
                tell(&format!("warning: `{}` is damaged: all vectors are computed anew", path.display()));
            }
            file.set_len(0)?; // empty, or torn in its first line
            file.write_all(line.as_bytes())?;
        }
        let open =
            Self { path: path.into(), start: line.len() as u64, vector_length: run.stored_length(), file };
        let records = (open.file.metadata()?.len() - open.start) / open.record();
        open.file.set_len(open.start + records * open.record())?; // a torn record is cut off
        Ok(open)
    }

    fn record(&self) -> u64 {
        (KEY + self.vector_length * size_of::<f32>()) as u64
    }

    /// Gives the run its vectors, and drops the records that are damaged.
    fn restore(&mut self, run: &mut Run) -> Result<()> {
        let keys: HashMap<String, usize> = run.keys().into_iter().zip(0..).collect();
        self.file.seek(SeekFrom::Start(self.start))?;
        let mut reader = BufReader::with_capacity(1 << 20, &self.file);
        let mut record = vec![0; self.record() as usize];
        let (mut whole, mut damaged) = (Vec::new(), false);
        for number in 0.. {
            if reader.read_exact(&mut record).is_err() {
                break;
            }
            let (name, values) = record.split_at(KEY);
            let name = hex(name);
            let values = values.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            let values: Vec<f32> = values.collect();
            let is_whole = match keys.get(&name) {
                Some(text) => run.restore(*text, &values),
                None => run.is_whole(&name, &values),
            };
            damaged |= !is_whole;
            whole.extend(is_whole.then_some(number));
        }
        if damaged { self.keep_records(&whole) } else { Ok(()) }
    }

    /// Keeps the records with these numbers, which are in order, and drops the others.
    fn keep_records(&mut self, numbers: &[u64]) -> Result<()> {
        let mut kept = Vec::with_capacity(numbers.len() * self.record() as usize);
        for number in numbers {
            self.file.seek(SeekFrom::Start(self.start + number * self.record()))?;
            (&self.file).take(self.record()).read_to_end(&mut kept)?;
        }
        self.file.set_len(self.start)?;
        self.file.write_all(&kept)
    }

    fn append(&mut self, fresh: &[(String, Vec<f32>)]) -> Result<()> {
        let mut bytes = Vec::with_capacity(fresh.len() * self.record() as usize);
        for (key, vector) in fresh {
            bytes.extend((0..KEY).filter_map(|i| u8::from_str_radix(&key[2 * i..2 * i + 2], 16).ok()));
            bytes.extend(vector.iter().flat_map(|value| value.to_le_bytes()));
        }
        self.file.write_all(&bytes)
    }
}

/// The tiles that were measured on this adapter; `None` where there are none.
pub fn tiles(device: &Device) -> Option<String> {
    std::fs::read_to_string(tiles_path(device)?).ok()
}

/// Keeps the tiles of this adapter. Where that fails, they are measured again the next time.
pub fn keep_tiles(device: &Device, tiles: &str) {
    if let Some(path) = tiles_path(device)
        && let Some(folder) = path.parent()
        && std::fs::create_dir_all(folder).is_ok()
    {
        let _ = std::fs::write(path, tiles);
    }
}

fn tiles_path(device: &Device) -> Option<PathBuf> {
    let adapter = device.adapter.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    Some(user_cache()?.join(format!("{}-{adapter:.100}.tiles.json", env!("CARGO_PKG_VERSION"))))
}

/// `gran-ted` in the folder that the system gives a user for caches.
fn user_cache() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("XDG_CACHE_HOME")
        .or_else(|| folder("LOCALAPPDATA"))
        .or_else(|| Some(folder("HOME")?.join(".cache")))
        .map(|cache| cache.join("gran-ted"))
}
