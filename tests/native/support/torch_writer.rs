//! Writes checkpoints for tests as `torch.save` does: the opcodes of pickled values, and the zip archive around them.
//! Faults are made on purpose, so nothing is checked.

use gran_ted::format::{Read, Source, check_range};
use std::{cell::RefCell, ops::Range};

/// The low `width` bytes of a number.
pub fn le(number: u64, width: usize) -> Vec<u8> {
    number.to_le_bytes()[..width].into()
}

/// A zip archive in the making, whose entries are stored and padded as torch's are, and can end with many zeros.
#[derive(Default)]
pub struct Archive {
    /// The bytes that are not zero, each piece with its place.
    pieces: Vec<(u64, Vec<u8>)>,
    size: u64,
    directory: Vec<u8>,
    count: u64,
    wide: bool,
}

impl Archive {
    /// An archive whose numbers are all in ZIP64 fields.
    pub fn wide() -> Self {
        Self { wide: true, ..Self::default() }
    }

    fn push(&mut self, bytes: Vec<u8>) {
        let start = self.size;
        self.size += bytes.len() as u64;
        self.pieces.push((start, bytes));
    }

    /// Adds an entry of `bytes` and then `zeros` of zero.
    pub fn entry(mut self, name: &str, bytes: &[u8], zeros: u64) -> Self {
        let (offset, size) = (self.size, bytes.len() as u64 + zeros);
        let lens = [le(name.len() as u64, 2), le(7, 2)].concat();
        self.push([b"PK\x03\x04", &[0; 22][..], &lens, name.as_bytes(), b"FB\x03\0ZZZ", bytes].concat());
        self.size += zeros;

        let numbers = [size, size, offset];
        // A field of another kind stands before that of ZIP64.
        let wide =
            [&[9, 9, 1, 0, 7, 1, 0, 24, 0][..], &numbers.map(|number| le(number, 8)).concat()].concat();
        let (narrow, extra) = if self.wide { ([u32::MAX.into(); 3], wide) } else { (numbers, vec![]) };
        self.directory.extend([b"PK\x01\x02", &[0; 16][..], &le(narrow[0], 4), &le(narrow[1], 4)].concat());
        self.directory.extend([le(name.len() as u64, 2), le(extra.len() as u64, 2), vec![0; 10]].concat());
        self.directory.extend([&le(narrow[2], 4), name.as_bytes(), &extra].concat());
        self.count += 1;
        self
    }

    /// The file, with its directory.
    pub fn write(mut self) -> Sparse {
        let (start, len, count) = (self.size, self.directory.len() as u64, self.count);
        let directory = std::mem::take(&mut self.directory);
        self.push(directory);
        let mut end = [count, count, len, start];
        if self.wide {
            let record_start = self.size;
            let numbers = end.map(|number| le(number, 8)).concat();
            self.push([b"PK\x06\x06", &le(44, 8)[..], &[0; 12], &numbers].concat());
            self.push([b"PK\x06\x07", &[0; 4][..], &le(record_start, 8), &[1, 0, 0, 0]].concat());
            end = [0xffff, 0xffff, 0xffff_ffff, 0xffff_ffff];
        }
        let end = [le(end[0], 2), le(end[1], 2), le(end[2], 4), le(end[3], 4)].concat();
        self.push([b"PK\x05\x06", &[0; 4][..], &end, &[0, 0]].concat());
        Sparse { size: self.size, pieces: self.pieces, ranges: RefCell::default() }
    }
}

/// A file of any size that is mostly zeros; it remembers which ranges were asked of it.
pub struct Sparse {
    pub size: u64,
    pub pieces: Vec<(u64, Vec<u8>)>,
    pub ranges: RefCell<Vec<Range<u64>>>,
}

impl Source for Sparse {
    fn name(&self) -> &str {
        "m.pt"
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, range: Range<u64>) -> Read<'_> {
        Box::pin(async move {
            check_range(self, &range)?;
            self.ranges.borrow_mut().push(range.clone());
            let mut bytes = vec![0; (range.end - range.start) as usize];
            for (start, piece) in &self.pieces {
                for at in range.start.max(*start)..range.end.min(start + piece.len() as u64) {
                    bytes[(at - range.start) as usize] = piece[(at - start) as usize];
                }
            }
            Ok(bytes)
        })
    }
}

/// The bytes of `archive`.
pub fn bytes_of(archive: Archive) -> Vec<u8> {
    let source = archive.write();
    pollster::block_on(source.read(0..source.size)).unwrap()
}

/// A pickle of protocol 2.
pub fn pickle(value: &[u8]) -> Vec<u8> {
    [b"\x80\x02", value, b"."].concat()
}

pub fn text(text: &str) -> Vec<u8> {
    [b"X", &le(text.len() as u64, 4)[..], text.as_bytes()].concat()
}

pub fn int(number: i32) -> Vec<u8> {
    [b"J", &number.to_le_bytes()[..]].concat()
}

pub fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &items.concat()[..], b"t"].concat()
}

pub fn ints(numbers: &[i32]) -> Vec<u8> {
    tuple(&numbers.iter().map(|&number| int(number)).collect::<Vec<_>>())
}

pub fn dict(items: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items = items.iter().map(|(key, value)| [&text(key)[..], value].concat()).collect::<Vec<_>>();
    [b"}(", &items.concat()[..], b"u"].concat()
}

pub fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into()
}

pub fn call(module: &str, name: &str, arguments: &[Vec<u8>]) -> Vec<u8> {
    [global(module, name), tuple(arguments), b"R".to_vec()].concat()
}

pub fn storage(class: &str, key: &str, len: i32) -> Vec<u8> {
    let id = [text("storage"), global("torch", class), text(key), text("cuda:0"), int(len)];
    [tuple(&id), b"Q".to_vec()].concat()
}

/// The arguments that rebuild a tensor.
pub fn view(storage: Vec<u8>, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<Vec<u8>> {
    vec![
        storage,
        int(offset),
        ints(shape),
        ints(strides),
        vec![0x89],
        call("collections", "OrderedDict", &[]),
    ]
}

pub fn tensor(storage: Vec<u8>, offset: i32, shape: &[i32], strides: &[i32]) -> Vec<u8> {
    call("torch._utils", "_rebuild_tensor_v2", &view(storage, offset, shape, strides))
}

/// Two numbers of float32 in the storage 0.
pub fn two() -> Vec<u8> {
    tensor(storage("FloatStorage", "0", 2), 0, &[2], &[1])
}

/// The archive `epoch_1` of the pickle of `value`, without storages.
pub fn archive(value: &[u8]) -> Archive {
    Archive::default().entry("epoch_1/data.pkl", &pickle(value), 0)
}

/// A checkpoint of `value` with the storages 0 and 1, of 24 and 16 bytes.
pub fn checkpoint(value: &[u8]) -> Vec<u8> {
    bytes_of(archive(value).entry("epoch_1/data/0", &[7; 24], 0).entry("epoch_1/data/1", &[8; 16], 0))
}
