//! Where a client goes, by the environment and the files of its process, and what it warns of.
//!
//! Each test runs a child process: this binary again, with `child` only.

use std::process::Command;

use kinesis_consumer::{Call, Client, KinesisClient};

use crate::common::SOON;
use crate::common::children::test_of;
use crate::common::directory::Directory;
use crate::common::logs;
use crate::common::loopback::{ACTIVE, Server, answer, chain, ok};

/// Tells `child` that it is one, and how many clients it builds.
const CLIENTS: &str = "KC_TEST_CLIENTS";
/// Makes the child call each of them.
const CALL: &str = "KC_TEST_CALL";
/// What the child gives to the setter of the endpoint, and to that of a table.
const ENDPOINT: &str = "KC_TEST_ENDPOINT";
const TABLE: &str = "KC_TEST_TABLE";

#[test]
#[ignore = "what a child process runs, in an environment of its own"]
fn child() {
    let Ok(clients) = std::env::var(CLIENTS) else { return };
    logs::keep();
    for _ in 0..clients.parse().unwrap() {
        let mut builder = KinesisClient::builder().allow_plain_http(true);
        if let Ok(endpoint) = std::env::var(ENDPOINT) {
            builder = builder.endpoint(endpoint).dual_stack(true);
        }
        let client = builder.build().unwrap();
        println!("\nplace: {} {}", client.region(), client.endpoint());
        if let Ok(endpoint) = std::env::var(TABLE) {
            let table = client.lease_table("orders").unwrap().endpoint(&endpoint);
            println!("table: {:?}", table.map(drop));
        }
        if std::env::var_os(CALL).is_some() {
            match client.describe_stream("orders", &Call::unbounded()) {
                Ok(status) => println!("outcome: {status:?}"),
                Err(error) => println!("outcome: {}", chain(&error)),
            }
        }
    }
    for line in logs::warnings("", "") {
        println!("warned: {line}");
    }
}

/// What the child said, of each kind.
struct Said(String);

impl Said {
    fn all(&self, kind: &str) -> Vec<&str> {
        let start = format!("{kind}: ");
        self.0.lines().filter_map(|line| line.strip_prefix(&start)).collect()
    }
}

/// Runs a child that builds so many clients with these variables and no others.
fn run(clients: usize, variables: &[(&str, &str)]) -> Said {
    let mut child = Command::new(std::env::current_exe().unwrap());
    let test = test_of(module_path!(), "child");
    child.args(["--exact", &test, "--ignored", "--nocapture", "--test-threads=1"]);
    child.env_clear().env("HOME", "/nowhere").env("PATH", "/usr/bin:/bin");
    child.env("AWS_EC2_METADATA_DISABLED", "true").env(CLIENTS, clients.to_string());
    let output = child.envs(variables.iter().copied()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    Said(said)
}

#[test]
fn a_profile_for_an_emulator_is_read_from_there_and_signed_for_its_region() {
    let server = Server::saying(ok(ACTIVE));
    let folder = Directory::new("emulator");
    let config = folder.join("config");
    let text = format!(
        "[profile local]\nregion = eu-local-1\nservices = emulator\naws_access_key_id = k\n\
         aws_secret_access_key = s\n[services emulator]\ns3 =\n  endpoint_url = http://127.0.0.1:1\n\
         kinesis =\n  endpoint_url = {}\n",
        server.url()
    );
    std::fs::write(&config, text).unwrap();
    let config = config.display().to_string();
    let said = run(1, &[("AWS_CONFIG_FILE", &config), ("AWS_PROFILE", "local"), (CALL, "1")]);
    assert_eq!(said.all("place"), [format!("eu-local-1 {}", server.url())]);
    assert_eq!(said.all("outcome"), ["Active"]);
    let request = server.requests.recv_timeout(SOON).unwrap();
    assert!(request.header("authorization").unwrap().contains("/eu-local-1/kinesis/aws4_request"));
}

#[test]
fn a_demand_that_a_configured_endpoint_may_not_meet_is_told_once() {
    let (fips, dual) = (("AWS_USE_FIPS_ENDPOINT", "true"), ("AWS_USE_DUALSTACK_ENDPOINT", "true"));
    let local = ("AWS_ENDPOINT_URL", "http://127.0.0.1:9");
    let said = run(2, &[local, fips, dual]);
    assert_eq!(said.all("place"), ["us-east-1 http://127.0.0.1:9"; 2]);
    let checked = "the configured endpoint http://127.0.0.1:9 is not checked for that";
    let wanted = [
        format!("AWS_USE_FIPS_ENDPOINT demands a FIPS endpoint: {checked}"),
        format!(
            "AWS_USE_DUALSTACK_ENDPOINT demands an endpoint for both kinds of addresses: {checked}"
        ),
    ];
    assert_eq!(said.all("warned"), wanted);
    let said = run(2, &[(ENDPOINT, "http://127.0.0.1:9"), fips]);
    let wanted = [
        format!("AWS_USE_FIPS_ENDPOINT demands a FIPS endpoint: {checked}"),
        format!("the program demands an endpoint for both kinds of addresses: {checked}"),
    ];
    assert_eq!(said.all("warned"), wanted);
    for (host, unmet) in [
        ("kinesis-fips.us-east-1.api.aws", 0),
        ("kinesis-fips.us-east-1.amazonaws.com", 1),
        ("kinesis.us-gov-west-1.amazonaws.com", 1),
        ("kinesis.us-east-1.api.aws", 1),
        ("kinesis.us-east-1.amazonaws.com", 2),
    ] {
        let url = format!("https://{host}");
        let said = run(1, &[("AWS_ENDPOINT_URL_KINESIS", &url), fips, dual]);
        assert_eq!(said.all("warned").len(), unmet, "{host}: {:?}", said.all("warned"));
    }
}

#[test]
fn a_demand_that_the_endpoint_of_a_table_may_not_meet_is_told_too() {
    let (region, fips) = (("AWS_REGION", "us-east-1"), ("AWS_USE_FIPS_ENDPOINT", "true"));
    let said = run(1, &[region, fips, (TABLE, "http://127.0.0.1:9")]);
    let wanted = "AWS_USE_FIPS_ENDPOINT demands a FIPS endpoint: the configured endpoint http://127.0.0.1:9 is not \
                  checked for that";
    assert_eq!((said.all("table"), said.all("warned")), (vec!["Ok(())"], vec![wanted]));
    let said = run(1, &[region, fips, (TABLE, "https://dynamodb-fips.us-east-1.amazonaws.com")]);
    assert_eq!((said.all("table"), said.all("warned")), (vec!["Ok(())"], vec![]));
}

#[test]
fn a_proxy_for_another_scheme_is_told_and_its_password_is_not() {
    let proxy = "http://user:hush@127.0.0.1:9";
    let region = ("AWS_REGION", "us-east-1");
    for name in ["HTTP_PROXY", "http_proxy"] {
        let said = run(2, &[region, (name, proxy)]);
        let wanted = format!(
            "{name} is set, but no proxy is used for https://kinesis.us-east-1.amazonaws.com: its \
             variable is https_proxy"
        );
        assert_eq!(said.all("warned"), [wanted]);
        // It is right for an endpoint that needs none.
        for exempt in [("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), ("NO_PROXY", "amazonaws.com")] {
            assert_eq!(run(1, &[region, (name, proxy), exempt]).all("warned"), [""; 0]);
        }
    }
    let said = run(1, &[region, ("HTTP_PROXY", proxy), ("HTTPS_PROXY", proxy)]);
    assert_eq!(said.all("warned"), [""; 0]);
}

#[test]
fn a_plain_endpoint_is_reached_through_the_proxy_of_the_variable_in_lower_case() {
    let proxy = Server::new(|request| {
        Some(match request.head.starts_with("CONNECT ") {
            true => "HTTP/1.1 200 Connected\r\n\r\n".to_owned(),
            false => ok(ACTIVE),
        })
    });
    let visitor = Server::saying(answer("403 Forbidden", "", ""));
    let url = format!("http://user:p%40ss@{}", proxy.address);
    let variables = [
        ("AWS_ENDPOINT_URL", "http://kinesis.invalid:81"),
        ("AWS_ACCESS_KEY_ID", "k"),
        ("AWS_SECRET_ACCESS_KEY", "s"),
        ("http_proxy", &url),
        ("HTTP_PROXY", &visitor.url()),
        (CALL, "1"),
    ];
    assert_eq!(run(1, &variables).all("outcome"), ["Active"]);
    let [connect, post] = [0, 1].map(|_| proxy.requests.recv_timeout(SOON).unwrap());
    assert!(connect.head.starts_with("CONNECT kinesis.invalid:81 HTTP/1.1"), "{}", connect.head);
    // The user and the password, decoded.
    assert_eq!(connect.header("proxy-authorization"), Some("Basic dXNlcjpwQHNz"));
    assert_eq!(post.header("proxy-authorization"), None);
    assert!(visitor.requests.is_empty());
}
