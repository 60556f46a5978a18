//! Texts for people hold no name of a Rust program: who reads them may be at a terminal, far from the source.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What only tests and their authors see.
const OF_TESTS: [&str; 5] = ["simulation", "contract", "tests", "tests.rs", "_tests.rs"];

/// What follows in parentheses is read by a developer.
const FOR_DEVELOPERS: [&str; 9] = [
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "expect",
    "panic",
    "todo",
    "unimplemented",
    "unreachable",
];

/// Amazon's own words, which this crate has too.
const OF_AMAZON: [&str; 4] = ["GetRecords", "GetShardIterator", "ListShards", "ShardIterator"];

/// What holds a duration, whose Debug form nobody would say.
const DURATIONS: [&str; 12] = [
    "age",
    "again",
    "busy_timeout",
    "connect",
    "deadline",
    "interval",
    "lasted",
    "limit",
    "patience",
    "time",
    "wait",
    "waited",
];

/// A text, and the file that has it.
#[derive(Clone)]
struct Text {
    file: PathBuf,
    text: String,
}

/// Every file of Rust below a directory that is not for tests alone.
fn files(directory: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let is_shown = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        !OF_TESTS.iter().any(|it| name == *it || it.starts_with('_') && name.ends_with(it))
    };
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    let all = paths.filter(is_shown).flat_map(below);
    all.filter(|path| path.extension().is_some_and(|it| it == "rs")).collect()
}

/// Every literal of these files that somebody may read who does not see the source.
fn texts(directory: &str) -> Vec<Text> {
    let read = |file: PathBuf| {
        let tokens: TokenStream = fs::read_to_string(&file).unwrap().parse().unwrap();
        let mut texts = Vec::new();
        walk(tokens, &mut texts);
        texts.into_iter().map(move |text| Text { file: file.clone(), text }).collect::<Vec<_>>()
    };
    files(&Path::new(ROOT).join(directory)).into_iter().flat_map(read).collect()
}

fn walk(tokens: TokenStream, texts: &mut Vec<String>) {
    let mut tokens = tokens.into_iter().peekable();
    let mut is_for_developers = false;
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(it) if it.as_char() == '#' => {
                tokens.next_if(|it| matches!(it, TokenTree::Punct(it) if it.as_char() == '!'));
                let Some(TokenTree::Group(attribute)) = tokens.next() else { continue };
                match first(&attribute).as_str() {
                    "error" => walk(attribute.stream(), texts),
                    "cfg" if attribute.stream().to_string().contains("test") => {
                        let is_end = |token: &TokenTree| match token {
                            TokenTree::Group(it) => it.delimiter() == Delimiter::Brace,
                            TokenTree::Punct(it) => it.as_char() == ';',
                            _ => false,
                        };
                        let _item = tokens.by_ref().find(is_end);
                    }
                    _ => {}
                }
            }
            TokenTree::Group(group) => {
                if !is_for_developers {
                    walk(group.stream(), texts);
                }
                is_for_developers = false;
            }
            TokenTree::Ident(it) => {
                is_for_developers = FOR_DEVELOPERS.contains(&it.to_string().as_str());
            }
            TokenTree::Literal(it) => {
                texts.extend(
                    syn::parse_str::<syn::LitStr>(&it.to_string()).ok().map(|it| it.value()),
                );
            }
            TokenTree::Punct(it) => is_for_developers &= it.as_char() == '!',
        }
    }
}

fn first(attribute: &Group) -> String {
    attribute.stream().into_iter().next().map(|it| it.to_string()).unwrap_or_default()
}

/// Names of this crate that are no words: `start_at`, `OnGap`.
fn names() -> BTreeSet<String> {
    let surface = fs::read_to_string(Path::new(ROOT).join("tests/page/api/surface.txt")).unwrap();
    let words = words(&surface);
    let names = words.into_iter().filter(|it| is_name(it) && !OF_AMAZON.contains(it));
    names.map(str::to_owned).collect()
}

/// Whether a word is written as Rust writes a function, a field or a type.
fn is_name(word: &str) -> bool {
    let is_snake = word.trim_matches('_').contains('_') && !word.contains(char::is_uppercase);
    is_snake || word.starts_with(char::is_uppercase) && word.contains(char::is_lowercase)
}

fn words(text: &str) -> Vec<&str> {
    text.split(|it: char| !it.is_ascii_alphanumeric() && it != '_')
        .filter(|it| !it.is_empty())
        .collect()
}

/// A text, and what stands in its braces.
fn placeholders(text: &str) -> (String, Vec<String>) {
    let text = text.replace("{{", "").replace("}}", "");
    let (mut plain, mut held) = (String::new(), Vec::new());
    for (at, piece) in text.split(['{', '}']).enumerate() {
        if at % 2 == 0 {
            plain += piece;
        } else {
            plain.push('…');
            held.push(piece.to_owned());
        }
    }
    (plain, held)
}

/// Whether it has a path such as `Config::limit`.
fn has_path(text: &str) -> bool {
    text.match_indices("::").any(|(at, _)| {
        let before = text[..at].rsplit(|it: char| !it.is_ascii_alphanumeric()).next();
        let is_type = before.is_some_and(|it| it.starts_with(|it: char| it.is_ascii_uppercase()));
        is_type && text[at + 2..].starts_with(|it: char| it.is_ascii_alphabetic())
    })
}

/// What is wrong with a text.
fn faults(text: &str, names: &BTreeSet<String>) -> Vec<String> {
    let (plain, held) = placeholders(text);
    let mut faults = Vec::new();
    faults.extend(has_path(&plain).then(|| "a path of Rust".to_owned()));
    // One word alone is a key, a label or a name of somebody else's.
    if plain.trim().contains(' ') {
        let named =
            words(&plain).into_iter().filter(|it| names.contains(*it) && !begins(&plain, it));
        faults.extend(named.map(|word| format!("the name {word}")));
    }
    let is_duration = |it: &&String| {
        it.strip_suffix(":?").is_some_and(|it| DURATIONS.contains(&it.to_lowercase().as_str()))
    };
    faults.extend(held.iter().filter(is_duration).map(|it| format!("the duration {{{it}}}")));
    faults
}

/// Whether a text begins with this word, as any sentence may that has a capital.
fn begins(text: &str, word: &str) -> bool {
    text.starts_with(word) && !word[1..].contains(char::is_uppercase)
}

#[test]
fn texts_for_people_name_nothing_of_rust() {
    let names = names();
    let texts = [texts("src"), texts("examples")].concat();
    assert!(texts.len() > 1_000 && names.len() > 200, "{} {}", texts.len(), names.len());
    let mut faulty = Vec::new();
    for Text { file, text } in &texts {
        let faults = faults(text, &names).into_iter();
        faulty.extend(faults.map(|it| format!("{}: {it}: {text:?}", file.display())));
    }
    assert!(faulty.is_empty(), "{}", faulty.join("\n"));
}

#[test]
fn names_and_durations_of_rust_are_found_in_a_text() {
    let names = names();
    for text in [
        "choose Deaggregation::All",
        "ClientBuilder::fips",
        "start later, or raise start_patience",
        "choose with on_gap where to start",
        "it was stopped: create another Stream",
        "no answer within {limit:?}",
    ] {
        assert!(!faults(text, &names).is_empty(), "{text:?}");
    }
    for text in [
        "Stream {stream:?} has no shard: take one that ListShards shows",
        "{hour:02}:{minute:02}:{second:02}Z",
        "waiting_for_parents",
        "sso_session names {name:?}, and fd00:ec2::23 is its address",
    ] {
        assert_eq!(faults(text, &names), Vec::<String>::new(), "{text:?}");
    }
}

/// The example `tail` replaces pieces of the library's texts, which it finds no more if these change.
#[test]
fn every_advice_that_tail_replaces_is_given() {
    let source = fs::read_to_string(Path::new(ROOT).join("examples/tail/failure.rs")).unwrap();
    let items = syn::parse_file(&source).unwrap().items;
    let table = items.into_iter().find_map(|item| match item {
        syn::Item::Const(item) if item.ident == "WORDS" => Some(crate::text::text(&item.expr)),
        _ => None,
    });
    let mut pairs = Vec::new();
    walk(table.unwrap().parse().unwrap(), &mut pairs);
    let given: String = texts("src").into_iter().map(|it| it.text + "\n").collect();
    assert!(pairs.len() > 6, "{pairs:?}");
    for replaced in pairs.iter().step_by(2) {
        assert!(given.contains(replaced), "{replaced:?} is in no text of the library");
    }
}
