//! The manual says what is there: its links within the page lead somewhere, and it explains what is logged.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src");

/// Every file below a directory whose name ends so, as text.
fn texts(directory: &Path, ending: &str) -> Vec<String> {
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let texts = paths.flat_map(|path| match path.is_dir() {
        true => texts(&path, ending),
        false if path.to_str().unwrap().ends_with(ending) => {
            vec![fs::read_to_string(path).unwrap()]
        }
        false => Vec::new(),
    });
    texts.collect()
}

/// The crate's page: its chapters, and what stands between them.
fn page() -> String {
    let root = fs::read_to_string(Path::new(SOURCE).join("lib.rs")).unwrap();
    let between = root.lines().filter_map(|line| line.strip_prefix("//!"));
    let between: Vec<_> = between.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    between.join("\n") + "\n" + &texts(&Path::new(SOURCE).join("manual"), ".md").join("\n")
}

/// As rustdoc makes it from the text of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|it| it.is_alphanumeric() || " -_".contains(*it));
    kept.map(|it| if it == ' ' { '-' } else { it.to_ascii_lowercase() }).collect()
}

#[test]
fn drawings_are_no_wider_than_the_page() {
    // As docs.rs shows it on a telephone, 400 pixels wide; a wider drawing is cut off.
    const WIDTH: usize = 35;
    let page = page();
    let blocks = page.split("\n```text\n").skip(1).map(|rest| rest.split("\n```").next().unwrap());
    let blocks: Vec<_> = blocks.collect();
    assert!(blocks.len() > 4, "{blocks:?}");
    for line in blocks.iter().flat_map(|block| block.lines()) {
        assert!(line.chars().count() < WIDTH, "{line}");
    }
}

#[test]
fn links_within_the_page_lead_to_headings() {
    let page = page();
    // Of blocks of code only what is outside: a line may begin with `# ` in them too.
    let prose: String = page.split("```").step_by(2).collect();
    let headings = prose.lines().filter(|line| line.starts_with('#'));
    let anchors: BTreeSet<_> =
        headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect();
    let links: BTreeSet<_> =
        prose.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()).collect();
    assert!(links.len() > 20, "{links:?}");
    assert_eq!(links.difference(&anchors).collect::<Vec<_>>(), Vec::<&String>::new());
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
