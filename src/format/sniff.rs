//! A guess at what a file is that no reader takes, for messages.

/// A description of a file that is no model, guessed from its first 16 bytes or fewer.
pub(super) fn describe(first_bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(first_bytes).to_lowercase();
    let seems = match first_bytes {
        [] => "an empty file",
        [b'P', b'K', 3, 4, ..] => "a zip archive",
        [0x1f, 0x8b, ..] => "a gzip archive",
        [b'G', b'G', b'U', b'F', ..] => "a GGUF file",
        [_, _, _, _, _, _, _, _, b'{', ..] => "a safetensors file",
        _ if text.starts_with("version https") => "a Git LFS pointer instead of the file it stands for",
        _ if text.trim_start().starts_with('<') => "an HTML or XML page",
        _ if text.trim_start().starts_with('{') => "a JSON file",
        _ => return format!("the bytes {first_bytes:02x?}"),
    };
    seems.into()
}
