//! A file's name as people see it.

/// The last part of a path or URL: `model.gguf` of `https://host/folder/model.gguf?key=secret` or of a path.
pub fn short_name(name: &str) -> &str {
    let path = if name.contains("://") { name.split(['?', '#']).next().unwrap_or(name) } else { name };
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}
