//! One file of the crate as tokens: what it names, what it defines, and how long its functions are.

use std::collections::BTreeSet;
use std::iter::Peekable;

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A file, without what is for tests alone.
pub(crate) struct Source {
    /// `core::stream::tree`, say; nothing for `lib.rs`.
    pub(crate) module: Vec<String>,
    /// Every path that begins at the crate, a module above, or another crate.
    pub(crate) paths: Vec<Named>,
    /// What it defines at its top level.
    pub(crate) defines: BTreeSet<String>,
    pub(crate) functions: Vec<Function>,
    /// Its lines before `mod tests`.
    pub(crate) lines: usize,
    /// The lines that explain a long function.
    pub(crate) excuses: Vec<usize>,
    /// The lines where a module above gets another name, under which nobody would know it.
    pub(crate) renames: Vec<usize>,
    /// The module that is being read.
    within: Vec<String>,
    /// Whether a path follows that `use` brings.
    is_import: bool,
}

/// A path, and the line where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// Where it is named: the file's module, or one within it.
    pub(crate) module: Vec<String>,
    pub(crate) path: Vec<String>,
    pub(crate) line: usize,
    /// Whether `use` brings it.
    pub(crate) is_import: bool,
}

#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// From `fn` to its closing brace.
    pub(crate) first: usize,
    pub(crate) last: usize,
    /// Whether a comment above it says why it is long.
    pub(crate) is_excused: bool,
}

type Tokens = Peekable<proc_macro2::token_stream::IntoIter>;

/// What stands before the reason.
const EXCUSE: &str = "// long: ";

impl Source {
    /// `path` is below `src`, such as `core/mod.rs`.
    pub(crate) fn read(path: &str, text: &str) -> Self {
        let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
        let lines: Vec<&str> = text.lines().collect();
        let is_excuse = |line: &&str| line.trim_start().starts_with(EXCUSE);
        let excuses = (1..).zip(&lines).filter(|(_, line)| is_excuse(line)).map(|(at, _)| at);
        let tests = lines
            .windows(2)
            .position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests {"));
        let mut source = Self {
            within: module(path),
            module: module(path),
            paths: Vec::new(),
            defines: BTreeSet::new(),
            functions: Vec::new(),
            lines: tests.unwrap_or(lines.len()),
            excuses: excuses.collect(),
            renames: Vec::new(),
            is_import: false,
        };
        source.walk(tokens, true);
        for function in &mut source.functions {
            // Above it stand its documentation, its attributes, and the reason.
            let above = lines[..function.first - 1].iter().rev();
            function.is_excused = above.take_while(|line| is_heading(line)).any(is_excuse);
        }
        source
    }

    fn walk(&mut self, tokens: TokenStream, is_top: bool) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    let attribute = tokens.next_if(|it| matches!(it, TokenTree::Group(_)));
                    let Some(TokenTree::Group(attribute)) = attribute else { continue };
                    if is_for_tests(&attribute) {
                        skip_item(&mut tokens);
                    }
                }
                TokenTree::Ident(ident) => {
                    let (name, line) = (ident.to_string(), ident.span().start().line);
                    if is_top {
                        self.define(&name, &tokens);
                    }
                    if name == "fn" {
                        self.function(line, &mut tokens);
                    } else if name == "mod" && is_top {
                        self.inline_module(&mut tokens);
                    } else {
                        self.path(vec![name.clone()], line, &mut tokens);
                        // `use crate::x` is two idents; `use` itself is a path of one step.
                        self.is_import = name == "use";
                    }
                }
                TokenTree::Group(group) => self.walk(group.stream(), false),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// What it holds counts as the file's own.
    fn inline_module(&mut self, tokens: &mut Tokens) {
        let Some(name) = tokens.next() else { return };
        if let Some(TokenTree::Group(body)) = tokens.next() {
            self.within.push(name.to_string());
            self.walk(body.stream(), true);
            self.within.pop();
        }
    }

    fn define(&mut self, keyword: &str, after: &Tokens) {
        let keywords = ["struct", "enum", "trait", "type", "const", "static", "fn", "mod", "union"];
        if !keywords.contains(&keyword) {
            return;
        }
        if let Some(TokenTree::Ident(name)) = after.clone().peek() {
            self.defines.insert(name.to_string());
        }
    }

    /// The tokens from its name to its body, or to the semicolon of one that has none.
    fn function(&mut self, first: usize, tokens: &mut Tokens) {
        let name = tokens.peek().map(ToString::to_string).unwrap_or_default();
        let mut head = TokenStream::new();
        for token in tokens {
            match token {
                TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => {
                    let last = body.span_close().end().line;
                    self.functions.push(Function { name, first, last, is_excused: false });
                    self.walk(body.stream(), false);
                    break;
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => break,
                token => head.extend([token]),
            }
        }
        self.walk(head, false);
    }

    /// A path goes on as long as `::` follows; a tree of `use` is as many paths as it has leaves.
    fn path(&mut self, mut path: Vec<String>, line: usize, tokens: &mut Tokens) {
        while is_colons(tokens) {
            tokens.next();
            tokens.next();
            match tokens.peek() {
                Some(TokenTree::Ident(_)) => {
                    path.push(tokens.next().expect("it was seen").to_string());
                }
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    let Some(TokenTree::Group(group)) = tokens.next() else { return };
                    return self.leaves(&path, &group);
                }
                Some(TokenTree::Punct(punct)) if punct.as_char() == '*' => {
                    path.push("*".into());
                    break;
                }
                _ => break,
            }
        }
        let is_above =
            ["crate", "super", "self"].iter().any(|it| path.last().is_some_and(|last| last == it));
        if is_above && matches!(tokens.peek(), Some(TokenTree::Ident(it)) if it == "as") {
            self.renames.push(line);
        }
        let is_import = self.is_import;
        self.paths.push(Named { module: self.within.clone(), path, line, is_import });
    }

    fn leaves(&mut self, path: &[String], group: &Group) {
        let mut tokens = group.stream().into_iter().peekable();
        while let Some(token) = tokens.next() {
            let TokenTree::Ident(ident) = token else { continue };
            let (name, line) = (ident.to_string(), ident.span().start().line);
            if name == "as" {
                tokens.next();
                continue;
            }
            let mut path = path.to_vec();
            if name != "self" {
                path.push(name);
            }
            self.path(path, line, &mut tokens);
        }
    }
}

/// The module that a file is.
fn module(path: &str) -> Vec<String> {
    let path = path.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').filter(|name| *name != "lib").map(str::to_owned).collect()
}

fn is_heading(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || line.starts_with('#')
}

fn is_for_tests(attribute: &Group) -> bool {
    attribute.stream().to_string().replace(' ', "") == "cfg(test)"
}

/// To its semicolon, or the end of its body.
fn skip_item(tokens: &mut Tokens) {
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return,
            TokenTree::Punct(punct) if punct.as_char() == ';' => return,
            _ => {}
        }
    }
}

fn is_colons(tokens: &Tokens) -> bool {
    let mut next = tokens.clone();
    let is_colon =
        |it: Option<TokenTree>| matches!(it, Some(TokenTree::Punct(it)) if it.as_char() == ':');
    is_colon(next.next()) && is_colon(next.next())
}
