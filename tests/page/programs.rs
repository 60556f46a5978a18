//! Programs that are shown print an error as text with its sources: who copies one sees what a `main` that returns a
//! `Result` hides, which is an error's Debug form.

use std::fs;
use std::path::{Path, PathBuf};

/// Where programs are shown: directories, and files.
const PLACES: [&str; 3] = ["README.md", "examples", "src"];

/// A file that may hold a program, or all such files below a directory.
fn files(path: PathBuf) -> Vec<PathBuf> {
    if path.is_dir() {
        let paths = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        return paths.flat_map(files).collect();
    }
    let is_text = path.extension().is_some_and(|it| it == "rs" || it == "md");
    if is_text { vec![path] } else { Vec::new() }
}

/// What each `main` of a text returns, as it is written: nothing, or a type; and the text from there to the next one.
fn mains(text: &str) -> Vec<(&str, &str)> {
    let mains = text.split("fn main()").skip(1);
    mains
        .map(|rest| (rest.split('{').next().unwrap().trim().trim_start_matches("->").trim(), rest))
        .collect()
}

#[test]
fn every_main_prints_its_error_as_text() {
    let mut count = 0;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in PLACES.iter().flat_map(|place| files(root.join(place))) {
        let text = fs::read_to_string(&file).unwrap();
        for (result, program) in mains(&text) {
            count += 1;
            let file = file.display();
            assert_eq!(result, "ExitCode", "{file}: what main returns");
            // The example `tail` has texts of its own.
            let is_shown = program.contains("{error:#}") || program.contains("failure::line");
            assert!(is_shown, "{file}: main does not show the sources of an error");
        }
    }
    assert!(count > 8, "{count}");
}

#[test]
fn what_a_main_returns_is_read() {
    let text = "fn main() {} fn main() -> ExitCode {} # fn main() -> Result<(), BoxError> {";
    let results: Vec<_> = mains(text).into_iter().map(|(result, _)| result).collect();
    assert_eq!(results, ["", "ExitCode", "Result<(), BoxError>"]);
}
