//! A file's name as people see it.

/// The last part of a path or URL: `model.gguf` of `https://host/folder/model.gguf?key=secret` or of a path.
pub fn short_name(name: &str) -> &str {
    let path = if name.contains("://") { name.split(['?', '#']).next().unwrap_or(name) } else { name };
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// The prefix that torch's wrappers have put before all of `names`: `_orig_mod.` of a compiled model and `module.` of one
/// that runs on several devices, in any order.
pub(crate) fn wrappers<'a>(names: impl Iterator<Item = &'a str> + Clone) -> &'a str {
    let Some(first) = names.clone().next() else { return "" };
    let mut rest = first;
    while let Some(inner) = ["_orig_mod.", "module."].iter().find_map(|wrapper| rest.strip_prefix(wrapper)) {
        let outer = &first[..first.len() - inner.len()];
        if !names.clone().all(|name| name.starts_with(outer)) {
            break;
        }
        rest = inner;
    }
    &first[..first.len() - rest.len()]
}
