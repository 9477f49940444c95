//! What one file of Rust says about modules: the paths in it, the names it imports and those it defines. Code under `cfg(test)` is left out.

use std::collections::BTreeSet;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A `use` of one name.
#[derive(Debug)]
pub struct Import {
    /// The name in this file; `*` for all names of a module.
    pub name: String,
    pub path: Vec<String>,
    /// `pub use`, which alone does not make this file need the other.
    pub re_export: bool,
}

/// The paths begin with `crate` where the file says `crate`, `self` or `super`, else with the word it says.
#[derive(Debug, Default)]
pub struct Source {
    pub imports: Vec<Import>,
    /// Paths of two words or more outside imports.
    pub paths: Vec<Vec<String>>,
    pub defines: BTreeSet<String>,
    /// The modules in files of their own, in order.
    pub modules: Vec<String>,
    /// Every word outside imports.
    pub words: BTreeSet<String>,
}

impl Source {
    /// Reads the file of a module, whose path from the root of the crate is given.
    pub fn read(text: &str, module: &[String]) -> Self {
        let mut source = Self::default();
        source.scan(text.parse().unwrap(), module, true);
        source
    }

    /// Scans the tokens between two braces; names are defined in those of a module only.
    fn scan(&mut self, stream: TokenStream, module: &[String], in_module: bool) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            let rest = &tokens[at..];
            at += match &rest[0] {
                _ if is_test_attribute(rest) => item_length(rest),
                TokenTree::Group(group) => {
                    self.scan(group.stream(), module, false);
                    1
                }
                TokenTree::Ident(word) if word == "use" && !is(rest.get(1), '<') => {
                    let re_export = tokens[at.saturating_sub(2)..at].iter().any(|token| word_of(token) == "pub");
                    let length = item_length(rest);
                    self.import(&rest[1..length - 1], &[], module, re_export);
                    length
                }
                TokenTree::Ident(word) if word == "mod" && in_module => self.module(rest, module),
                TokenTree::Ident(_) => self.path(rest, module, in_module),
                _ => 1,
            };
        }
    }

    /// `mod name;` or `mod name { … }`, all but the brackets of which it consumes.
    fn module(&mut self, tokens: &[TokenTree], module: &[String]) -> usize {
        let name = word_of(&tokens[1]);
        if let TokenTree::Group(body) = &tokens[2] {
            self.scan(body.stream(), &below(module, &name), true);
            self.defines.insert(name);
        } else {
            self.modules.push(name);
        }
        3
    }

    /// `a::b::c`, or a word alone.
    fn path(&mut self, tokens: &[TokenTree], module: &[String], in_module: bool) -> usize {
        let mut path = vec![word_of(&tokens[0])];
        while is(tokens.get(3 * path.len() - 2), ':') && is(tokens.get(3 * path.len() - 1), ':') {
            let Some(TokenTree::Ident(word)) = tokens.get(3 * path.len()) else { break };
            path.push(word.to_string());
        }
        let length = 3 * path.len() - 2;
        let defining = ["struct", "enum", "trait", "fn", "type", "const", "static", "union"].contains(&&*path[0]);
        let macro_name = if path[0] == "macro_rules" { 2 } else { 1 };
        if in_module
            && (defining || macro_name == 2)
            && let Some(TokenTree::Ident(name)) = tokens.get(macro_name)
        {
            self.defines.insert(name.to_string());
        }
        self.words.extend(path.iter().cloned());
        if path.len() > 1 {
            self.paths.push(absolute(path, module));
        }
        length
    }

    /// A tree of imports, below a path.
    fn import(&mut self, tree: &[TokenTree], above: &[String], module: &[String], re_export: bool) {
        let mut path = above.to_vec();
        let mut name = None;
        for (at, token) in tree.iter().enumerate() {
            match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    for branch in inner.split(|token| is(Some(token), ',')).filter(|branch| !branch.is_empty()) {
                        self.import(branch, &path, module, re_export);
                    }
                    return;
                }
                TokenTree::Ident(word) if word == "as" => {
                    name = tree.get(at + 1).map(word_of);
                    break;
                }
                TokenTree::Ident(word) if word == "self" && !path.is_empty() => {}
                TokenTree::Ident(word) => path.push(word.to_string()),
                _ if is(Some(token), '*') => name = Some("*".into()),
                _ => {}
            }
        }
        if let Some(name) = name.or_else(|| path.last().cloned()) {
            self.imports.push(Import { name, path: absolute(path, module), re_export });
        }
    }
}

/// The path of a module in another.
pub fn below(module: &[String], name: &str) -> Vec<String> {
    module.iter().map(String::as_str).chain([name]).map(str::to_owned).collect()
}

fn word_of(token: &TokenTree) -> String {
    token.to_string()
}

fn is(token: Option<&TokenTree>, character: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == character)
}

fn is_test_attribute(tokens: &[TokenTree]) -> bool {
    let Some(TokenTree::Group(attribute)) = tokens.get(1).filter(|_| is(tokens.first(), '#')) else { return false };
    let text = attribute.to_string().replace(' ', "");
    text == "[cfg(test)]" || text.starts_with("[cfg(all(test,")
}

/// How many tokens there are to the end of an item: its semicolon or, but for imports, its braces.
fn item_length(tokens: &[TokenTree]) -> usize {
    let mut import = false;
    let last = tokens.iter().position(|token| {
        import |= word_of(token) == "use";
        let braces = matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
        is(Some(token), ';') || braces && !import
    });
    last.map_or(tokens.len(), |last| last + 1)
}

/// With `self` and any `super` at its beginning resolved.
fn absolute(path: Vec<String>, module: &[String]) -> Vec<String> {
    let up = path.iter().skip_while(|word| *word == "self").take_while(|word| *word == "super").count();
    let skipped = up + usize::from(path[0] == "self");
    if skipped == 0 {
        return path;
    }
    let above = &module[..module.len().saturating_sub(up)];
    [&["crate".to_owned()], above, &path[skipped..]].concat()
}
