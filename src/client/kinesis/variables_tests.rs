//! The manual's tables of access are what the client does.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::aws::credentials::chain;
use crate::aws::endpoint;
use crate::aws::environment::Lookup;
use crate::aws::partition;
use crate::aws::service::Service;
use crate::aws::variants::Variants;
use crate::client::kinesis::builder::ClientBuilder;

const PAGE: &str = include_str!("../../manual/environment.md");
const WORDS: [&str; 3] = ["honoured", "refused", "ignored"];

/// A row of the tables of variables.
struct Row {
    /// The heading above its table.
    table: &'static str,
    variables: Vec<&'static str>,
    /// Settings of a profile.
    settings: Vec<&'static str>,
    /// What happens to them here.
    word: &'static str,
    reason: &'static str,
}

fn rows() -> Vec<Row> {
    let (_, tables) = PAGE.split_once("\n## Variables of Amazon's tools\n").unwrap();
    let mut table = "";
    let mut rows = Vec::new();
    for line in tables.lines() {
        table = line.strip_prefix("### ").unwrap_or(table);
        let is_row = line.starts_with('|') && !line.starts_with("| variable ");
        if is_row && !line.starts_with("|---") {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [variables, settings, word, reason] = cells[..] else { panic!("{line}") };
            let [variables, settings] = [variables, settings].map(names);
            rows.push(Row { table, variables, settings, word, reason });
        }
    }
    rows
}

/// The names in a cell, each in backticks.
fn names(cell: &'static str) -> Vec<&'static str> {
    let names = cell.split(", ").filter(|name| !name.is_empty());
    names.map(|name| name.strip_prefix('`').unwrap().strip_suffix('`').unwrap()).collect()
}

/// The variables of all rows with this word.
fn variables(word: &str) -> BTreeSet<&'static str> {
    let rows = rows().into_iter().filter(|row| row.word == word);
    rows.flat_map(|row| row.variables).collect()
}

#[test]
fn each_row_says_what_happens_and_why_and_each_name_has_one_row() {
    let rows = rows();
    assert!(rows.len() > 30, "{}", rows.len());
    let mut seen = BTreeSet::new();
    for row in &rows {
        let names: Vec<_> = row.variables.iter().chain(&row.settings).collect();
        assert!(!names.is_empty() && WORDS.contains(&row.word), "{names:?}: {:?}", row.word);
        assert!(row.reason.len() > 10, "{names:?} without a reason");
        for name in names {
            assert!(seen.insert(*name), "{name} has two rows");
        }
    }
}

/// Every file of sources below a directory.
fn sources(directory: &Path) -> Vec<PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let paths = paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] });
    paths.filter(|path| path.extension().is_some_and(|it| it == "rs")).collect()
}

#[test]
fn each_variable_that_the_sources_read_has_a_row_that_does_not_say_ignored() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut read = BTreeSet::new();
    for path in [root.join("aws"), root.join("client/kinesis")].iter().flat_map(|it| sources(it)) {
        let is_test = path.to_str().unwrap().contains("tests");
        let text = std::fs::read_to_string(path).unwrap();
        let code = if is_test { "" } else { text.split("#[cfg(test)]\nmod tests").next().unwrap() };
        // As constants hold them, whole.
        let names = code.split("\"AWS_").skip(1).filter_map(|rest| rest.split_once('"'));
        let is_part = |it: char| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_';
        let names = names.filter(|(name, _)| !name.is_empty() && name.chars().all(is_part));
        read.extend(names.map(|(name, _)| format!("AWS_{name}")));
    }
    assert!(read.len() > 25, "{read:?}");
    let known = &variables("honoured") | &variables("refused");
    for name in read {
        assert!(known.contains(name.as_str()), "{name} is read, and not in the table");
    }
}

#[test]
fn each_variable_that_is_refused_is_named_by_an_error() {
    for name in variables("refused") {
        let lookup = |asked: &str| (asked == name).then(|| "true".to_owned());
        let built = ClientBuilder::new().region("us-east-1").build_in(&lookup);
        let error = built.map_or_else(|error| error.to_string(), |_| chain::refusal(&lookup));
        assert!(error.contains(name), "{name}: {error}");
    }
}

/// Files of settings that no other test has, removed at the end.
struct Files(PathBuf);

impl Files {
    /// A profile `default` and a profile `other`, each with its region.
    const CONFIG: &str = "[default]\nregion = us-east-1\n[profile other]\nregion = eu-other-1\n\
                          [services mine]\nkinesis =\n  endpoint_url = http://127.0.0.1:7\n";

    fn new(name: &str) -> Self {
        let directory =
            std::env::temp_dir().join(format!("kc-variables-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("config"), Self::CONFIG).unwrap();
        std::fs::write(directory.join("keys"), "[default]\nregion = eu-keys-1\n").unwrap();
        std::fs::write(directory.join("second"), "[default]\nregion = eu-second-1\n").unwrap();
        Self(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// What a client is made of with these variables, and these lines after the file of settings.
    fn outcome(&self, variables: &[(&str, &str)], lines: &str) -> String {
        let config = format!("{}[default]\n{lines}\n", Self::CONFIG);
        std::fs::write(self.path("config"), config).unwrap();
        let lookup = |name: &str| match variables.iter().find(|it| it.0 == name) {
            Some((_, file)) if ["keys", "second"].contains(file) => Some(self.path(file)),
            Some((_, value)) => Some((*value).to_owned()),
            None if name == "AWS_CONFIG_FILE" => Some(self.path("config")),
            None => None,
        };
        match ClientBuilder::new().allow_plain_http(true).build_in(&lookup) {
            Ok(client) => format!(
                "{} {} by {:?}, own roots: {}, tables: {}",
                client.region(),
                client.endpoint(),
                client.caller.peer().network.proxy.as_ref().map(|route| &route.name),
                client.caller.peer().network.roots.is_some(),
                tables(client.region(), &lookup),
            ),
            Err(error) => error.to_string(),
        }
    }
}

/// Where tables of leases are.
fn tables(region: &str, lookup: Lookup<'_>) -> String {
    let found = endpoint::of_service(Service::DynamoDb, region, Variants::default(), true, lookup);
    found.map_or_else(|error| error.to_string(), |endpoint| endpoint.url().to_owned())
}

impl Drop for Files {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A name, a value, other variables, and what the client shows with all of them and not without the name.
type Effect = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static str);

const LOCAL: (&str, &str) = ("AWS_ENDPOINT_URL", "http://127.0.0.1:5");
const PLAIN: (&str, &str) = ("AWS_ENDPOINT_URL", "http://example.com");
const PROXY: (&str, &str) = ("HTTPS_PROXY", "http://127.0.0.1:6");

/// Each honoured name about region, endpoint and network.
const EFFECTS: &[Effect] = &[
    ("AWS_PROFILE", "other", &[], "eu-other-1"),
    ("AWS_DEFAULT_PROFILE", "other", &[], "eu-other-1"),
    ("AWS_CONFIG_FILE", "second", &[], "eu-second-1"),
    ("AWS_SHARED_CREDENTIALS_FILE", "keys", &[], "eu-keys-1"),
    ("AWS_REGION", "eu-x-1", &[], "eu-x-1 https://kinesis.eu-x-1.amazonaws.com"),
    ("AWS_DEFAULT_REGION", "eu-x-1", &[], "eu-x-1 https://kinesis.eu-x-1.amazonaws.com"),
    ("region", "eu-x-1", &[], "eu-x-1 https://kinesis.eu-x-1.amazonaws.com"),
    ("AWS_ENDPOINT_URL", "http://127.0.0.1:8", &[], "http://127.0.0.1:8"),
    ("endpoint_url", "http://127.0.0.1:8", &[], "http://127.0.0.1:8"),
    ("AWS_ENDPOINT_URL_KINESIS", "http://127.0.0.1:8", &[LOCAL], "http://127.0.0.1:8"),
    ("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:8", &[LOCAL], "tables: http://127.0.0.1:8"),
    ("services", "mine", &[], "http://127.0.0.1:7"),
    ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", &[LOCAL], "https://kinesis.us-east-1."),
    ("ignore_configured_endpoint_urls", "true", &[LOCAL], "https://kinesis.us-east-1."),
    ("AWS_USE_FIPS_ENDPOINT", "true", &[], "https://kinesis-fips.us-east-1.amazonaws.com"),
    ("use_fips_endpoint", "true", &[], "https://kinesis-fips.us-east-1.amazonaws.com"),
    ("AWS_USE_DUALSTACK_ENDPOINT", "true", &[], "https://kinesis.us-east-1.api.aws"),
    ("use_dualstack_endpoint", "true", &[], "https://kinesis.us-east-1.api.aws"),
    ("AWS_CA_BUNDLE", "/no/such", &[], "AWS_CA_BUNDLE: /no/such: "),
    ("ca_bundle", "/no/such", &[], "ca_bundle: /no/such: "),
    ("https_proxy", "http://127.0.0.1:8", &[PROXY], "http://127.0.0.1:8 (https_proxy)"),
    ("HTTPS_PROXY", "http://127.0.0.1:8", &[], "http://127.0.0.1:8 (HTTPS_PROXY)"),
    ("all_proxy", "http://127.0.0.1:8", &[], "http://127.0.0.1:8 (all_proxy)"),
    ("ALL_PROXY", "http://127.0.0.1:8", &[], "http://127.0.0.1:8 (ALL_PROXY)"),
    ("http_proxy", "http://127.0.0.1:8", &[PLAIN], "http://127.0.0.1:8 (http_proxy)"),
    ("no_proxy", "amazonaws.com", &[PROXY], "by None"),
    ("NO_PROXY", "amazonaws.com", &[PROXY], "by None"),
];

#[test]
fn each_setting_of_region_endpoint_and_network_that_is_honoured_changes_the_client() {
    let rows = rows().into_iter().filter(|row| row.table == "Region, endpoint and network");
    let honoured: Vec<_> = rows.filter(|row| row.word == "honoured").collect();
    let variables: BTreeSet<_> = honoured.iter().flat_map(|row| row.variables.clone()).collect();
    let settings: BTreeSet<_> = honoured.iter().flat_map(|row| row.settings.clone()).collect();
    let listed = &variables | &settings;
    assert_eq!(listed, EFFECTS.iter().map(|effect| effect.0).collect());
    let files = Files::new("honoured");
    for (name, value, others, shown) in EFFECTS {
        let before = files.outcome(others, "");
        assert!(!before.contains(shown), "without {name}: {before}");
        let after = match variables.contains(name) {
            true => files.outcome(&[&[(*name, *value)], *others].concat(), ""),
            false => files.outcome(others, &format!("{name} = {value}")),
        };
        assert!(after.contains(shown), "with {name}: {after}");
    }
}

#[test]
fn each_setting_that_is_ignored_changes_nothing() {
    let files = Files::new("ignored");
    let ignored = rows().into_iter().filter(|row| row.word == "ignored");
    let (mut variables, mut settings) = (Vec::new(), Vec::new());
    for row in ignored {
        variables.extend(row.variables);
        settings.extend(row.settings);
    }
    assert!(variables.len() > 25 && settings.len() > 20, "{variables:?} {settings:?}");
    for others in [&[][..], &[PLAIN], &[("AWS_USE_FIPS_ENDPOINT", "true")]] {
        let before = files.outcome(others, "");
        for value in ["true", "http://127.0.0.1:8"] {
            for name in &variables {
                let with = [&[(*name, value)], others].concat();
                assert_eq!(files.outcome(&with, ""), before, "{name} = {value}");
            }
            let lines: String = settings.iter().map(|name| format!("{name} = {value}\n")).collect();
            assert_eq!(files.outcome(others, &lines), before, "{value}");
        }
    }
}

#[test]
fn the_table_of_fips_and_dual_stack_has_the_hosts_of_kinesis() {
    let (_, table) = PAGE.split_once("\n## FIPS and dual-stack\n").unwrap();
    let table = table.trim_start().split("\n\n").next().unwrap();
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| `")).collect();
    assert!(rows.len() > 4, "{rows:?}");
    for row in rows {
        let cells: Vec<_> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let region = cells[1];
        for (cell, (is_fips, is_dual_stack)) in
            [(2, (false, false)), (3, (true, false)), (4, (false, true)), (5, (true, true))]
        {
            let host = partition::host(Service::Kinesis, region, is_fips, is_dual_stack);
            let has = !is_fips || Service::Kinesis.has_fips(region);
            assert_eq!(cells[cell], if has { host.unwrap() } else { "error".to_owned() }, "{row}");
        }
    }
}
