//! Roles: assumed by a profile, one by another, and by a web identity.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use sha1::{Digest, Sha1};

use crate::common::SOON;
use crate::common::loopback::{Request, Server, answer, ok, says};
use crate::sts::{generous, keys, keys_until, refuses, setting};
use crate::trial::{CALLS, Trial, pair};

const BASE: &str = "[base]\naws_access_key_id = basekey\naws_secret_access_key = hush\n";
const JSON_KEYS: &str =
    r#""SecretAccessKey":"hush","Token":"t","Expiration":"2100-01-01T00:00:00Z"}"#;

fn of_role(name: &str) -> (String, Option<String>) {
    pair(&format!("key-of-{name}"), Some(&format!("token-of-{name}")))
}

/// A config file with this text, and the variables for its profile `work` and these services.
struct Work {
    trial: Trial,
    sts: Server,
    url: String,
}

impl Work {
    fn new(name: &str) -> Self {
        Self::at(name, generous())
    }

    fn at(name: &str, sts: Server) -> Self {
        let url = sts.url();
        Self { trial: Trial::new(name), sts, url }
    }

    fn variables<'a>(&'a self, config: &'a str) -> Vec<(&'a str, &'a str)> {
        let region = ("AWS_REGION", "eu-central-1");
        let file = ("AWS_CONFIG_FILE", config);
        vec![file, ("AWS_PROFILE", "work"), ("AWS_ENDPOINT_URL_STS", &self.url), region]
    }

    /// The keys that arrive at Kinesis, and the requests that have come to the token service.
    #[track_caller]
    fn signs(&self, text: &str, more: &[(&str, &str)]) -> ((String, Option<String>), Vec<Request>) {
        let config = self.trial.file("config", text);
        let signed = self.trial.signs(&[&self.variables(&config)[..], more].concat());
        (signed, self.sts.requests.try_iter().collect())
    }

    /// The error of a child, which has never asked the token service.
    #[track_caller]
    fn is_refused(&self, text: &str) -> String {
        let config = self.trial.file("config", text);
        let error = self.trial.fails(&self.variables(&config));
        assert!(self.sts.requests.is_empty(), "{error}");
        error
    }
}

#[test]
fn a_role_is_assumed_with_the_keys_of_its_source_profile() {
    let work = Work::new("role");
    let text = format!(
        "[profile work]\nrole_arn = arn:aws:iam::1:role/one\nsource_profile = base\n\
         external_id = hush/x=\nrole_session_name = me@home\nduration_seconds = 900\n{BASE}"
    );
    let (signed, requests) = work.signs(&text, &[]);
    assert_eq!(signed, of_role("one"));
    let [request] = &requests[..] else { panic!("{requests:?}") };
    assert!(request.head.starts_with("POST / HTTP/1.1\r\n"), "{}", request.head);
    assert_eq!((request.key(), request.token()), ("basekey", None));
    let scope = request.header("authorization").unwrap().split('/').skip(2).take(2);
    assert_eq!(scope.collect::<Vec<_>>(), ["eu-central-1", "sts"]);
    for (name, value) in [
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", "arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fone"),
        ("ExternalId", "hush%2Fx%3D"),
        ("RoleSessionName", "me%40home"),
        ("DurationSeconds", "900"),
    ] {
        assert_eq!(setting(request, name), Some(value), "{name}");
    }
}

#[test]
fn a_role_of_a_role_is_assumed_one_after_the_other() {
    let work = Work::new("roles");
    let text = format!(
        "[profile work]\nrole_arn = arn:aws:iam::1:role/two\nsource_profile = middle\n\
         [profile middle]\nrole_arn = arn:aws:iam::1:role/one\nsource_profile = base\n{BASE}"
    );
    let (signed, requests) = work.signs(&text, &[]);
    assert_eq!(signed, of_role("two"));
    let signers: Vec<_> = requests.iter().map(|it| (it.key(), it.token())).collect();
    assert_eq!(signers, [("basekey", None), ("key-of-one", Some("token-of-one"))]);
    assert_eq!(setting(&requests[0], "RoleSessionName"), Some("kinesis-consumer"));
}

#[test]
fn a_profile_may_assume_its_role_with_its_own_keys_and_a_sources_keys_count_before_its_role() {
    let work = Work::new("own_role");
    let own = "role_arn = arn:aws:iam::1:role/one\naws_access_key_id = own\n\
               aws_secret_access_key = hush\n";
    let text = format!("[profile work]\nsource_profile = work\n{own}");
    let (signed, requests) = work.signs(&text, &[]);
    assert_eq!((signed, requests[0].key()), (of_role("one"), "own"));
    let text = format!(
        "[profile work]\nrole_arn = arn:aws:iam::1:role/two\nsource_profile = other\n\
         [profile other]\nsource_profile = other\n{own}"
    );
    let (signed, requests) = work.signs(&text, &[]);
    assert_eq!((signed, requests[0].key(), requests.len()), (of_role("two"), "own", 1));
}

#[test]
fn a_process_beside_a_role_is_not_run_whatever_its_name() {
    let work = Work::new("role_beside_process");
    let other = "credential_process = sh -c 'exit 1' configure export-credentials\n";
    let (signed, requests) = work.signs(&format!("{BASE}[profile work]\n{other}{ONE}"), &[]);
    assert_eq!((signed, requests[0].key()), (of_role("one"), "basekey"));
}

#[test]
fn a_role_is_assumed_with_the_keys_of_a_process() {
    let work = Work::new("role_by_process");
    let printed = r#"{"Version":1,"AccessKeyId":"printed","SecretAccessKey":"hush"}"#;
    let text = format!(
        "[profile work]\nrole_arn = arn:aws:iam::1:role/one\nsource_profile = tool\n\
         [profile tool]\ncredential_process = echo '{printed}'\n"
    );
    let (signed, requests) = work.signs(&text, &[]);
    assert_eq!((signed, requests[0].key()), (of_role("one"), "printed"));
}

#[test]
fn sts_and_the_portal_are_asked_in_their_regions_by_the_proxy_of_the_environment() {
    let trial = Trial::new("service_proxy");
    let proxy = Server::saying(answer("403 Forbidden", "", ""));
    let token = trial.file("token", "hush.token");
    let role = format!("role_arn = arn:aws:iam::1:role/x\nweb_identity_token_file = {token}\n");
    let sso =
        "sso_start_url = u\nsso_region = us-gov-west-1\nsso_account_id = 1\nsso_role_name = x\n";
    let name = hex::encode(Sha1::digest(b"u"));
    let session = r#"{"accessToken":"hush.sso","expiresAt":"2100-01-01T00:00:00Z"}"#;
    trial.file(&format!(".aws/sso/cache/{name}.json"), session);
    for (text, host) in [
        (role.as_str(), "sts.cn-north-1.amazonaws.com.cn"),
        (sso, "portal.sso.us-gov-west-1.amazonaws.com"),
    ] {
        let config = trial.file("config", &format!("[default]\n{text}"));
        let with_password = proxy.url().replace("http://", "http://user:hush@");
        let error = trial.fails_for_now(&[
            ("AWS_CONFIG_FILE", &config),
            ("AWS_REGION", "cn-north-1"),
            ("https_proxy", &with_password),
        ]);
        let name = format!("the proxy {} (https_proxy)", proxy.url());
        says(&error, &[&format!("no answer from {host} by {name}"), "403"]);
        let request = proxy.requests.recv_timeout(SOON).unwrap();
        assert_eq!(request.path(), format!("{host}:443"));
    }
}

/// A profile whose role is assumed with the keys of this place.
fn by(source: &str) -> String {
    format!("[profile work]\nrole_arn = arn:aws:iam::1:role/one\ncredential_source = {source}\n")
}

#[test]
fn a_role_is_assumed_with_the_keys_of_the_instance() {
    let work = Work::new("role_by_instance");
    let keys = format!(r#"{{"Code":"Success","AccessKeyId":"nodekey",{JSON_KEYS}"#);
    let metadata = Server::new(move |request| {
        Some(match request.path().rsplit('/').next() {
            Some("token") => ok("hush-token"),
            Some("") => ok("role"),
            _ => ok(&keys),
        })
    });
    let at = metadata.url();
    let more =
        [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*at)];
    let (signed, requests) = work.signs(&by("Ec2InstanceMetadata"), &more);
    let signer = (requests[0].key(), requests[0].token());
    assert_eq!((signed, signer), (of_role("one"), ("nodekey", Some("t"))));
    let error = work.is_refused(&by("Ec2InstanceMetadata"));
    says(
        &error,
        &["credential_source is Ec2InstanceMetadata", "AWS_EC2_METADATA_DISABLED is true"],
    );
}

#[test]
fn a_role_is_assumed_with_the_keys_of_the_container() {
    let work = Work::new("role_by_container");
    let agent = Server::saying(ok(&format!(r#"{{"AccessKeyId":"boxkey",{JSON_KEYS}"#)));
    let at = agent.url();
    let more = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*at)];
    let (signed, requests) = work.signs(&by("EcsContainer"), &more);
    assert_eq!((signed, requests[0].key()), (of_role("one"), "boxkey"));
    let error = work.is_refused(&by("EcsContainer"));
    says(&error, &["profile \"work\": credential_source is EcsContainer", "_FULL_URI is set"]);
}

#[test]
fn a_role_is_assumed_with_the_keys_of_the_environment() {
    let work = Work::new("role_by_environment");
    let keys = [("AWS_ACCESS_KEY_ID", "envkey"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    let (signed, requests) = work.signs(&by("Environment"), &keys);
    assert_eq!((signed, requests[0].key()), (of_role("one"), "envkey"));
    let chained = "[profile work]\nrole_arn = arn:aws:iam::1:role/two\nsource_profile = first\n";
    let chained =
        format!("{chained}{}", by("Environment").replace("profile work", "profile first"));
    let (signed, requests) = work.signs(&chained, &keys);
    assert_eq!((signed, requests[0].key()), (of_role("two"), "envkey"));
    // They sign by themselves for any other profile, as for Amazon's SDKs.
    let (signed, requests) = work.signs(&format!("{BASE}[profile work]\n{ONE}"), &keys);
    assert_eq!((signed, requests.len()), (pair("envkey", None), 0));
    let error = work.is_refused(&by("Environment"));
    says(&error, &["credential_source is Environment: AWS_ACCESS_KEY_ID is not set"]);
    says(&work.is_refused(&by("Moon")), &["it must be Environment, Ec2InstanceMetadata or"]);
}

#[test]
fn roles_that_cannot_be_assumed_say_what_to_do() {
    let work = Work::new("bad_roles");
    let role = "role_arn = arn:aws:iam::1:role/x\n";
    let circle = format!(
        "source_profile = a\n[profile a]\n{role}source_profile = b\n[profile b]\n{role}source_profile = a\n"
    );
    for (text, facts) in [
        (
            format!("{role}source_profile = gone\n"),
            vec!["source_profile names \"gone\"", "no such profile"],
        ),
        (
            format!("{role}source_profile = a\n[profile a]\nregion = x\n"),
            vec!["profile \"a\": it has no keys"],
        ),
        (format!("{role}{circle}"), vec!["source_profile goes in a circle: work, a, b, a"]),
        (
            format!("{role}source_profile = a\n[profile a]\naws_access_key_id = x\n"),
            vec!["profile \"a\"", "no aws_secret_access_key"],
        ),
        (role.to_owned(), vec!["role_arn is set, but none of source_profile"]),
        ("source_profile = base\n".to_owned(), vec!["source_profile is set, but no role_arn"]),
        ("credential_source = Environment\n".to_owned(), vec!["credential_source is set, but no"]),
        ("web_identity_token_file = x\n".to_owned(), vec!["web_identity_token_file is set, but"]),
        (
            format!("{role}source_profile = base\ncredential_source = EcsContainer\n"),
            vec!["source_profile and credential_source are both set"],
        ),
        (
            format!("{role}source_profile = base\nmfa_serial = arn:aws:iam::1:mfa/me\n"),
            vec!["mfa_serial demands a code", "aws configure export-credentials --profile work"],
        ),
        (
            format!("{role}source_profile = base\nduration_seconds = 60\n"),
            vec!["duration_seconds must be from 900 to 43200"],
        ),
    ] {
        let error = work.is_refused(&format!("{BASE}[profile work]\n{text}"));
        says(&error, &["profile \""]);
        says(&error, &facts);
    }
}

const ONE: &str = "role_arn = arn:aws:iam::1:role/one\nsource_profile = base\n";

#[test]
fn a_refused_role_says_who_refuses_what_and_why() {
    for (code, class, advice) in [
        ("AccessDenied", "Fatal ", "the policy that trusts the caller"),
        ("ValidationError", "Fatal ", ""),
        ("RegionDisabledException", "Fatal ", "activate STS in this region"),
        ("InvalidClientTokenId", "Transient ", "the keys that the role is assumed with"),
        ("SignatureDoesNotMatch", "Transient ", "check the clock"),
    ] {
        let sts = Server::new(move |_| Some(refuses(code, "no trust")));
        let work = Work::at("denied", sts);
        let config = work.trial.file("config", &format!("{BASE}[profile work]\n{ONE}"));
        let error = work.trial.fails_as(class, &work.variables(&config));
        let name =
            "no credentials: profile \"work\": AssumeRole of \"arn:aws:iam::1:role/one\" at STS";
        says(&error, &[name, &format!("answered 403 {code}: no trust"), advice]);
    }
}

#[test]
fn a_wrong_clock_is_named_with_its_error() {
    let sts = Server::new(|_| {
        let date = "date: Mon, 01 Jan 2024 00:00:00 GMT\r\nconnection: close\r\n";
        Some(refuses("SignatureDoesNotMatch", "Signature expired").replacen(
            "\r\n",
            &format!("\r\n{date}"),
            1,
        ))
    });
    let work = Work::at("clock", sts);
    let config = work.trial.file("config", &format!("{BASE}[profile work]\n{ONE}"));
    let error = work.trial.fails_for_now(&work.variables(&config));
    says(&error, &["check the clock: this machine's is", "ahead of the server's"]);
}

#[test]
fn a_service_that_fails_once_is_asked_again_and_one_that_is_a_page_is_told() {
    let count = AtomicUsize::new(0);
    let sts = Server::new(move |request| {
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        Some(if is_first { answer("500 Oops", "", "<html>") } else { keys(request) })
    });
    let work = Work::at("once", sts);
    let text = format!("{BASE}[profile work]\n{ONE}");
    assert_eq!(work.signs(&text, &[]).0, of_role("one"));
    let portal = Server::saying(ok("<html>Welcome to the hotel</html>"));
    let work = Work::at("portal", portal);
    let config = work.trial.file("config", &text);
    let error = work.trial.fails_for_now(&work.variables(&config));
    says(&error, &["the answer holds no keys: check the endpoint of STS"]);
    assert!(!error.contains("Welcome"), "{error}");
}

#[test]
fn a_web_identity_of_the_environment_assumes_its_role_without_a_signature() {
    let work = Work::new("irsa");
    let role = ("AWS_ROLE_ARN", "arn:aws:iam::1:role/pod");
    let session = ("AWS_ROLE_SESSION_NAME", "a-pod");
    // The token is read anew: it is replaced before it expires.
    for token in ["hush.one", "hush.two\n"] {
        let file = work.trial.file("token", token);
        let file = ("AWS_WEB_IDENTITY_TOKEN_FILE", &*file);
        let sts = [("AWS_ENDPOINT_URL_STS", &*work.url), ("AWS_REGION", "eu-central-1")];
        let signed = work.trial.signs(&[&sts[..], &[role, session, file]].concat());
        assert_eq!(signed, of_role("pod"));
        let request = work.sts.requests.recv_timeout(SOON).unwrap();
        assert_eq!(request.header("authorization"), None);
        for (name, value) in [
            ("Action", "AssumeRoleWithWebIdentity"),
            ("RoleSessionName", session.1),
            ("WebIdentityToken", token.trim()),
        ] {
            assert_eq!(setting(&request, name), Some(value), "{name}");
        }
    }
}

#[test]
fn a_web_identity_whose_token_has_expired_or_whose_service_is_silent_says_so() {
    let expired = || refuses("ExpiredTokenException", "Token expired");
    for (sts, fact) in [
        (Server::new(move |_| Some(expired())), "the token has expired: check that something"),
        (Server::new(|_| None), "at STS: no answer within 5 s"),
    ] {
        let work = Work::at("identity_fails", sts);
        let token = work.trial.file("token", "hush.token");
        let text = format!(
            "[profile work]\nrole_arn = arn:aws:iam::1:role/web\nweb_identity_token_file = {token}\n"
        );
        let config = work.trial.file("config", &text);
        says(&work.trial.fails_for_now(&work.variables(&config)), &["profile \"work\": ", fact]);
    }
}

/// Takes 70 s: `cargo test --features full --test aws -- --ignored --nocapture renewed_three_times`.
#[test]
#[ignore = "waits for keys that expire"]
fn keys_that_live_for_20_s_are_renewed_three_times_in_70_s_and_no_other_call_waits() {
    let sts = Server::new(|request| {
        // So that a call that waits for it is told from the others.
        std::thread::sleep(Duration::from_millis(300));
        let expires = SystemTime::now() + Duration::from_secs(20);
        let expires = expires.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        let expires = chrono::DateTime::from_timestamp_millis((expires * 1_000.0) as i64);
        Some(keys_until(request, &expires.unwrap().format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()))
    });
    let work = Work::at("renewals", sts);
    let config = work.trial.file("config", &format!("{BASE}[profile work]\n{ONE}"));
    let variables = [&work.variables(&config)[..], &[(CALLS, "70")]].concat();
    let (outcome, logged) = work.trial.run_logged(&variables);
    assert_eq!(outcome, "Active");
    let waits = logged.lines().filter_map(|line| line.strip_prefix("waited: "));
    let waits: Vec<u64> = waits.map(|millis| millis.parse().unwrap()).collect();
    let long = waits.iter().filter(|millis| **millis >= 300).count();
    println!("{long} of {} calls waited; all: {waits:?}", waits.len());
    assert_eq!((work.sts.requests.len(), long, waits.len()), (4, 4, 70));
}

#[test]
fn a_web_identity_of_a_profile_assumes_its_role() {
    let work = Work::new("profile_identity");
    let token = work.trial.file("token", "hush.token");
    let text = format!(
        "[profile work]\nrole_arn = arn:aws:iam::1:role/web\nweb_identity_token_file = {token}\n"
    );
    let (signed, requests) = work.signs(&text, &[]);
    assert_eq!(signed, of_role("web"));
    assert_eq!(setting(&requests[0], "WebIdentityToken"), Some("hush.token"));
}
