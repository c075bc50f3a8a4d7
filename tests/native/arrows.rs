//! Imports point down: every path into another room of src is one of the arrows in docs/architecture.md.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// For each room, the rooms that it may import.
type Arrows = BTreeMap<String, BTreeSet<String>>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The block "arrows rust" of docs/architecture.md: lines of `room -> room, room`.
fn allowed() -> Arrows {
    let text = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let block = text.split("```arrows rust\n").nth(1).expect("a block `arrows rust`");
    let lines = block.split("```").next().unwrap().lines().filter(|line| !line.trim().is_empty());
    let mut arrows = Arrows::new();
    for line in lines {
        let (room, targets) = line.split_once("->").unwrap_or((line, ""));
        let targets = targets.split(',').map(|target| target.trim().to_string());
        let targets = targets.filter(|target| !target.is_empty()).collect();
        assert!(arrows.insert(room.trim().into(), targets).is_none(), "{room} stands twice");
    }
    arrows
}

/// The files below src, as (path from src, text).
fn sources() -> Vec<(String, String)> {
    fn walk(folder: PathBuf, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            match entry.unwrap().path() {
                path if path.is_dir() => walk(path, files),
                path if path.extension().is_some_and(|end| end == "rs") => files.push(path),
                _ => {}
            }
        }
    }
    let mut files = Vec::new();
    let src = root().join("src");
    walk(src.clone(), &mut files);
    let name = |path: &PathBuf| path.strip_prefix(&src).unwrap().to_string_lossy().replace('\\', "/");
    files.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

/// The room of a file: the folder below src, or the file itself. The program's first line belongs to `cli`.
fn room(file: &str) -> &str {
    match file.split('/').next().unwrap() {
        "main.rs" => "cli",
        first => first.trim_end_matches(".rs"),
    }
}

/// The first names of all paths of `text` that begin at the crate's root or climb out of the file's room: `crate::a::b`,
/// `gran_ted::{a, b}`, and `super::super::a` with more climbs than the file is deep.
fn imports(file: &str, text: &str) -> BTreeSet<String> {
    let code: String =
        text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n");
    let mut names = BTreeSet::new();
    for anchor in ["crate::", "gran_ted::"] {
        for (at, _) in code.match_indices(anchor) {
            let before = code[..at].chars().next_back();
            if before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':' || c == '$')) {
                names.extend(first_names(&code[at + anchor.len()..]));
            }
        }
    }
    // Modules above a file: its folders, and one more where it is not the mod.rs of the last.
    let folders = file.matches('/').count();
    let depth = if file.ends_with("mod.rs") { folders } else { folders + 1 };
    let mut rest = code.as_str();
    while let Some(at) = rest.find("super::") {
        let path = &rest[at..];
        let climbs = 1 + path["super::".len()..].split("super::").take_while(|part| part.is_empty()).count();
        let end = climbs * "super::".len();
        if climbs >= depth {
            names.extend(first_names(&path[end..]));
        }
        rest = &path[end..];
    }
    names
}

/// `a` of `a::b`, or the first name of each branch of `{a, b::{c, d}}`.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let (mut names, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
            }
            '}' if depth == 0 => {
                names.push(name(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// What is wrong with `files` by the `arrows`; empty where nothing is.
fn violations(files: &[(String, String)], arrows: &Arrows) -> Vec<String> {
    let rooms: BTreeSet<&str> =
        files.iter().map(|(file, _)| room(file)).filter(|room| *room != "lib").collect();
    let mut wrong = Vec::new();
    for (file, text) in files {
        let from = room(file);
        if from == "lib" {
            continue; // names every room
        }
        for to in imports(file, text) {
            let is_allowed = to == from || arrows.get(from).is_some_and(|targets| targets.contains(&to));
            if rooms.contains(to.as_str()) && !is_allowed {
                wrong.push(format!("src/{file}: `{from} -> {to}` is no arrow of docs/architecture.md"));
            }
        }
    }
    let drawn: BTreeSet<&str> = arrows.keys().chain(arrows.values().flatten()).map(String::as_str).collect();
    wrong.extend(
        rooms.iter().filter(|room| !arrows.contains_key(**room)).map(|room| format!("`{room}` has no line")),
    );
    wrong.extend(
        drawn.iter().filter(|room| !rooms.contains(*room)).map(|room| format!("`{room}` is no room of src")),
    );
    wrong.extend(circle(arrows).map(|circle| format!("the arrows form a circle: {circle}")));
    wrong
}

/// Some circle of the arrows: what is left when rooms without arrows to what is left are taken away.
fn circle(arrows: &Arrows) -> Option<String> {
    let mut left = arrows.clone();
    loop {
        let rooms: BTreeSet<String> = left.keys().cloned().collect();
        let before = left.len();
        left.retain(|_, targets| targets.iter().any(|target| rooms.contains(target)));
        if left.len() == before {
            break;
        }
    }
    (!left.is_empty()).then(|| left.into_keys().collect::<Vec<_>>().join(", "))
}

#[test]
fn imports_point_down() {
    let wrong = violations(&sources(), &allowed());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_planted_arrow_is_found() {
    let arrows = allowed();
    let planted = [
        ("kernel/planted.rs", "use crate::encoder::TextEncoder;", "kernel -> encoder"),
        (
            "format/planted.rs",
            "use crate::{\n    error::Error,\n    model::{Config, Family},\n};",
            "format -> model",
        ),
        ("model/decoder/planted.rs", "let x = crate::ted::letter(0);", "model -> ted"),
        ("quant/planted.rs", "use super::super::kernel;", "quant -> kernel"),
        ("encoder/mod.rs", "use super::loader::Header;", "encoder -> loader"),
        ("error.rs", "use super::format::Source;", "error -> format"),
        ("ted/data/planted.rs", "use gran_ted::bench::Bench;", "ted -> bench"),
    ];
    for (file, text, arrow) in planted {
        let mut files = sources();
        files.push((file.into(), text.into()));
        let wrong = violations(&files, &arrows);
        let is_it = |line: &String| line.contains(file) && line.contains(arrow);
        assert!(wrong.len() == 1 && wrong.iter().all(is_it), "{file}: {wrong:?}");
    }
    for (file, text) in [
        ("kernel/planted.rs", "// crate::encoder is above\nuse crate::quant::Layout;"),
        ("model/decoder/planted.rs", "use super::super::linear::Linear;\nuse super::Decoder;"),
    ] {
        let mut files = sources();
        files.push((file.into(), text.into()));
        assert_eq!(violations(&files, &arrows), Vec::<String>::new());
    }
}

#[test]
fn a_planted_circle_and_a_room_without_a_line_are_found() {
    let mut arrows = allowed();
    arrows.get_mut("format").unwrap().insert("loader".into());
    assert!(circle(&arrows).unwrap().contains("format"));
    let mut files = sources();
    files.push(("attic/mod.rs".into(), String::new()));
    assert_eq!(violations(&files, &allowed()), ["`attic` has no line"]);
}
