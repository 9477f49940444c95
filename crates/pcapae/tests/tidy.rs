//! The house rules that a machine can check.

#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "this is test code")]

use std::fs;
use std::path::{Path, PathBuf};

/// Most lines of a file that are not tests.
const LINES_MAX: usize = 400;
/// Names that say nothing.
const EMPTY_NAMES: [&str; 7] = ["utils", "util", "common", "helpers", "types", "base", "manager"];

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

fn library() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

fn program() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../pcapae-cli/src"))
}

/// The code of a file without its tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]\nmod tests").next().unwrap().to_owned()
}

#[test]
fn no_file_is_too_long() {
    for path in sources(&library()).into_iter().chain(sources(&program())) {
        let lines = code(&path).lines().count();
        assert!(lines <= LINES_MAX, "{} has {lines} lines without tests, more than {LINES_MAX}", path.display());
    }
}

#[test]
fn every_file_is_named_after_a_concept() {
    for path in sources(&library()).into_iter().chain(sources(&program())) {
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(!EMPTY_NAMES.contains(&stem), "{}", path.display());
    }
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    for path in sources(&library()).into_iter().chain(sources(&program())) {
        assert!(code(&path).starts_with("//! "), "{} does not begin with a `//!` line", path.display());
    }
}

/// Modules are declared in the order of the data flow, and each uses only those above it.
#[test]
fn the_modules_are_a_pipeline_without_circles() {
    let root = fs::read_to_string(library().join("lib.rs")).unwrap();
    let order: Vec<&str> = root.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';')).collect();
    assert!(order.len() > 8, "only {order:?} are declared");
    for path in sources(&library()) {
        let relative = path.strip_prefix(library()).unwrap();
        let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        let Some(own) = order.iter().position(|name| *name == module) else {
            assert_eq!(module, "lib", "{} is in no declared module", path.display());
            continue;
        };
        for line in code(&path).lines().filter(|line| !line.trim_start().starts_with("//")) {
            for used in line.split("crate::").skip(1) {
                let name: String = used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if let Some(other) = order.iter().position(|module| *module == name) {
                    assert!(other <= own, "{}: {module} uses {name}, which comes after it", path.display());
                }
            }
        }
    }
}

/// `#[error("…")]` messages are one sentence without a period.
#[test]
fn refusals_end_without_a_period() {
    for path in sources(&library()) {
        for line in code(&path).lines().filter(|line| line.trim_start().starts_with("#[error(\"")) {
            assert!(!line.contains(".\""), "{}: {line}", path.display());
        }
    }
}
