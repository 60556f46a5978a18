//! The manual's table of Amazon's variables is what the client does.

use std::collections::BTreeSet;

use crate::aws::credentials::chain;
use crate::client::kinesis::builder::ClientBuilder;

/// The variables that the table says this of.
fn listed(what: &str) -> BTreeSet<&'static str> {
    let rows = include_str!("../../manual/limits.md").lines();
    let rows =
        rows.filter_map(|row| row.strip_prefix("| `AWS_")?.split_once(&format!(" | {what} | ")));
    let names = rows.flat_map(|(names, _)| names.split("`, `AWS_"));
    names.map(|name| name.trim_end_matches('`')).collect()
}

#[test]
fn each_variable_that_is_refused_is_named_by_an_error() {
    let refused = listed("refused");
    assert!(refused.len() >= 2, "{refused:?}");
    for name in refused {
        let name = format!("AWS_{name}");
        let lookup = |asked: &str| (asked == name).then(|| "true".to_owned());
        let built = ClientBuilder::new().region("us-east-1").build_in(&lookup);
        let error = built.map_or_else(|error| error.to_string(), |_| chain::refusal(&lookup));
        assert!(error.contains(&name), "{name}: {error}");
    }
}

#[test]
fn each_variable_that_is_honoured_or_refused_is_looked_at_and_no_other_is() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let folders = ["aws", "aws/credentials", "aws/http", "client/kinesis"];
    let mut looked = BTreeSet::new();
    let files = folders.map(|folder| std::fs::read_dir(format!("{root}/{folder}")).unwrap());
    let paths = files.into_iter().flatten().map(|file| file.unwrap().path());
    for path in paths.filter(|path| path.extension().is_some_and(|it| it == "rs")) {
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
        // As constants hold them, whole.
        let names = code.split("\"AWS_").skip(1).filter_map(|rest| rest.split_once('"'));
        let is_part = |it: char| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_';
        let names = names.filter(|(name, _)| !name.is_empty() && name.chars().all(is_part));
        looked.extend(names.map(|(name, _)| name.to_owned()));
    }
    // rusoto looks at these two itself.
    looked.extend(["SESSION_TOKEN", "CREDENTIAL_EXPIRATION"].map(str::to_owned));
    let known: BTreeSet<_> = listed("honoured").union(&listed("refused")).copied().collect();
    assert_eq!(looked.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
    assert!(listed("ignored").is_disjoint(&known) && listed("ignored").len() > 15);
}
