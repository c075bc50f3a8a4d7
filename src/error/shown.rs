//! Text of strangers on its way into a message or a table: a terminal takes control characters for orders, and nobody
//! reads a name of a megabyte.

use std::fmt::{self, Write};

/// The longest piece of a message that is quoted whole, in characters.
const LONGEST_PIECE: usize = 320;
/// The characters of a longer piece that are quoted from its begin and from its end.
const HEAD: usize = 220;
const TAIL: usize = 80;
/// The longest message, in bytes.
const LONGEST_MESSAGE: usize = 2000;

/// `text` with its control characters (C0, DEL, C1), line separators and bidirectional marks escaped, as `\n` or
/// `\u{1b}`; other text stays as it is.
///
/// ```
/// assert_eq!(gran_ted::error::shown("a red\n\u{1b}[31mcube"), "a red\\n\\u{1b}[31mcube");
/// assert_eq!(gran_ted::error::shown("un café 猫"), "un café 猫");
/// ```
pub fn shown(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.into();
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                shown.extend(c.escape_unicode());
            }
            c if c.is_control() => shown.extend(c.escape_default()),
            c => shown.push(c),
        }
    }
    shown
}

/// A message that is being written. Formatting gives it literals and values piece by piece: each piece is cut and
/// shown, so that a long name takes nothing away from the words after it.
#[derive(Default)]
pub(super) struct Message(String);

impl Message {
    /// The message, of bounded length.
    pub(super) fn finish(self) -> String {
        let Self(mut message) = self;
        if message.len() > LONGEST_MESSAGE {
            message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
            message.push('…');
        }
        message
    }
}

impl Write for Message {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.0.len() > LONGEST_MESSAGE {
            return Ok(());
        }
        let place = |count: usize| piece.char_indices().nth(count).map(|(at, _)| at);
        let Some(head) = place(LONGEST_PIECE).and(place(HEAD)) else {
            self.0 += &shown(piece);
            return Ok(());
        };
        let tail = piece.char_indices().rev().nth(TAIL - 1).map_or(piece.len(), |(at, _)| at);
        self.0 += &format!("{}…{}", shown(&piece[..head]), shown(&piece[tail..]));
        Ok(())
    }
}
