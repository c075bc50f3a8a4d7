//! Pickle, protocols 2 to 5: a stack machine whose opcodes build values. This one runs the opcodes that build tensors,
//! dictionaries, lists, numbers and text; objects of other programs become inert values that nothing reads, and nothing
//! in a file is ever executed.
//! Specification: <https://github.com/python/cpython/blob/main/Lib/pickletools.py>.

use super::value::{Pickle, Value};
use crate::error::{Error, Result};

/// The opcodes that a pickle may hold, for messages.
const ALLOWED: &str = "opcodes of protocol 2 to 5 without extensions";

impl<'a> Pickle<'a> {
    /// Reads the pickle `bytes` of the checkpoint `file`. Returns its outermost value and the tables of all values.
    pub(super) fn read(file: &'a str, bytes: &'a [u8]) -> Result<(Value<'a>, Self)> {
        let (stack, marks, memo) = (Vec::new(), Vec::new(), Vec::new());
        let mut machine = Machine { file, bytes, at: 0, stack, marks, memo, values: Self::default() };
        loop {
            match machine.take(1)?[0] {
                b'.' => return Ok((machine.top()?, machine.values)),
                opcode => machine.step(opcode)?,
            }
        }
    }
}

/// The state of the machine between two opcodes.
pub(super) struct Machine<'a> {
    file: &'a str,
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// The heights of the stack at each `MARK`; nothing below the last one is popped.
    marks: Vec<usize>,
    memo: Vec<Value<'a>>,
    pub(super) values: Pickle<'a>,
}

impl<'a> Machine<'a> {
    /// Runs one opcode. Its arguments are the next bytes.
    fn step(&mut self, opcode: u8) -> Result<()> {
        let value = match opcode {
            // 1. Opcodes that only change what is there.
            0x80 => return self.protocol(),
            0x95 => return self.take(8).map(drop), // FRAME
            b'(' => {
                self.marks.push(self.stack.len());
                return Ok(());
            }
            b'0' => return self.pop::<1>().map(drop),
            b'1' => return self.pop_mark().map(drop),
            b'q' => return self.number(1).and_then(|index| self.put(index)),
            b'r' => return self.number(4).and_then(|index| self.put(index)),
            0x94 => return self.put(self.memo.len() as u64),
            b'a' => return self.pop::<1>().and_then(|_| self.append()),
            b'e' => return self.pop_mark().and_then(|_| self.append()),
            b's' => return self.pop::<2>().and_then(|item| self.set_items(&item)),
            b'u' => return self.pop_mark().and_then(|items| self.set_items(&items)),
            0x90 => return self.pop_mark().and_then(|_| self.append()), // ADDITEMS
            0x98 => return self.top().map(drop),                        // READONLY_BUFFER
            b'b' => return self.pop().and_then(|[state]| self.build(state)),

            // 2. Opcodes that add a value: plain ones,
            b'N' => Value::None,
            0x88 | 0x89 => Value::Plain, // True, False
            b'G' => self.take(8).map(|_| Value::Plain)?,
            b'K' => self.number(1).map(|number| Value::Int(number as i64))?,
            b'M' => self.number(2).map(|number| Value::Int(number as i64))?,
            b'J' => self.take(4).map(integer)?,
            0x8a => self.sized(1).map(integer)?,
            0x8b => self.sized(4).map(integer)?,
            0x8c | b'U' => self.text(1)?,
            b'X' | b'T' => self.text(4)?,
            0x8d => self.text(8)?,
            b'C' => self.sized(1).map(|_| Value::Plain)?,
            b'B' => self.sized(4).map(|_| Value::Plain)?,
            0x8e | 0x96 => self.sized(8).map(|_| Value::Plain)?,
            b'h' => self.get(1)?,
            b'j' => self.get(4)?,

            // containers, and the objects that torch makes of them.
            b']' | 0x8f => Value::List,                     // a set too
            0x91 => self.pop_mark().map(|_| Value::Plain)?, // FROZENSET
            b'2' => self.top()?,
            b'}' => self.values.dict(),
            b')' => self.values.tuple(Vec::new()),
            0x85 => self.pop::<1>().map(|items| self.values.tuple(items.into()))?,
            0x86 => self.pop::<2>().map(|items| self.values.tuple(items.into()))?,
            0x87 => self.pop::<3>().map(|items| self.values.tuple(items.into()))?,
            b't' => self.pop_mark().map(|items| self.values.tuple(items))?,
            b'c' => {
                let names = [self.line()?, self.line()?];
                self.global(names.map(Value::Text))?
            }
            0x93 => self.pop().and_then(|names| self.global(names))?,
            b'R' => self.pop().and_then(|[function, arguments]| self.reduce(function, arguments))?,
            0x81 => self.pop().and_then(|[class, arguments]| self.reduce(class, arguments))?, // NEWOBJ
            0x92 => self.pop().and_then(|[class, arguments, _]| self.reduce(class, arguments))?, // NEWOBJ_EX
            b'Q' => self.pop().and_then(|[id]| self.persistent(id))?,
            _ => return Err(self.malformed(ALLOWED, format!("the opcode {opcode:#04x}"))),
        };
        self.stack.push(value);
        Ok(())
    }

    /// The next `len` bytes.
    fn take(&mut self, len: u64) -> Result<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let Some(bytes) = usize::try_from(len).ok().and_then(|len| rest.get(..len)) else {
            let found = format!("its end at byte {}", self.bytes.len());
            return Err(self.malformed("a pickle that ends with STOP", found));
        };
        self.at += bytes.len();
        Ok(bytes)
    }

    /// The number in the next `width` bytes, which are 8 or fewer.
    fn number(&mut self, width: u64) -> Result<u64> {
        Ok(self.take(width)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    /// The next bytes, after their number, which takes `width` bytes.
    fn sized(&mut self, width: u64) -> Result<&'a [u8]> {
        let len = self.number(width)?;
        self.take(len)
    }

    fn text(&mut self, width: u64) -> Result<Value<'a>> {
        let bytes = self.sized(width)?;
        self.utf8(bytes).map(Value::Text)
    }

    /// The text up to the end of the line.
    fn line(&mut self) -> Result<&'a str> {
        let rest = &self.bytes[self.at..];
        let len = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
        let line = self.take(len as u64)?;
        self.take(1)?;
        self.utf8(line)
    }

    fn utf8(&self, bytes: &'a [u8]) -> Result<&'a str> {
        str::from_utf8(bytes).map_err(|e| self.malformed("UTF-8 text", e.to_string()))
    }

    fn protocol(&mut self) -> Result<()> {
        match self.number(1)? {
            2..=5 => Ok(()),
            found => Err(self.malformed("a pickle of protocol 2 to 5", format!("protocol {found}"))),
        }
    }

    /// Takes the last `N` values from the stack.
    fn pop<const N: usize>(&mut self) -> Result<[Value<'a>; N]> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack[floor..].last_chunk() {
            Some(&values) => {
                self.stack.truncate(self.stack.len() - N);
                Ok(values)
            }
            None => Err(self.malformed("a value on the stack", format!("none at byte {}", self.at))),
        }
    }

    /// Takes all values above the last mark, and the mark itself.
    fn pop_mark(&mut self) -> Result<Vec<Value<'a>>> {
        match self.marks.pop() {
            // not `split_off`, which can leave all memory of the stack to a few values
            Some(mark) => Ok(self.stack.drain(mark..).collect()),
            None => Err(self.malformed("a mark on the stack", format!("none at byte {}", self.at))),
        }
    }

    /// The last value of the stack, which stays there.
    pub(super) fn top(&mut self) -> Result<Value<'a>> {
        let [top] = self.pop()?;
        self.stack.push(top);
        Ok(top)
    }

    /// Stores the last value as number `index` of the memo.
    fn put(&mut self, index: u64) -> Result<()> {
        let (top, len) = (self.top()?, self.memo.len() as u64);
        match self.memo.get_mut(index as usize) {
            Some(kept) => *kept = top,
            None if index == len => self.memo.push(top),
            None => return Err(self.malformed(format!("a memo index up to {len}"), index.to_string())),
        }
        Ok(())
    }

    fn get(&mut self, width: u64) -> Result<Value<'a>> {
        let index = self.number(width)?;
        let kept = self.memo.get(index as usize).copied();
        kept.ok_or_else(|| {
            self.malformed(format!("a memo of {} values", self.memo.len()), format!("index {index}"))
        })
    }

    /// Appends values to a list, which does not keep them.
    fn append(&mut self) -> Result<()> {
        match self.top()? {
            Value::List | Value::Inert(_) => Ok(()),
            found => Err(self.malformed("a list to append to", found.kind())),
        }
    }

    /// Adds `items`, keys and values in turn, to a dictionary.
    fn set_items(&mut self, items: &[Value<'a>]) -> Result<()> {
        if let Value::Inert(_) = self.top()? {
            return Ok(());
        }
        let Value::Dict(dict) = self.top()? else {
            let found = self.top()?.kind();
            return Err(self.malformed("a dictionary to put items into", found));
        };
        let (pairs, rest) = items.as_chunks();
        if !rest.is_empty() {
            return Err(self.malformed("a value for each key", format!("{} of both", items.len())));
        }
        self.values.dicts[dict].extend(pairs.iter().map(|&[key, value]| (key, value)));
        Ok(())
    }

    /// The [`Error::Malformed`] about the pickle.
    pub(super) fn malformed(&self, expected: impl Into<String>, found: impl Into<String>) -> Error {
        Error::malformed(self.file, "data.pkl", expected, found)
    }
}

/// The signed little-endian integer in `bytes`, which may be any number of them.
fn integer<'a>(bytes: &[u8]) -> Value<'a> {
    let mut wide = [if bytes.last().is_some_and(|byte| byte >> 7 == 1) { 0xff } else { 0 }; 8];
    match wide.get_mut(..bytes.len()) {
        Some(low) => low.copy_from_slice(bytes),
        None => return Value::Plain,
    }
    Value::Int(i64::from_le_bytes(wide))
}
