//! The structure that ARCHITECTURE.md describes, checked: which room uses which, no circles of files, names and first lines of files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is test code")]

#[path = "structure/source.rs"]
mod source;
#[path = "structure/tree.rs"]
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tree::{Module, Tree, Use};

/// What a room must not use, although it may come earlier in `lib.rs`: the last column of ARCHITECTURE.md's table. Rooms, or crates of ours.
const MUST_NOT_USE: &[(&str, &[&str])] = &[
    ("capture", &["label", "fragment"]),
    ("inspect", &["label", "fragment", "report"]),
    ("fragment", &["dataset", "tensor_file"]),
    ("dataset", &["model"]),
    ("code", &["model", "detectors"]),
    ("model", &["capture", "label", "scores"]),
    ("encode", &["label", "detectors"]),
    ("train", &["capture", "label"]),
    ("scores", &["model", "engine", "dataset", "code"]),
    ("numeric", &["capture", "label", "dataset", "model"]),
    ("detectors", &["model", "engine", "train", "label"]),
    ("calibration", &["model", "engine", "train", "label"]),
    ("reduce", &["engine", "report"]),
    ("monitor", &["metrics", "report"]),
    ("explain", &["train", "metrics", "report"]),
    ("metrics", &["detectors", "model", "engine"]),
    ("grid_search", &["model", "engine", "train"]),
];

/// What only these rooms may use, of the standard library and of crates.
const ONLY: &[(&str, &[&str])] = &[
    (
        "std::fs",
        &[
            "atomic_file",
            "append_table",
            "tensor_file",
            "fragment",
            "capture",
            "label",
            "dataset",
            "model",
            "scores",
            "detectors",
            "reduce",
            "monitor",
            // Only to read the history of a training.
            "report",
            "experiment",
        ],
    ),
    ("std::process", &[]),
    ("std::time::Instant", &[]),
    ("std::time::SystemTime", &[]),
    ("std::io::stdout", &[]),
    ("std::io::stderr", &[]),
    ("std::io::stdin", &["capture"]),
    ("std::env", &["fragment"]),
    ("rust_hdf5", &["dataset", "code"]),
    // `detectors` only asks which kind of file one is.
    ("crate::dataset::hdf5_file", &["dataset", "code", "detectors"]),
    ("safetensors", &["tensor_file", "named_arrays", "model", "train", "detectors", "reduce", "monitor"]),
    ("bhtsne", &["reduce"]),
    ("plotters", &["report"]),
    ("minijinja", &["report"]),
];

/// Names that say nothing.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "types", "base", "manager"];

/// The name and the source of every crate of the workspace.
fn crates() -> Vec<(String, PathBuf)> {
    let folders = fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).unwrap().map(|entry| entry.unwrap());
    folders.map(|folder| (folder.file_name().into_string().unwrap(), folder.path().join("src"))).collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// What is wrong with the uses of a crate's modules, a line each.
fn forbidden_uses(tree: &Tree, must_not_use: &[(&str, &[&str])], only: &[(&str, &[&str])]) -> Vec<String> {
    let order = &tree.0[&Module::new()].modules;
    let place = |room: &str| order.iter().position(|name| name == room);
    let mut found = Vec::new();
    for module in tree.0.keys().filter(|module| !module.is_empty()) {
        let room = &*module[0];
        let barred: Vec<&str> =
            must_not_use.iter().filter(|row| row.0 == room).flat_map(|row| row.1).copied().collect();
        for Use { path, file, .. } in tree.uses(module) {
            let written = path.join("::");
            let mut report = |why: &str| found.push(format!("{} uses {written}: {why}", module.join("::")));
            // A room of this crate, or another crate.
            let written_room = path.iter().find(|word| *word != "crate");
            let rooms = written_room.into_iter().chain(file.as_ref().and_then(|file| file.first()));
            for other in rooms {
                if barred.contains(&&**other) {
                    report(&format!("{room} must not know {other}"));
                } else if place(other) > place(room) {
                    report(&format!("{other} comes after {room}"));
                }
            }
            for (name, rooms) in only {
                if (written == *name || written.starts_with(&format!("{name}::"))) && !rooms.contains(&room) {
                    report(&format!("only {rooms:?} may use {name}"));
                }
            }
        }
    }
    found.dedup();
    found
}

fn circles(tree: &Tree) -> Vec<String> {
    let line = |circle: Vec<Module>| circle.iter().map(|module| module.join("::")).collect::<Vec<_>>().join(" → ");
    tree.circles().into_iter().map(line).collect()
}

#[test]
fn rooms_use_only_what_they_may() {
    let tree = Tree::of_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    let rooms = &tree.0[&Module::new()].modules;
    let mut named =
        MUST_NOT_USE.iter().flat_map(|row| row.1.iter().chain([&row.0])).chain(ONLY.iter().flat_map(|row| row.1));
    let unknown =
        named.find(|name| **name != "engine" && !name.starts_with("pcapae") && !rooms.iter().any(|room| room == *name));
    assert_eq!(unknown, None, "a room of the tables is not in lib.rs");
    let found = forbidden_uses(&tree, MUST_NOT_USE, ONLY);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_three_files_use_each_other_in_a_circle() {
    let mut found = Vec::new();
    for (name, folder) in crates() {
        found.extend(circles(&Tree::of_folder(&folder)).iter().map(|circle| format!("{name}::{circle}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_file_is_named_after_a_concept_and_begins_with_what_it_is_for() {
    for path in crates().iter().flat_map(|(_, folder)| sources(folder)) {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(!EMPTY_NAMES.contains(&stem), "{}", path.display());
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//! "), "{} does not begin with a `//!` line", path.display());
    }
}

/// `#[error("…")]` messages are one sentence without a period.
#[test]
fn refusals_end_without_a_period() {
    for path in crates().iter().flat_map(|(_, folder)| sources(folder)) {
        for line in
            fs::read_to_string(&path).unwrap().lines().filter(|line| line.trim_start().starts_with("#[error(\""))
        {
            assert!(!line.contains(".\""), "{}: {line}", path.display());
        }
    }
}

/// A crate of these files.
fn made(files: &[(&str, &str)]) -> Tree {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    Tree::read(|name| files.get(name).map(|text| (*text).to_owned()))
}

#[test]
fn a_forbidden_use_is_found_however_it_is_written() {
    for code in [
        "use crate::low::Thing;",
        "use crate::{low::Thing, other::Another};",
        "use super::{other::{self as o}, low};",
        "fn f() -> usize { crate::low::count() }",
        "fn f() { assert!(Some(crate::low::count()) == None); }",
        "mod inner { use super::super::low::*; }",
        // By way of another room, which makes it known.
        "use crate::other::Passed;",
        "use crate::other; fn f(_: other::Passed) {}",
    ] {
        let files = [
            ("lib.rs", "pub mod low; pub mod other; pub mod high;"),
            ("low.rs", "pub struct Thing; pub fn count() -> usize { 0 }"),
            ("other.rs", "pub use crate::low::Thing as Passed; pub struct Another;"),
            ("high/mod.rs", "mod part;"),
        ];
        let tree = made(&[&files[..], &[("high/part.rs", &code.replace("super::", "super::super::"))]].concat());
        let found = forbidden_uses(&tree, &[("high", &["low"])], &[]);
        assert!(found.iter().any(|line| line.ends_with("high must not know low")), "{code}: {found:?}");
        assert!(forbidden_uses(&tree, &[("high", &["none"])], &[]).is_empty(), "{code}");
    }
}

#[test]
fn what_comes_later_and_what_others_own_are_found_but_not_in_tests_and_texts() {
    let first = "use std::{fs, io::Read};
        fn f() { fs::write(crate::second::NAME, []); }
        /// As in crate::second::Hidden.
        #[cfg(test)]
        use crate::second::OfTests;
        const TEXT: &str = \"crate::second::Hidden\"; // crate::second::Hidden
        #[cfg(test)]
        mod tests { use crate::second::OfTests; }";
    let tree = made(&[
        ("lib.rs", "pub mod first; pub mod second; #[cfg(test)] mod fixtures;"),
        ("first.rs", first),
        ("second.rs", "pub const NAME: &str = \"a\";"),
    ]);
    let all = forbidden_uses(&tree, &[], &[("std::fs", &["second"])]).join("; ");
    for expected in
        ["second::NAME: second comes after first", "first uses std::fs::write: only [\"second\"] may use std::fs"]
    {
        assert!(all.contains(expected), "{all}");
    }
    assert!(!all.contains("Hidden") && !all.contains("OfTests"), "{all}");
}

#[test]
fn circles_of_three_files_are_found_and_those_of_two_are_not() {
    let files = [
        ("lib.rs", "pub mod room;"),
        // What is made known here is looked up in the file that has it; making it known is not a use.
        ("room/mod.rs", "mod a; mod b; mod c; pub use a::A; pub use b::B; pub use c::*; pub trait Kind {}"),
        ("room/a.rs", "use super::{B, Kind}; pub struct A(B);"),
        ("room/b.rs", "pub struct B; fn f() { crate::room::g() }"),
    ];
    let with = |c| made(&[&files[..], &[("room/c.rs", c)]].concat());
    let circle = "room::a → room::b → room::c";
    assert_eq!(circles(&with("use super::A; pub fn g() {}")), [circle]);
    assert_eq!(circles(&with("pub fn g() { super::a::A::new(); }")), [circle]);
    assert_eq!(circles(&with("pub fn g() { super::B::new(); }")), [""; 0]);
    assert_eq!(circles(&with("pub fn g() {} #[cfg(test)] mod tests { use super::super::A; }")), [""; 0]);
}
