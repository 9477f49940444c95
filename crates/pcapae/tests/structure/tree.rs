//! The modules of a crate, and what they use of each other.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use super::source::{Source, below};

/// A module's path from the root of the crate, whose own is empty.
pub type Module = Vec<String>;

/// How many names a name may stand for in turn.
const RE_EXPORTS_MAX: usize = 20;

/// The modules of a crate that have a file, but for those of tests.
#[derive(Debug, Default)]
pub struct Tree(pub BTreeMap<Module, Source>);

/// Something that a file uses.
#[derive(Debug)]
pub struct Use {
    /// As it is written, from the root of this crate (`crate`) or of another.
    pub path: Vec<String>,
    /// The module of this crate whose file has it; `None` where it is a module itself, or of another crate.
    pub file: Option<Module>,
    /// Whether it is only made known to others.
    pub re_export: bool,
}

impl Tree {
    /// Reads the crate that begins with `lib.rs` or `main.rs`, by a function that gives the text of a file.
    pub fn read(file: impl Fn(&str) -> Option<String>) -> Self {
        let mut tree = Self::default();
        let mut to_read: Vec<Module> = vec![Vec::new()];
        while let Some(module) = to_read.pop() {
            let place = module.join("/");
            let names = match module.is_empty() {
                true => ["lib.rs".to_owned(), "main.rs".to_owned()],
                false => [format!("{place}.rs"), format!("{place}/mod.rs")],
            };
            let text = names.iter().find_map(|name| file(name)).unwrap_or_else(|| panic!("no file for {module:?}"));
            let source = Source::read(&text, &module);
            to_read.extend(source.modules.iter().map(|name| below(&module, name)));
            tree.0.insert(module, source);
        }
        tree
    }

    pub fn of_folder(folder: &Path) -> Self {
        Self::read(|name| fs::read_to_string(folder.join(name)).ok())
    }

    /// Everything that a module uses, and where it is.
    pub fn uses(&self, module: &Module) -> Vec<Use> {
        let source = &self.0[module];
        let used = |path: &[String], re_export: bool, all: bool| {
            let path = self.written(module, path, 0);
            let file = match path[0] == "crate" {
                true => self.find(&Vec::new(), &path[1..], all, 0).unwrap_or_else(|| self.deepest(&path[1..])),
                false => None,
            };
            Use { path, file, re_export }
        };
        let imports = source.imports.iter().map(|import| {
            used(&import.path, import.re_export && !source.words.contains(&import.name), import.name == "*")
        });
        imports.chain(source.paths.iter().map(|path| used(path, false, false))).collect()
    }

    /// The path with its first word, if that is an import or a module below, as it is known from outside.
    fn written(&self, module: &Module, path: &[String], depth: usize) -> Vec<String> {
        let source = &self.0[module];
        if path[0] == "crate" || depth > RE_EXPORTS_MAX {
            return path.to_vec();
        }
        if source.modules.contains(&path[0]) {
            return [&["crate".to_owned()], &**module, path].concat();
        }
        match source.imports.iter().find(|import| import.name == path[0] && import.path != path[..1]) {
            Some(import) => self.written(module, &[&*import.path, &path[1..]].concat(), depth + 1),
            None => path.to_vec(),
        }
    }

    /// Where a path from a module leads: to the module in whose file the name is, or to a module itself (`Some(None)`).
    fn find(&self, module: &Module, path: &[String], all: bool, depth: usize) -> Option<Option<Module>> {
        let Some((name, rest)) = path.split_first() else { return Some(all.then(|| module.clone())) };
        let source = self.0.get(module).filter(|_| depth < RE_EXPORTS_MAX)?;
        if source.defines.contains(name) {
            return Some(Some(module.clone()));
        }
        let through = |first: &[String], rest: &[String]| {
            let path = self.written(module, &[first, rest].concat(), 0);
            (path[0] == "crate").then(|| self.find(&Vec::new(), &path[1..], all, depth + 1)).flatten()
        };
        let import =
            source.imports.iter().find(|import| import.name == *name).and_then(|import| through(&import.path, rest));
        let child = || source.modules.contains(name).then(|| below(module, name));
        let in_child = || child().and_then(|child| self.find(&child, rest, all, depth));
        let all_of =
            || source.imports.iter().filter(|import| import.name == "*").find_map(|import| through(&import.path, path));
        match rest.is_empty() {
            true => import.or_else(in_child).or_else(all_of),
            false => in_child().or(import).or_else(all_of),
        }
    }

    /// The deepest module on a path: a name that no file defines is a macro's work there.
    fn deepest(&self, path: &[String]) -> Option<Module> {
        (0..path.len()).rev().map(|length| path[..length].to_vec()).find(|module| self.0.contains_key(module))
    }

    /// Circles of three files or more, each the shortest that leads back over one use; none twice.
    pub fn circles(&self) -> BTreeSet<Vec<Module>> {
        let needs = |module: &Module| -> BTreeSet<Module> {
            let needed = self.uses(module).into_iter().filter(|used| !used.re_export).filter_map(|used| used.file);
            needed.filter(|file| file != module).collect()
        };
        let graph: BTreeMap<&Module, BTreeSet<Module>> = self.0.keys().map(|module| (module, needs(module))).collect();
        let mut circles = BTreeSet::new();
        for (from, needed) in &graph {
            circles.extend(needed.iter().filter_map(|to| way_back(&graph, from, to)).map(|mut circle| {
                let first = circle.iter().enumerate().min_by_key(|(_, module)| *module).map_or(0, |(at, _)| at);
                circle.rotate_left(first);
                circle
            }));
        }
        circles
    }
}

/// The shortest circle that begins with `from` and `to`, but for the two alone.
fn way_back(graph: &BTreeMap<&Module, BTreeSet<Module>>, from: &Module, to: &Module) -> Option<Vec<Module>> {
    let mut before: BTreeMap<&Module, &Module> = BTreeMap::from([(to, from)]);
    let mut to_visit = VecDeque::from([to]);
    while let Some(module) = to_visit.pop_front() {
        for next in graph.get(module).into_iter().flatten() {
            if next == from && module != to {
                let mut circle = vec![module.clone()];
                while circle.last() != Some(from) {
                    circle.push(before[&circle[circle.len() - 1]].clone());
                }
                circle.reverse();
                return Some(circle);
            }
            if next != from && !before.contains_key(next) {
                before.insert(next, module);
                to_visit.push_back(next);
            }
        }
    }
    None
}
