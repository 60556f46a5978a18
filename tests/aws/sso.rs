//! Single sign-on: the token of `aws sso login`, and the portal that gives keys for it.

use sha1::{Digest, Sha1};

use crate::common::SOON;
use crate::common::loopback::{Request, Server, answer, ok, says};
use crate::trial::{Trial, pair};

const KEYS: &str = r#"{"roleCredentials":{"accessKeyId":"ssokey","secretAccessKey":"hush","sessionToken":"ssotoken","expiration":4102444800000}}"#;
const SESSION: &str = "[profile dev]\nsso_session = mine\nsso_account_id = 123456789012\n\
     sso_role_name = Read_Only\n[sso-session mine]\nsso_region = eu-west-1\n\
     sso_start_url = https://example.com/start\n";
const LEGACY: &str = "[profile dev]\nsso_start_url = https://example.com/start\n\
     sso_region = eu-west-1\nsso_account_id = 123456789012\nsso_role_name = Read_Only\n";

/// Somebody who has signed on, or not.
struct Person {
    trial: Trial,
    portal: Server,
    url: String,
}

impl Person {
    fn new(
        name: &str,
        answer: impl Fn(&Request) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let portal = Server::new(answer);
        let url = portal.url();
        Self { trial: Trial::new(name), portal, url }
    }

    /// Writes the token of a session as `aws sso login` does.
    fn signs_on(&self, session: &str, expires: &str) -> String {
        let text = format!(
            r#"{{"startUrl":"u","region":"r","accessToken":"hush.sso","expiresAt":"{expires}"}}"#
        );
        self.writes(session, &text)
    }

    fn writes(&self, session: &str, text: &str) -> String {
        let name = hex::encode(Sha1::digest(session.as_bytes()));
        self.trial.file(&format!(".aws/sso/cache/{name}.json"), text)
    }

    fn variables<'a>(&'a self, config: &'a str) -> [(&'a str, &'a str); 4] {
        let region = ("AWS_REGION", "eu-central-1");
        [
            ("AWS_CONFIG_FILE", config),
            ("AWS_PROFILE", "dev"),
            ("AWS_ENDPOINT_URL_SSO", &self.url),
            region,
        ]
    }

    #[track_caller]
    fn fails_as(&self, class: &str, text: &str) -> String {
        let config = self.trial.file("config", text);
        self.trial.fails_as(class, &self.variables(&config))
    }
}

#[test]
fn keys_come_for_a_session_and_for_a_start_url_of_the_older_form() {
    for (text, session) in [(SESSION, "mine"), (LEGACY, "https://example.com/start")] {
        let person = Person::new("sso", |_| Some(ok(KEYS)));
        person.signs_on(session, "2100-01-01T00:00:00Z");
        let config = person.trial.file("config", text);
        let signed = person.trial.signs(&person.variables(&config));
        assert_eq!(signed, pair("ssokey", Some("ssotoken")));
        let request = person.portal.requests.recv_timeout(SOON).unwrap();
        let path = "/federation/credentials?role_name=Read_Only&account_id=123456789012";
        assert_eq!(request.path(), path);
        assert_eq!(request.header("x-amz-sso_bearer_token"), Some("hush.sso"));
        assert_eq!(request.header("authorization"), None);
    }
}

#[test]
fn whoever_has_not_signed_on_is_told_how() {
    let person = Person::new("sso_expired", |_| Some(ok(KEYS)));
    let remedy = "run aws sso login --profile dev";
    says(&person.fails_as("Fatal ", SESSION), &["no token of a session: ", "No such file", remedy]);
    person.signs_on("mine", "2020-01-01T00:00:00Z");
    says(
        &person.fails_as("Fatal ", SESSION),
        &["profile \"dev\": the session has expired", remedy],
    );
    let path = person.writes("mine", r#"{"accessToken":"hush"}"#);
    says(&person.fails_as("Fatal ", SESSION), &[&path, "holds no token", remedy]);
    person.writes("mine", r#"{"accessToken":"hush\r\nx: y","expiresAt":"2100-01-01T00:00:00Z"}"#);
    says(&person.fails_as("Fatal ", SESSION), &["one line of text", remedy]);
    assert!(person.portal.requests.is_empty(), "nobody is asked without a token");
}

#[test]
fn a_portal_that_refuses_says_what_to_do() {
    for (status, class, facts) in [
        ("401 Unauthorized", "Fatal ", ["the portal refuses the session", "aws sso login"]),
        ("403 Forbidden", "Fatal ", ["check sso_account_id and sso_role_name", "no such role"]),
        ("404 Not Found", "Fatal ", ["check sso_account_id and sso_role_name", "no such role"]),
        ("500 Oops", "Transient ", ["the portal: HTTP status 500", "no such role"]),
    ] {
        let said = answer(status, "", r#"{"message":"no such role","__type":"X"}"#);
        let person = Person::new("sso_refused", move |_| Some(said.clone()));
        person.signs_on("mine", "2100-01-01T00:00:00UTC");
        says(&person.fails_as(class, SESSION), &facts);
    }
    let person = Person::new("sso_page", |_| Some(ok("<html>Welcome</html>")));
    person.signs_on("mine", "2100-01-01T00:00:00Z");
    let error = person.fails_as("Transient ", SESSION);
    says(&error, &["the portal's answer holds no keys"]);
    assert!(!error.contains("Welcome"), "{error}");
}

#[test]
fn a_session_that_is_not_whole_is_named() {
    let person = Person::new("sso_half", |_| Some(ok(KEYS)));
    for (missing, fact) in [
        ("[sso-session mine]\n", "sso_session names \"mine\", but there is no [sso-session mine]"),
        ("sso_region = eu-west-1\n", "[sso-session mine]: the session is set, but no sso_region"),
        ("sso_account_id = 123456789012\n", "sso_session is set, but no sso_account_id"),
        ("sso_role_name = Read_Only\n", "sso_session is set, but no sso_role_name"),
    ] {
        says(
            &person.fails_as("Fatal ", &SESSION.replace(missing, "")),
            &["profile \"dev\": ", fact],
        );
    }
    let text = LEGACY.replace("sso_region = eu-west-1\n", "");
    says(&person.fails_as("Fatal ", &text), &["sso_start_url is set, but no sso_region"]);
}

#[cfg(unix)]
#[test]
fn a_token_that_every_user_may_read_is_warned_of() {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    let person = Person::new("sso_open", |_| Some(ok(KEYS)));
    let path = person.signs_on("mine", "2100-01-01T00:00:00Z");
    let config = person.trial.file("config", SESSION);
    for (mode, is_warned) in [(0o604, true), (0o600, false)] {
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let (outcome, logged) = person.trial.run_logged(&person.variables(&config));
        assert_eq!(outcome, "Active");
        let warning = format!("every user of this machine may read the token in {path}");
        assert_eq!(logged.contains(&warning), is_warned, "{mode:o}: {logged}");
    }
}
