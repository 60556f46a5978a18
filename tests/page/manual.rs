//! The manual says what is there: the links of its chapters lead somewhere, and it explains what is logged.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// Every file below a directory whose name ends so, as text.
fn texts(directory: &Path, ending: &str) -> Vec<String> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let texts = paths.flat_map(|path| match path.is_dir() {
        true => texts(&path, ending),
        false if ends_with(&path, ending) => vec![fs::read_to_string(path).unwrap()],
        false => Vec::new(),
    });
    texts.collect()
}

/// The chapters by their names, and the crate's page, whose name is empty.
fn pages() -> BTreeMap<String, String> {
    let root = fs::read_to_string(Path::new(SOURCE).join("lib.rs")).unwrap();
    let lines = root.lines().filter_map(|line| line.strip_prefix("//!"));
    let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let files = fs::read_dir(Path::new(SOURCE).join("manual")).unwrap();
    let chapters = files.map(|file| file.unwrap().path()).filter(|path| ends_with(path, ".md"));
    let chapter = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(path).unwrap())
    };
    chapters.map(chapter).chain([(String::new(), lines.join("\n"))]).collect()
}

fn ends_with(path: &Path, ending: &str) -> bool {
    path.to_str().unwrap().ends_with(ending)
}

/// Of blocks of code only what is outside.
pub(crate) fn prose(page: &str) -> String {
    page.split("```").step_by(2).collect()
}

/// As rustdoc makes it from the text of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
    kept.map(|it| if it == ' ' { '-' } else { it.to_ascii_lowercase() }).collect()
}

pub(crate) fn anchors(page: &str) -> BTreeSet<String> {
    // In blocks of code a line may begin with `# ` too.
    let prose = prose(page);
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

/// What follows a prefix in a text, each up to the end of a link's target.
fn links<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(prefix).skip(1).map(|rest| rest.split([')', '\n', ' ']).next().unwrap())
}

/// The chapter and the heading to which a page links: the own one, or `crate::manual::CHAPTER#HEADING`.
fn targets(own: &str, page: &str) -> Vec<(String, String)> {
    let prose = prose(page);
    let here = links(&prose, "](#").map(|heading| (own.to_owned(), heading.to_owned()));
    let root = links(&prose, "](crate#").map(|heading| (String::new(), heading.to_owned()));
    let others = ["](crate::manual::", "](manual::"].into_iter();
    let others = others.flat_map(|prefix| links(&prose, prefix)).map(|target| {
        let (chapter, heading) = target.split_once('#').unwrap_or((target, ""));
        (chapter.to_owned(), heading.to_owned())
    });
    here.chain(root).chain(others).collect()
}

#[test]
fn drawings_are_no_wider_than_the_page() {
    // As docs.rs shows it on a telephone, 400 pixels wide; a wider drawing is cut off.
    const WIDTH: usize = 35;
    let pages: Vec<_> = pages().into_values().collect();
    let blocks = pages.iter().flat_map(|page| page.split("\n```text\n").skip(1));
    let blocks: Vec<_> = blocks.map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert!(blocks.len() > 4, "{blocks:?}");
    for line in blocks.iter().flat_map(|block| block.lines()) {
        assert!(line.chars().count() < WIDTH, "{line}");
    }
}

#[test]
fn links_to_chapters_lead_to_their_headings() {
    let pages = pages();
    let anchors: BTreeMap<_, _> = pages.iter().map(|(name, page)| (name, anchors(page))).collect();
    let sources = texts(Path::new(SOURCE), ".rs").concat();
    // A link within an item's own page is not the manual's.
    let from_items = targets("", &sources.replace("](#", "]("));
    let from_pages = pages.iter().flat_map(|(name, page)| targets(name, page));
    let mut seen = 0;
    for (chapter, heading) in from_pages.chain(from_items) {
        let headings = anchors.get(&chapter).unwrap_or_else(|| panic!("no chapter {chapter:?}"));
        assert!(
            heading.is_empty() || headings.contains(&heading),
            "{chapter:?} has no heading {heading:?}"
        );
        seen += 1;
    }
    assert!(seen > 80, "only {seen} links were found");
}

#[test]
fn links_are_defined_in_lines_of_their_own_and_tables_are_whole() {
    for (name, page) in pages() {
        let prose = prose(&page);
        let mut cells = None;
        for line in prose.lines() {
            let is_definition = line.starts_with('[');
            assert!(is_definition || !line.contains("]: crate::"), "{name}: {line}");
            // A backtick may hold a `|`, and an escaped one is text.
            let code: String = line.split('`').step_by(2).collect();
            let count = line.starts_with('|').then(|| code.matches('|').count());
            assert!(count.is_none() || cells.is_none_or(|it| Some(it) == count), "{name}: {line}");
            cells = count;
        }
    }
}

#[test]
fn the_crates_page_leads_to_every_chapter() {
    let pages = pages();
    let linked: BTreeSet<_> =
        targets("", &pages[""]).into_iter().map(|(chapter, _)| chapter).collect();
    let missing: Vec<_> =
        pages.keys().filter(|name| !name.is_empty() && !linked.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The longest fixed piece of each text that is logged at a level which somebody sees.
fn logged() -> BTreeSet<String> {
    let source = texts(Path::new(SOURCE), ".rs").concat();
    let calls = ["log::warn!(", "log::error!(", "log::log!("];
    let calls = calls.iter().flat_map(|call| source.split(call).skip(1));
    let literal = |call: &str| call.split('"').nth(1).unwrap().to_owned();
    let longest = |text: String| {
        // A line with this end continues after the blanks of the next line.
        let text: String = text.split("\\\n").map(str::trim_start).collect();
        let pieces =
            text.split(['{', '}']).step_by(2).map(|it| it.trim_matches([' ', ':', ';', ',']));
        pieces.max_by_key(|piece| piece.len()).unwrap().to_owned()
    };
    calls.map(literal).map(longest).collect()
}

#[test]
fn every_warning_is_explained() {
    let table = fs::read_to_string(Path::new(SOURCE).join("manual/log.md")).unwrap();
    // A shorter piece is a name, and the text after it comes from another source.
    let logged: Vec<_> = logged().into_iter().filter(|piece| piece.len() >= 8).collect();
    assert!(logged.len() > 10, "{logged:?}");
    for text in logged {
        assert!(table.contains(&text), "{text:?} is not explained");
    }
}
