//! Mutations of binary files: the numbers of a GGUF header, the header and the values of safetensors, and plain bytes.

use super::json::{self, NUMBERS};
use crate::support::model::Random;

/// One to four changes of bytes anywhere: a bit, a byte, a run, a piece removed, doubled or moved, a number.
pub fn bytes(parent: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = parent.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = random.below(bytes.len() + 1);
        let end = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 if at < bytes.len() => bytes[at..end].fill([0, 0xff, 0x7f, 0x80, b'0', b'('][random.below(6)]),
            3 if at < bytes.len() => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            5 => {
                let from = random.below(bytes.len() + 1);
                let piece = bytes[from..(from + 8).min(bytes.len())].to_vec();
                bytes.splice(at..end, piece);
            }
            6 => {
                let number = NUMBERS[random.below(NUMBERS.len())].bytes();
                bytes.splice(at..end, number);
            }
            _ if random.below(8) == 0 => bytes.truncate(at),
            _ => bytes.insert(at, random.next() as u8),
        }
    }
    bytes
}

/// One to three numbers of the header, and sometimes a run of the weights.
pub fn gguf(parent: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut bytes = parent.to_vec();
    let fields = Fields::of(parent);
    if fields.is_empty() {
        return None;
    }
    for _ in 0..1 + random.below(3) {
        let (at, width) = fields[random.below(fields.len())];
        let old = number(&bytes, at, width)?;
        let new = match random.below(10) {
            0 => old.wrapping_add(1),
            1 => old.wrapping_sub(1),
            2 => old.wrapping_mul(2),
            3 => old / 2,
            4 => old.wrapping_add(32),
            5 => old.wrapping_sub(32),
            6 => f32::NAN.to_bits().into(),
            7 => 1 << random.below(64),
            8 => u64::MAX - random.below(64) as u64,
            _ => NUMBERS[random.below(25)].parse::<i128>().map_or(0, |number| number as u64),
        };
        bytes[at..at + width].copy_from_slice(&new.to_le_bytes()[..width]);
    }
    if random.below(3) == 0 {
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(64)).min(bytes.len());
        bytes[at..end].fill([0, 0xff, 0x7f, 0x80, 0x7c, 0xfc, 1][random.below(7)]);
    }
    Some(bytes)
}

/// The header's JSON, or runs of values.
pub fn safetensors(parent: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let start = usize::try_from(number(parent, 0, 8)?).ok()?.checked_add(8)?;
    let header = parent.get(8..start)?;
    if random.below(3) > 0 || parent.len() < start + 8 {
        let header = json::document(header, random)?;
        return Some([&(header.len() as u64).to_le_bytes(), &header[..], &parent[start..]].concat());
    }
    let values = [0.0, f32::MAX, f32::MIN, f32::NAN, f32::INFINITY, 1e-40, 1e20, -1e20, f32::MIN_POSITIVE]
        .map(f32::to_le_bytes);
    let mut bytes = parent.to_vec();
    for _ in 0..1 + random.below(4) {
        let at = start + random.below(bytes.len() - start) / 4 * 4;
        let value = values[random.below(values.len())];
        bytes[at..]
            .chunks_exact_mut(4)
            .take(1 + random.below(200))
            .for_each(|four| four.copy_from_slice(&value));
    }
    Some(bytes)
}

/// The little-endian number of `width` bytes at `at`.
fn number(data: &[u8], at: usize, width: usize) -> Option<u64> {
    let bytes = data.get(at..at.checked_add(width)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Walks a GGUF header and notes where its numbers are.
struct Fields<'a> {
    data: &'a [u8],
    at: usize,
    /// Offset and width of each.
    found: Vec<(usize, usize)>,
}

impl Fields<'_> {
    fn of(data: &[u8]) -> Vec<(usize, usize)> {
        let mut fields = Fields { data, at: 4, found: vec![] };
        fields.walk();
        fields.found
    }

    /// The next number, which is noted.
    fn take(&mut self, width: usize) -> Option<u64> {
        let number = number(self.data, self.at, width)?;
        self.found.push((self.at, width));
        self.at += width;
        Some(number)
    }

    fn text(&mut self) -> Option<()> {
        let len = usize::try_from(self.take(8)?).ok()?;
        self.at = self.at.checked_add(len)?;
        Some(())
    }

    fn walk(&mut self) -> Option<()> {
        self.take(4)?;
        let (tensors, entries) = (self.take(8)?, self.take(8)?);
        for _ in 0..entries.min(64) {
            self.text()?;
            let kind = self.take(4)?;
            self.value(kind)?;
        }
        for _ in 0..tensors.min(64) {
            self.text()?;
            for _ in 0..self.take(4)?.min(8) {
                self.take(8)?;
            }
            self.take(4)?;
            self.take(8)?;
        }
        Some(())
    }

    /// Of a long array, the first values alone are noted.
    fn value(&mut self, kind: u64) -> Option<()> {
        let (kind, count) = if kind == 9 { (self.take(4)?, self.take(8)?) } else { (kind, 1) };
        let width = *[1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8].get(usize::try_from(kind).ok()?)?;
        for index in 0..count.min(10_000) {
            let noted = self.found.len();
            if kind == 8 {
                self.text()?
            } else {
                self.take(width).map(|_| ())?
            }
            if index >= 8 {
                self.found.truncate(noted);
            }
        }
        Some(())
    }
}
