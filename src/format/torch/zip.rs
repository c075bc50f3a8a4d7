//! The zip archive around a checkpoint, which is read from its end: end record (and its ZIP64 twin), then the
//! directory. The header of an entry is read only when its bytes are wanted: it alone tells the length of the
//! padding. Specification: <https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT>.

use crate::{
    error::{Error, Result},
    format::Source,
};
use std::{collections::HashMap, ops::Range};

/// The most entries that are accepted. A checkpoint has one for each tensor and a few more.
const MAX_ENTRIES: u64 = 1_000_000;
/// The largest directory that is accepted, in bytes: that many entries with the longest names a file system allows.
const DIRECTORY_LIMIT: u64 = 256 << 20;

/// Lengths of the format's records in bytes, without their names and comments.
const END_LEN: usize = 22;
const LOCATOR_LEN: usize = 20;
const END64_LEN: u64 = 56;
const LOCAL_LEN: u64 = 30;
const ENTRY_LEN: usize = 46;
/// The length of the longest comment after the end record.
const MAX_COMMENT: usize = 0xffff;

/// The value that stands for a number of 64 bits in an extra field.
const WIDE: u64 = 0xffff_ffff;

/// The directory of a zip archive.
pub(super) struct Zip<'a> {
    source: &'a dyn Source,
    /// The byte where the directory starts: every entry ends before it.
    data_end: u64,
    entries: HashMap<String, Entry>,
}

/// The directory's record of one entry.
struct Entry {
    /// The byte where the header of the entry starts.
    offset: u64,
    /// The number of its bytes in the archive.
    packed: u64,
    /// The number of its bytes when unpacked.
    size: u64,
    name_len: u64,
    flags: u64,
    /// The compression method; 0 is none.
    method: u64,
}

impl<'a> Zip<'a> {
    /// Reads the directory of `source`.
    pub(super) async fn read(source: &'a dyn Source) -> Result<Self> {
        let malformed = |expected: String, found: String| {
            Error::malformed(source.name(), "the zip directory", expected, found)
        };
        let (count, range) = directory(source).await?;
        let mut zip = Self { source, data_end: range.start, entries: HashMap::new() };
        let bytes = source.read(range).await?;
        let mut rest = &bytes[..];
        for index in 0..count {
            let Some((name, entry, after)) = next_entry(rest) else {
                let found = format!("something else at entry {index}");
                return Err(malformed(format!("{count} entries"), found));
            };
            rest = after;
            if zip.entries.contains_key(&name) {
                return Err(malformed("one entry of each name".into(), format!("a second `{name}`")));
            }
            zip.entries.insert(name, entry);
        }
        Ok(zip)
    }

    /// The names of all entries, in no order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Whether there is an entry `name`.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The bytes of the entry `name`. More than `limit` of them are refused.
    pub(super) async fn bytes(&self, name: &str, limit: u64) -> Result<Vec<u8>> {
        let range = self.range(name).await?;
        let (file, found) = (self.source.name().into(), range.end - range.start);
        if found > limit {
            return Err(Error::Absurd { file, item: format!("the size of `{name}`"), found, limit });
        }
        self.source.read(range).await
    }

    /// The range of the file where the bytes of the entry `name` lie.
    pub(super) async fn range(&self, name: &str) -> Result<Range<u64>> {
        let refuse = |expected: &str, found: String| {
            Err(Error::malformed(self.source.name(), format!("the zip entry `{name}`"), expected, found))
        };
        let Some(entry) = self.entries.get(name) else {
            return refuse("an entry of this name", "none".into());
        };
        if entry.flags & 1 == 1 {
            return refuse("bytes as they are", "an encrypted entry".into());
        }
        if entry.method != 0 {
            return refuse("bytes as they are", format!("compression method {}", entry.method));
        }
        if entry.packed != entry.size {
            return refuse(&format!("a size of {} bytes", entry.size), format!("{} bytes", entry.packed));
        }

        let name_end = entry.offset.saturating_add(LOCAL_LEN + entry.name_len);
        if name_end > self.data_end {
            let expected = format!("a place before the directory at byte {}", self.data_end);
            return refuse(&expected, format!("byte {}", entry.offset));
        }
        let header = self.source.read(entry.offset..name_end).await?;
        let (header, own_name) = header.split_at(LOCAL_LEN as usize);
        let same_name =
            own_name.len() as u64 == number::<2>(header, 26) && String::from_utf8_lossy(own_name) == name;
        if !header.starts_with(b"PK\x03\x04") || !same_name {
            return refuse("its header", format!("something else at byte {}", entry.offset));
        }
        let start = name_end + number::<2>(header, 28);
        let end = start.saturating_add(entry.size);
        if end > self.data_end {
            let expected = format!("an end before the directory at byte {}", self.data_end);
            return refuse(&expected, format!("bytes {start} to {end}"));
        }
        Ok(start..end)
    }
}

/// The number of entries, and the range of the file where the directory lies.
async fn directory(source: &dyn Source) -> Result<(u64, Range<u64>)> {
    // 1. The end record: the last one whose comment ends the file.
    let (file, size) = (source.name(), source.size());
    let tail_start = size.saturating_sub((LOCATOR_LEN + END_LEN + MAX_COMMENT) as u64);
    let tail = source.read(tail_start..size).await?;
    let is_end = |&at: &usize| {
        tail[at..].starts_with(b"PK\x05\x06")
            && (tail.len() - at - END_LEN) as u64 == number::<2>(&tail, at + 20)
    };
    let Some(at) = (0..(tail.len() + 1).saturating_sub(END_LEN)).rev().find(is_end) else {
        let (expected, found) = ("a directory at its end", "none, as in a file that was cut off");
        return Err(Error::malformed(file, "the zip archive", expected, found));
    };
    let mut limit = tail_start + at as u64;
    let mut record = [number::<2>(&tail, at + 10), number::<4>(&tail, at + 12), number::<4>(&tail, at + 16)];

    // 2. Its ZIP64 twin, which repeats the numbers that fit into the end record.
    let locator = at.checked_sub(LOCATOR_LEN).map(|start| &tail[start..at]);
    if let Some(locator) = locator.filter(|bytes| bytes.starts_with(b"PK\x06\x07")) {
        let wide = record64(source, number::<8>(locator, 8), limit - LOCATOR_LEN as u64).await?;
        for (wide, (narrow, max)) in wide.into_iter().zip(record.into_iter().zip([0xffff, WIDE, WIDE])) {
            if narrow != max && narrow != wide {
                let expected = format!("the end record's {narrow}");
                return Err(Error::malformed(file, "the ZIP64 end record", expected, wide.to_string()));
            }
        }
        limit = number::<8>(locator, 8);
        record = wide;
    }

    // 3. Check the numbers.
    let [count, len, start] = record;
    let absurd =
        |item: &str, found, limit| Err(Error::Absurd { file: file.into(), item: item.into(), found, limit });
    if count > MAX_ENTRIES {
        return absurd("the number of zip entries", count, MAX_ENTRIES);
    }
    if len > DIRECTORY_LIMIT {
        return absurd("the size of the zip directory", len, DIRECTORY_LIMIT);
    }
    let end = start.saturating_add(len);
    if end > limit {
        let (expected, found) = (format!("an end before byte {limit}"), format!("bytes {start} to {end}"));
        return Err(Error::malformed(file, "the zip directory", expected, found));
    }
    Ok((count, start..end))
}

/// The number of entries, and the size and the start of the directory, from the ZIP64 end record at `start`, which has
/// to end by `limit`.
async fn record64(source: &dyn Source, start: u64, limit: u64) -> Result<[u64; 3]> {
    let end = start.saturating_add(END64_LEN);
    let record = if end > limit { Vec::new() } else { source.read(start..end).await? };
    if !record.starts_with(b"PK\x06\x06") {
        let expected = format!("one that ends by byte {limit}");
        let found = format!("something else at byte {start}");
        return Err(Error::malformed(source.name(), "the ZIP64 end record", expected, found));
    }
    Ok([number::<8>(&record, 32), number::<8>(&record, 40), number::<8>(&record, 48)])
}

/// The first entry in `bytes`, which are of the directory, and the bytes after it.
fn next_entry(bytes: &[u8]) -> Option<(String, Entry, &[u8])> {
    let (fixed, rest) = bytes.split_at_checked(ENTRY_LEN)?;
    if !fixed.starts_with(b"PK\x01\x02") {
        return None;
    }
    let name_len = number::<2>(fixed, 28);
    let (name, rest) = rest.split_at_checked(name_len as usize)?;
    let (extra, rest) = rest.split_at_checked(number::<2>(fixed, 30) as usize)?;
    let (_comment, rest) = rest.split_at_checked(number::<2>(fixed, 32) as usize)?;
    let narrow = [number::<4>(fixed, 24), number::<4>(fixed, 20), number::<4>(fixed, 42)];
    let [size, packed, offset] = widened(narrow, extra)?;
    let (flags, method) = (number::<2>(fixed, 8), number::<2>(fixed, 10));
    let entry = Entry { offset, packed, size, name_len, flags, method };
    Some((String::from_utf8_lossy(name).into_owned(), entry, rest))
}

/// `numbers`, with each [`WIDE`] among them replaced from the ZIP64 extra field, which has only these, in this order.
fn widened(mut numbers: [u64; 3], mut extra: &[u8]) -> Option<[u64; 3]> {
    if !numbers.contains(&WIDE) {
        return Some(numbers);
    }
    loop {
        let (head, rest) = extra.split_at_checked(4)?;
        let (mut field, rest) = rest.split_at_checked(number::<2>(head, 2) as usize)?;
        extra = rest;
        if number::<2>(head, 0) != 1 {
            continue;
        }
        for value in numbers.iter_mut().filter(|value| **value == WIDE) {
            let (wide, rest) = field.split_first_chunk()?;
            (*value, field) = (u64::from_le_bytes(*wide), rest);
        }
        return Some(numbers);
    }
}

/// The little-endian number of `N` bytes at `at`.
fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + N].iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}
