//! A guess at what a file is that no reader takes, and what to do about it: for messages of every reader.

/// The kinds of file that people give instead of a model, a data set or a report, by their first bytes.
const MAGIC: [(&[u8], &str); 16] = [
    (b"GGUF", "a GGUF file"),
    (b"PK\x03\x04", "a zip archive, as a pickled checkpoint (.bin, .pt) is: save a model as .safetensors"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"\xfd7zXZ", "an xz archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it first"),
    (b"Rar!", "a rar archive: unpack it first"),
    (b"\x00\x05\x16\x07", "a file of notes that macOS has left (AppleDouble): take the one without `._`"),
    (b"\x89HDF", "an HDF5 file: save the model as .safetensors"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"%PDF", "a PDF document"),
    (b"tjgg", "a file of llama.cpp's old format (GGJT): convert the model to GGUF"),
    (b"fmgg", "a file of llama.cpp's old format (GGMF): convert the model to GGUF"),
    (b"lmgg", "a file of llama.cpp's old format (GGML): convert the model to GGUF"),
];

/// A description of a file that is neither JSON nor plain text, with what to do, guessed from its first bytes; `None`
/// where they tell nothing.
pub(crate) fn foreign(first_bytes: &[u8]) -> Option<&'static str> {
    if let Some((_, seems)) = MAGIC.iter().find(|(magic, _)| first_bytes.starts_with(magic)) {
        return Some(seems);
    }
    let text = String::from_utf8_lossy(&first_bytes[..first_bytes.len().min(64)]).to_lowercase();
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    Some(match first_bytes {
        [] => "an empty file: download it again",
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..] => {
            "UTF-16 text: save it as UTF-8"
        }
        [0x80, 2..=5, ..] => "a pickled checkpoint: save the model as .safetensors",
        [_, _, _, _, _, _, 0, 0, b'{', ..] => "a safetensors file",
        _ if text.starts_with("version https") => {
            "a Git LFS pointer instead of the file it stands for: download the file itself, or run `git lfs pull`"
        }
        _ if text.starts_with('<') => {
            "an HTML or XML page: download the file itself (at Hugging Face its link has `resolve`, not `blob`)"
        }
        _ => return None,
    })
}

/// A description of a file that is no model, guessed from its first bytes.
pub(super) fn describe(first_bytes: &[u8]) -> String {
    let start = &first_bytes[..first_bytes.len().min(16)];
    let json = start.trim_ascii_start();
    match foreign(first_bytes) {
        Some(seems) => seems.into(),
        None if json.starts_with(b"{") || json.starts_with(b"\xef\xbb\xbf{") => "a JSON file".into(),
        None => format!("the bytes {start:02x?}"),
    }
}

/// The text in the JSON file that begins with `bytes`: without a byte order mark, which some editors write.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

/// Why a file with a name as of a piece, or of a download that has not ended, can't be read.
///
/// `m.gguf.part1of2`, `m.gguf-split-a`, `m.safetensors.001`, `m.gguf.aa`; `m.gguf.crdownload`, `m.gguf.part`.
pub(crate) fn piece(name: &str) -> Option<&'static str> {
    const ENDINGS: [&str; 6] = [".gguf", ".safetensors", ".json", ".bin", ".pth", ".pt"];
    let name = name.to_ascii_lowercase();
    let rest = ENDINGS.iter().find_map(|ending| {
        let (_, rest) = name.rsplit_once(ending)?;
        (!rest.is_empty()).then(|| rest.trim_start_matches(['.', '-', '_']).to_owned())
    })?;
    match rest.as_str() {
        "part" | "crdownload" | "download" | "incomplete" | "partial" | "tmp" | "aria2" | "!ut" => {
            Some("a download that has not ended: download the file again")
        }
        rest if rest.starts_with("part")
            || rest.starts_with("split")
            || rest.bytes().all(|byte| byte.is_ascii_digit())
            || rest.len() == 2 && rest.starts_with(|first: char| first.is_ascii_lowercase()) =>
        {
            Some("a piece of a file that was cut: join all pieces in order first, as `cat` does")
        }
        _ => None,
    }
}
