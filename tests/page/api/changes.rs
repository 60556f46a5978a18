//! No change of the public API goes unnoticed.

use std::collections::BTreeSet;
use std::path::Path;
use std::{env, fs};

use super::surface::Surface;
use crate::modules::Modules;

const HOW: &str = "If it is meant, say so in CHANGELOG.md, and run `UPDATE_API=1 cargo test --features full --test page`.";

#[test]
fn the_public_api_is_what_is_written_down() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/page/api/surface.txt");
    let found = surface().to_string();
    if env::var_os("UPDATE_API").is_some() {
        fs::write(&file, &found).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap();
    let changes = changes(&written, &found);
    assert!(changes.is_empty(), "the public API has changed:\n\n{}\n\n{HOW}", changes.join("\n"));
}

#[test]
fn every_public_type_says_what_it_can_do() {
    let assertions = include_str!("mod.rs");
    let surface = surface();
    let kinds = ["struct", "enum", "trait"];
    // A handler may be neither sent nor shared: `listen` calls it where it is.
    let names =
        kinds.into_iter().flat_map(|kind| surface.names_of(kind)).filter(|it| *it != "Handler");
    let is_there =
        |name: &str| [">", "<"].iter().any(|end| assertions.contains(&format!("kc::{name}{end}")));
    let missing: Vec<_> = names.filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "tests/page/api/mod.rs does not speak of {missing:?}");
}

fn surface() -> Surface {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    Surface::of(&Modules::read(&|file| fs::read_to_string(root.join(file)).ok()))
}

/// What went, then what came, item by item.
fn changes(before: &str, after: &str) -> Vec<String> {
    let (before, after) = (Surface::lines(before), Surface::lines(after));
    let mut changes = BTreeSet::new();
    changes.extend(before.difference(&after).map(|line| (line, "-")));
    changes.extend(after.difference(&before).map(|line| (line, "+")));
    changes.into_iter().map(|(line, sign)| format!("{sign} {line}")).collect()
}

mod tests {
    use super::*;

    const LIB: &str = "
        mod shape;
        pub use crate::shape::{Draw, Kind, Line, Round, draw};
        pub use bytes;
        #[cfg(feature = \"tools\")]
        pub mod tools { pub use crate::shape::{Ruler, rule}; }
    ";
    const SHAPE: &str = "
        mod round;
        #[cfg(test)]
        mod tests;
        pub use self::round::Circle as Round;

        #[derive(Clone)]
        #[must_use]
        pub struct Line { pub length: u32, width: u32 }
        #[non_exhaustive]
        pub enum Kind { Thin, #[non_exhaustive] Thick { width: u32 } }
        struct Hidden { line: u32 }
        pub trait Draw { fn draw(&self, at: u32); fn hide(&mut self) {} }

        impl Line {
            pub const UNIT: u32 = 1;
            pub fn new(length: u32) -> Self { todo!() }
            fn check(&self) {}
            pub(crate) fn width(&self) -> u32 { self.width }
        }
        impl Hidden { pub fn look(&self) {} }
        impl Draw for Line { fn draw(&self, at: u32) {} }
        impl<T: Draw + ?Sized> Draw for Box<T> { fn draw(&self, at: u32) {} }
        pub fn draw(
            shape: &dyn Draw,
            at: u32,
        ) {}
        pub struct Ruler;
        pub fn rule(rule: Ruler) {}
    ";
    /// Another `Line`, which nobody sees, and a type with another name outside.
    const ROUND: &str = "
        use super::Draw;
        pub struct Circle;
        struct Line;
        impl Line { pub fn bend(&self) {} }
        impl Draw for Circle { fn draw(&self, _: u32) {} }
        impl<'a> Draw for &'a Circle { fn draw(&self, _: u32) {} }
        impl Draw for u32 { fn draw(&self, _: u32) {} }
        #[cfg(feature = \"area\")]
        impl Circle { pub fn area<N>(&self) -> N where N: From<u32> { todo!() } }
    ";

    fn written(lib: &str, shape: &str, round: &str) -> String {
        let files = |file: &str| match file {
            "lib.rs" => Some(lib.to_owned()),
            "shape.rs" => Some(shape.to_owned()),
            "shape/round.rs" => Some(round.to_owned()),
            _ => None,
        };
        Surface::of(&Modules::read(&files)).to_string()
    }

    /// The changes when each file has this text replaced, where it holds it.
    fn changed(from: &str, to: &str) -> Vec<String> {
        assert!([LIB, SHAPE, ROUND].iter().any(|text| text.contains(from)), "{from}");
        let [lib, shape, round] = [LIB, SHAPE, ROUND].map(|text| text.replacen(from, to, 1));
        changes(&written(LIB, SHAPE, ROUND), &written(&lib, &shape, &round))
    }

    #[test]
    fn everything_public_is_written_down() {
        let written = written(LIB, SHAPE, ROUND);
        let (_, found) = written.split_once("\n\n").unwrap(); // without the title
        let expected = "\
trait Draw
    fn draw(&self, at: u32)
    fn hide(&mut self) { .. }
    impl Draw for u32
    impl<T: Draw + ?Sized> Draw for Box<T>

enum Kind
    #[non_exhaustive]
    #[non_exhaustive] Thick { width: u32 }
    Thin

struct Line
    #[must_use]
    const UNIT: u32 = 1
    fn new(length: u32) -> Self
    impl Clone
    impl Draw
    length: u32
    private fields

struct Round
    #[cfg(feature = \"area\")] fn area<N>(&self) -> N where N: From<u32>
    impl Draw
    impl<'a> Draw for &'a Circle

use bytes

fn draw(shape: &dyn Draw, at: u32)

struct tools::Ruler
    #[cfg(feature = \"tools\")]

fn tools::rule(rule: Ruler)
    #[cfg(feature = \"tools\")]

";
        assert_eq!(found, expected);
    }

    #[test]
    fn what_comes_goes_or_changes_is_told() {
        let cases: [(&str, &str, &[&str]); 13] = [
            (
                "Kind, Line",
                "Line",
                &[
                    "- enum Kind",
                    "- enum Kind :: #[non_exhaustive]",
                    "- enum Kind :: #[non_exhaustive] Thick { width: u32 }",
                    "- enum Kind :: Thin",
                ],
            ),
            ("fn check", "pub fn check", &["+ struct Line :: fn check(&self)"]),
            ("pub fn new", "fn new", &["- struct Line :: fn new(length: u32) -> Self"]),
            (
                "new(length: u32)",
                "new(length: u64)",
                &[
                    "- struct Line :: fn new(length: u32) -> Self",
                    "+ struct Line :: fn new(length: u64) -> Self",
                ],
            ),
            (
                "#[derive(Clone)]",
                "#[derive(Debug)]",
                &["- struct Line :: impl Clone", "+ struct Line :: impl Debug"],
            ),
            ("pub length", "length", &["- struct Line :: length: u32"]),
            ("Thin,", "", &["- enum Kind :: Thin"]),
            ("#[must_use]", "", &["- struct Line :: #[must_use]"]),
            (
                "fn hide(&mut self) {}",
                "fn hide(&mut self);",
                &[
                    "+ trait Draw :: fn hide(&mut self)",
                    "- trait Draw :: fn hide(&mut self) { .. }",
                ],
            ),
            ("impl Draw for Line", "impl Draw for Hidden", &["- struct Line :: impl Draw"]),
            (
                "at: u32,\n",
                "at: u8,\n",
                &["- fn draw(shape: &dyn Draw, at: u32)", "+ fn draw(shape: &dyn Draw, at: u8)"],
            ),
            ("pub use bytes;", "", &["- use bytes"]),
            (
                "{Ruler, rule}",
                "Ruler",
                &[
                    "- fn tools::rule(rule: Ruler)",
                    "- fn tools::rule(rule: Ruler) :: #[cfg(feature = \"tools\")]",
                ],
            ),
        ];
        for (from, to, expected) in cases {
            let mut changed = changed(from, to);
            changed.sort_by_key(|line| line[2..].to_owned());
            assert_eq!(changed, expected, "{from} -> {to}");
        }
    }

    #[test]
    fn what_nobody_sees_may_change() {
        let cases = [
            ("width: u32 }", "width: u64 }"),
            ("fn check(&self)", "fn check(&mut self, why: u32)"),
            ("pub fn look(&self) {}", ""),
            ("pub fn bend(&self) {}", "pub fn twist(&self) {}"),
            ("todo!()", "{ 1 + 1 }"),
            ("struct Hidden { line: u32 }", "#[derive(Clone)] struct Hidden;"),
        ];
        for (from, to) in cases {
            assert_eq!(changed(from, to), [""; 0], "{from} -> {to}");
        }
    }
}
