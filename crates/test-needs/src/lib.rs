//! What some tests need beside the repository: programs, Python packages, other people's data. Where it is missing, the function
//! says `SKIPPED` on standard error and gives `None`, and the test returns. With `PCAPAE_REQUIRE_ALL=1` it panics instead.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "only tests use this crate")]

use std::ffi::OsStr;
use std::io::Write;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, io, thread};

/// A script of Python for the tests, in an interpreter that has the packages it imports.
#[derive(Debug)]
pub struct Python(PathBuf);

impl Python {
    /// What the script prints, given these arguments and `input` on standard input.
    ///
    /// # Panics
    ///
    /// If it fails, with what it wrote to standard error.
    pub fn run<A: AsRef<OsStr>>(&self, script: &str, arguments: impl IntoIterator<Item = A>, input: &str) -> String {
        let mut command = Command::new(&self.0);
        command.args(["-c", script]).args(arguments);
        let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().expect("Python starts");
        // A script that fails before it reads closes the pipe; its own message says more.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("Python prints UTF-8")
    }
}

const FIND: &str = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)";

/// The Python that `PCAPAE_TEST_PYTHON` names, else `python3`, if it has these modules.
#[track_caller]
#[must_use]
pub fn python(modules: &[&str]) -> Option<Python> {
    let python = env::var_os("PCAPAE_TEST_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    // Only looked for, not imported: a package that is there and broken is to fail the test, not to skip it.
    let lacking = |module: &&&str| !succeeds(&python, &["-c", FIND, module]);
    let Some(module) = modules.iter().find(lacking) else { return Some(Python(python)) };
    skip(&format!("{} has no {module} (PCAPAE_TEST_PYTHON names the Python to use)", python.display()))
}

/// The program that the environment variable names, else the first of these that can be started.
#[track_caller]
#[must_use]
pub fn program(variable: &str, names: &[&str]) -> Option<PathBuf> {
    let named = env::var_os(variable).map(PathBuf::from);
    let found = named.into_iter().chain(names.iter().map(PathBuf::from)).find(|name| succeeds(name, &["--version"]));
    found.or_else(|| skip(&format!("there is no {} ({variable} names one)", names.join(", no "))))
}

fn succeeds(program: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// A file or folder below `shared/`, which stands beside the repository and belongs to other people. Where there is no `shared/` at
/// all, the test is skipped even with `PCAPAE_REQUIRE_ALL=1`: who has only the repository cannot have it.
#[track_caller]
#[must_use]
pub fn shared(below: &str) -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let path = shared.join(below);
    if path.exists() {
        return Some(path);
    }
    let reason = format!("there is no shared/{below} beside the repository");
    if shared.exists() { skip(&reason) } else { report(&reason) }
}

#[track_caller]
fn skip<T>(reason: &str) -> Option<T> {
    let required = env::var_os("PCAPAE_REQUIRE_ALL").is_some_and(|value| value == "1");
    assert!(!required, "{reason}, and PCAPAE_REQUIRE_ALL=1 asks for it");
    report(reason)
}

/// Straight to standard error: what a passing test prints by macro is never shown.
#[track_caller]
fn report<T>(reason: &str) -> Option<T> {
    let thread = thread::current();
    let line = format!("SKIPPED {} ({}): {reason}\n", thread.name().unwrap_or("?"), Location::caller().file());
    io::stderr().write_all(line.as_bytes()).expect("standard error takes a line");
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs the ignored test below in a process of its own and gives whether it passed, and its standard error.
    fn lacking_module(require_all: &str) -> (bool, String) {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "tests::asks_for_a_module_that_is_nowhere", "--test-threads=2"]);
        let run = command.env("PCAPAE_REQUIRE_ALL", require_all).output().unwrap();
        (run.status.success(), String::from_utf8(run.stderr).unwrap() + &String::from_utf8(run.stdout).unwrap())
    }

    #[test]
    #[ignore = "the next test runs it"]
    fn asks_for_a_module_that_is_nowhere() {
        assert!(python(&["no_such_module"]).is_none());
    }

    #[test]
    fn what_is_missing_is_listed_and_fails_where_all_is_required() {
        let (passed, text) = lacking_module("0");
        assert!(passed, "{text}");
        let line = text.lines().find(|line| line.starts_with("SKIPPED")).unwrap();
        assert!(line.contains("asks_for_a_module_that_is_nowhere (crates/test-needs/src/lib.rs): "), "{line}");
        assert!(line.contains("has no no_such_module"), "{line}");
        let (passed, text) = lacking_module("1");
        assert!(!passed && text.contains("PCAPAE_REQUIRE_ALL=1 asks for it"), "{text}");
    }
}
