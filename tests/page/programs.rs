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

/// What each `main` of a text returns, as it is written: nothing, or a type.
fn results(text: &str) -> Vec<String> {
    let mains = text.split("fn main()").skip(1).map(|rest| rest.split('{').next().unwrap());
    mains.map(|result| result.trim().trim_start_matches("->").trim().to_owned()).collect()
}

#[test]
fn every_main_prints_its_error_as_text() {
    let mut mains = 0;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in PLACES.iter().flat_map(|place| files(root.join(place))) {
        let text = fs::read_to_string(&file).unwrap();
        for result in results(&text) {
            mains += 1;
            let file = file.display();
            assert!(["", "ExitCode"].contains(&result.as_str()), "{file}: main returns {result}");
            // The example `tail` has texts of its own.
            let is_shown =
                result.is_empty() || text.contains("{error:#}") || text.contains("failure::line");
            assert!(is_shown, "{file}: main does not show the sources of an error");
        }
    }
    assert!(mains > 8, "{mains}");
}

#[test]
fn what_a_main_returns_is_read() {
    let text = "fn main() {} fn main() -> ExitCode {} # fn main() -> Result<(), BoxError> {";
    assert_eq!(results(text), ["", "ExitCode", "Result<(), BoxError>"]);
}
