//! Credentials from every source, as they arrive at a server.
//!
//! No child ever asks a real instance for its metadata.

use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kinesis_consumer::{
    BoxError, Call, Client, ClientBuilder, Credentials, CredentialsProvider, KinesisClient,
};

use crate::common::SOON;
use crate::common::loopback::{ACTIVE, Request, Server, answer, ok, says};
use crate::trial::{DEADLINE, Trial, pair};

#[test]
fn keys_come_from_the_environment_with_and_without_a_session_token() {
    let trial = Trial::new("environment");
    let keys = [("AWS_ACCESS_KEY_ID", "envkey"), ("AWS_SECRET_ACCESS_KEY", "hush")];
    assert_eq!(trial.signs(&keys), pair("envkey", None));
    let all = [keys[0], keys[1], ("AWS_SESSION_TOKEN", "tok/en+==")];
    assert_eq!(trial.signs(&all), pair("envkey", Some("tok/en+==")));
    for (half, other) in [(keys[0], keys[1].0), (keys[1], keys[0].0)] {
        let error = trial.fails(&[half]);
        let said = format!("the environment: {} is set, but no {other}", half.0);
        says(&error, &["DescribeStreamSummary", &said]);
    }
}

#[test]
fn keys_come_from_the_chosen_profile_with_their_whole_session_token() {
    let trial = Trial::new("profile");
    let text = "[default]\naws_access_key_id=first\naws_secret_access_key=hush\n\
                [work]\naws_access_key_id = second\naws_secret_access_key = hush=\n\
                aws_session_token = IQoJ/b3+Jp==\n";
    let file = trial.file("keys", text);
    let file = ("AWS_SHARED_CREDENTIALS_FILE", file.as_str());
    assert_eq!(trial.signs(&[file]), pair("first", None));
    let work = [file, ("AWS_PROFILE", "work")];
    assert_eq!(trial.signs(&work), pair("second", Some("IQoJ/b3+Jp==")));
    let error = trial.fails(&[file, ("AWS_PROFILE", "gone")]);
    says(&error, &["AWS_PROFILE names \"gone\"", file.1, "no such profile"]);
}

#[test]
fn keys_come_from_the_home_directory_and_strange_files_are_no_panic() {
    let trial = Trial::new("home");
    std::fs::create_dir_all(trial.folder.join(".aws")).unwrap();
    trial.file(
        ".aws/credentials",
        "[default]\naws_access_key_id=home\naws_secret_access_key=hush\n",
    );
    assert_eq!(trial.signs(&[]), pair("home", None));
    let folder = trial.folder.path().display().to_string();
    let half = trial.file("half", "[default]\naws_access_key_id\naws_secret_access_key = hush\n");
    let gone = trial.folder.join("gone").display().to_string();
    for (file, fact) in [
        (gone, "no such file"),
        (folder, "not a regular file"),
        (half, "line 2: the setting has no ="),
    ] {
        says(&trial.fails(&[("AWS_SHARED_CREDENTIALS_FILE", &file)]), &[&file, fact]);
    }
}

#[test]
fn keys_come_from_a_process() {
    let trial = Trial::new("process");
    let script = trial.file(
        "script",
        r#"echo '{"Version":1,"AccessKeyId":"'$1'","SecretAccessKey":"hush","SessionToken":"t","Expiration":"2100-01-01T00:00:00Z"}'"#,
    );
    let config = format!(
        "[default]\ncredential_process = sh {script} 'processkey'\n\
         [profile other]\ncredential_process=sh \"{script}\" otherkey\n"
    );
    let config = trial.file("config", &config);
    let config = ("AWS_CONFIG_FILE", config.as_str());
    assert_eq!(trial.signs(&[config]), pair("processkey", Some("t")));
    let other = [config, ("AWS_PROFILE", "other")];
    assert_eq!(trial.signs(&other), pair("otherkey", Some("t")));
}

#[test]
fn a_process_that_fails_says_why_and_nothing_that_it_printed() {
    let trial = Trial::new("bad_process");
    let fails = |command: &str| {
        let config = format!("[default]\ncredential_process = {command}\n");
        let config = trial.file("config", &config);
        let class = if command.contains("unfinished") { "Fatal " } else { "Transient " };
        let error = trial.fails_as(class, &[("AWS_CONFIG_FILE", &config)]);
        says(&error, &["profile \"default\": credential_process: "]);
        error
    };
    says(&fails("sh -c 'echo not logged in >&2; exit 3'"), &["exit status: 3", "not logged in"]);
    says(&fails("/no/such/program"), &["No such file"]);
    says(&fails("sh -c 'unfinished"), &["not a command line"]);
    let old = r#"{"Version":7,"AccessKeyId":"hush","SecretAccessKey":"hush"}"#;
    for printed in ["hush", "{}", "", "\"hush\"", old] {
        let error = fails(&format!("echo '{printed}'"));
        says(&error, &["did not print a JSON object of version 1"]);
        assert!(!error.contains("hush"), "{error}");
    }
}

#[test]
fn a_process_that_hangs_is_given_up_at_the_deadline_and_killed() {
    let trial = Trial::new("hanging_process");
    let mark = trial.folder.join("pid");
    // Its own process id, and then for ever.
    let script = trial.file("script", &format!("echo $$ > {}\nexec sleep 1000\n", mark.display()));
    let config = format!("[default]\ncredential_process = sh {script}\n");
    let config = trial.file("config", &config);
    let outcome = trial.run(&[("AWS_CONFIG_FILE", &config), (DEADLINE, "5000")]);
    says(&outcome, &["Transient", "no credentials came before the deadline"]);
    let process = std::fs::read_to_string(mark).unwrap();
    let status = PathBuf::from("/proc").join(process.trim()).join("cmdline");
    // A process that was killed and not yet waited for has no command line. Whoever was killed is gone a
    // moment later; it would sleep for much longer.
    let command = || std::fs::read_to_string(&status).unwrap_or_default();
    let deadline = Instant::now() + SOON;
    while command().contains("sleep") {
        assert!(Instant::now() < deadline, "{}", command());
        std::thread::yield_now();
    }
}

#[test]
fn keys_come_from_a_container_that_gets_its_authorization_token() {
    let trial = Trial::new("container");
    let said = r#"{"RoleArn":"r","AccessKeyId":"boxkey","SecretAccessKey":"hush","Token":"boxtoken","Expiration":"2100-01-01T00:00:00Z"}"#;
    let metadata = Server::saying(ok(said));
    let url = format!("{}/v2/credentials?id=1", metadata.url());
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
    assert_eq!(trial.signs(&[full]), pair("boxkey", Some("boxtoken")));
    let request = metadata.requests.recv_timeout(SOON).unwrap();
    assert_eq!((request.path(), request.header("authorization")), ("/v2/credentials?id=1", None));
    trial.signs(&[full, ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush let me in")]);
    let request = metadata.requests.recv_timeout(SOON).unwrap();
    assert_eq!(request.header("authorization"), Some("hush let me in"));

    let broken = Server::saying(answer("500 Oops", "", "<html>"));
    let error = trial.fails_for_now(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &broken.url())]);
    says(&error, &["the container: HTTP status 500"]);
    let denied = Server::saying(answer("403 No", "", r#"{"message":"no such role"}"#));
    let error = trial.fails_for_now(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &denied.url())]);
    says(&error, &["the container: HTTP status 403: no such role"]);
    let silent = Server::new(|_| None);
    let error = trial.fails_for_now(&[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &silent.url())]);
    says(&error, &["the container: no answer within 2 s"]);
}

#[test]
fn keys_come_from_the_config_file_after_those_of_the_other() {
    let trial = Trial::new("config_keys");
    let config = trial.file(
        "config",
        "[default] ; mine\naws_access_key_id = first # mine\naws_secret_access_key = hush\n\
         [profile work]\naws_access_key_id = second\naws_secret_access_key = hush\n",
    );
    let keys = trial.file("keys", "[work]\naws_access_key_id=third\naws_secret_access_key=hush\n");
    let files = [("AWS_CONFIG_FILE", &*config), ("AWS_SHARED_CREDENTIALS_FILE", &*keys)];
    assert_eq!(trial.signs(&files), pair("first", None));
    let work = [files[0], files[1], ("AWS_PROFILE", "work")];
    assert_eq!(trial.signs(&work), pair("third", None));
}

/// A place where others have keys: an instance and a container, which nobody may ask.
struct Others {
    instance: Server,
    container: Server,
    instance_url: String,
    container_url: String,
}

impl Others {
    fn new() -> Self {
        let said = r#"{"AccessKeyId":"boxkey","SecretAccessKey":"hush","Token":"t","Expiration":"2100-01-01T00:00:00Z"}"#;
        let (instance, container) = (instance(), Server::saying(ok(said)));
        let (instance_url, container_url) = (instance.url(), container.url());
        Self { instance, container, instance_url, container_url }
    }

    fn variables(&self) -> [(&str, &str); 3] {
        [
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &self.instance_url),
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &self.container_url),
        ]
    }

    /// The output of a child that could also reach somebody else's keys, besides these variables.
    #[track_caller]
    fn are_not_asked(&self, trial: &Trial, variables: &[(&str, &str)]) -> String {
        self.are_not_asked_as("Fatal ", trial, variables)
    }

    /// The same where the source may be back in a moment.
    #[track_caller]
    fn are_not_asked_now(&self, trial: &Trial, variables: &[(&str, &str)]) -> String {
        self.are_not_asked_as("Transient ", trial, variables)
    }

    #[track_caller]
    fn are_not_asked_as(&self, class: &str, trial: &Trial, variables: &[(&str, &str)]) -> String {
        let error = trial.fails_as(class, &[&self.variables(), variables].concat());
        assert!(self.instance.requests.is_empty(), "the instance was asked: {error}");
        assert!(self.container.requests.is_empty(), "the container was asked: {error}");
        error
    }
}

#[test]
fn a_profile_that_cannot_give_keys_is_never_somebody_else() {
    let (trial, others) = (Trial::new("beyond"), Others::new());
    let own = "aws_access_key_id = own\naws_secret_access_key = hush\n";
    let role = "role_arn = arn:aws:iam::1:role/x";
    for (settings, fact) in [
        (role.to_owned(), "role_arn is set, but none of source_profile, credential_source and"),
        (format!("{role}\nsource_profile = gone"), "source_profile names \"gone\""),
        (format!("{role}\ncredential_source = Environment"), "AWS_ACCESS_KEY_ID is not set"),
        (format!("{role}\nmfa_serial = m\nsource_profile = default"), "mfa_serial demands a code"),
        ("source_profile = default".to_owned(), "source_profile is set, but no role_arn"),
        (
            "web_identity_token_file = /t".to_owned(),
            "web_identity_token_file is set, but no role_arn",
        ),
        ("sso_session = mine\nsso_account_id = 1".to_owned(), "sso_session names \"mine\""),
        (
            "sso_start_url = https://example.com".to_owned(),
            "sso_start_url is set, but no sso_region",
        ),
        ("sso_account_id = 1".to_owned(), "sso_account_id is set, but no sso_session"),
        ("sso_role_name = x".to_owned(), "sso_role_name is set, but no sso_session"),
        (
            "login_session = mine".to_owned(),
            "login_session, which aws login writes, is not supported",
        ),
    ] {
        let config = trial.file("config", &format!("[profile prod]\n{settings}\n"));
        // Keys of the same name, keys of another profile, and none.
        for text in [format!("[prod]\n{own}"), format!("[default]\n{own}"), String::new()] {
            let keys = trial.file("keys", &text);
            let files = [("AWS_CONFIG_FILE", &*config), ("AWS_SHARED_CREDENTIALS_FILE", &*keys)];
            let variables = [files[0], files[1], ("AWS_PROFILE", "prod")];
            says(&others.are_not_asked(&trial, &variables), &["profile \"prod\": ", fact]);
        }
    }
}

#[test]
fn a_file_of_profiles_that_cannot_be_read_as_one_is_never_somebody_else() {
    let (trial, others) = (Trial::new("broken_files"), Others::new());
    let keys = "aws_access_key_id = own\naws_secret_access_key = hush\n";
    for (text, fact) in [
        (keys.to_owned(), "line 1: the setting is under no header"),
        (format!("[default\n{keys}"), "line 1: the header has no ]"),
        (format!("[default]\n{}", keys.replace(" = ", ": ")), "line 2: the setting has no ="),
    ] {
        let path = trial.file(".aws/credentials", &text);
        says(&others.are_not_asked(&trial, &[]), &[&path, fact]);
    }
    let path = trial.folder.join(".aws/credentials");
    std::fs::write(&path, b"\xff\xfe[\0d\0").unwrap();
    says(&others.are_not_asked(&trial, &[]), &["it is not text in UTF-8"]);
    // As a container has it whose file is mounted from nowhere.
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    says(&others.are_not_asked(&trial, &[]), &["it is not a regular file"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_file_without_permission_is_named_and_is_never_somebody_else() {
    // Nobody may read these, not even root.
    let files = ["/proc/sys/vm/compact_memory", "/proc/sys/vm/drop_caches"];
    let file = files.into_iter().find(|file| PathBuf::from(file).exists()).unwrap();
    let (trial, others) = (Trial::new("no_permission"), Others::new());
    let facts = [file, "Permission denied"];
    for variable in ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"] {
        says(&others.are_not_asked(&trial, &[(variable, file)]), &[variable, facts[0], facts[1]]);
    }
    let token = ("AWS_WEB_IDENTITY_TOKEN_FILE", file);
    let role = [("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"), ("AWS_REGION", "eu-x-1")];
    says(&others.are_not_asked_now(&trial, &[&role[..], &[token]].concat()), &facts);
    let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file);
    says(&others.are_not_asked_now(&trial, &[token]), &facts);
}

#[test]
fn a_password_in_the_address_of_a_service_is_shown_nowhere() {
    let trial = Trial::new("password");
    let url = "http://user:hush@127.0.0.1:9/x";
    for (variable, fact) in [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "must hold no user and no password"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "is not an http:// URL without a user"),
    ] {
        let error = trial.fails(&[("AWS_EC2_METADATA_DISABLED", "false"), (variable, url)]);
        says(&error, &[variable, fact]);
    }
}

#[test]
fn a_reason_from_outside_forges_no_line_of_the_log() {
    let trial = Trial::new("forged");
    let said = r#"{"message":"no\nERROR forged \u001b[31m line"}"#;
    let agent = Server::saying(answer("403 No", "", said));
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*agent.url());
    says(&trial.fails_for_now(&[full]), &["HTTP status 403: no ERROR forged  [31m line"]);
}

#[test]
fn a_login_says_what_to_do_instead() {
    let trial = Trial::new("login");
    let config = trial.file("config", "[default]\nlogin_session = arn:aws:iam::1:user/me\n");
    let error = trial.fails(&[("AWS_CONFIG_FILE", &config)]);
    let remedy = "credential_process = aws configure export-credentials --profile default";
    says(&error, &[remedy, "let the program get its keys in another way"]);
}

#[test]
fn the_remedy_that_the_error_names_works() {
    let trial = Trial::new("remedy");
    // In the place of Amazon's own tool, which knows kinds of profiles that are not supported here.
    let printed = r#"{"Version":1,"AccessKeyId":"rolekey","SecretAccessKey":"hush"}"#;
    let tool = trial.file("export-credentials", &format!("echo '{printed}'\n"));
    let text = format!(
        "[default]\nlogin_session = me\ncredential_process = sh {tool} configure export-credentials\n"
    );
    let config = trial.file("config", &text);
    assert_eq!(trial.signs(&[("AWS_CONFIG_FILE", &config)]), pair("rolekey", None));
    // Any other command gives the keys of whoever it is, perhaps not of this login.
    let text = format!("[default]\nlogin_session = me\ncredential_process = echo '{printed}'\n");
    let config = trial.file("config", &text);
    says(&trial.fails(&[("AWS_CONFIG_FILE", &config)]), &["login_session"]);
}

#[test]
fn a_web_identity_is_never_the_nodes_role() {
    let (trial, others) = (Trial::new("web_identity"), Others::new());
    let gone = trial.folder.join("gone").display().to_string();
    let token = ("AWS_WEB_IDENTITY_TOKEN_FILE", gone.as_str());
    let sts = Server::saying(answer("500 Oops", "", ""));
    let (role, region) = (("AWS_ROLE_ARN", "arn:aws:iam::1:role/x"), ("AWS_REGION", "eu-x-1"));
    let all = [role, token, region, ("AWS_ENDPOINT_URL_STS", &sts.url())];
    let error = others.are_not_asked_now(&trial, &all);
    says(&error, &[token.0, &gone, "No such file"]);
    assert!(sts.requests.is_empty(), "nobody is asked without a token");
    let error = others.are_not_asked(&trial, &[token]);
    says(&error, &["AWS_WEB_IDENTITY_TOKEN_FILE is set, but no AWS_ROLE_ARN"]);
    let file = trial.file("token", "hush");
    let all = [role, (token.0, &*file), region, all[3]];
    says(&others.are_not_asked_now(&trial, &all), &["at STS answered 500"]);
}

#[test]
fn a_profile_that_is_nowhere_is_never_somebody_else() {
    let (trial, others) = (Trial::new("gone"), Others::new());
    let error = others.are_not_asked(&trial, &[("AWS_PROFILE", "gone")]);
    let home = trial.folder.path().display().to_string();
    let facts = [
        "AWS_PROFILE names \"gone\"",
        &format!("{home}/.aws/config: no such file"),
        &format!("{home}/.aws/credentials: no such file"),
    ];
    says(&error, &facts);
}

#[test]
fn half_a_pair_of_keys_is_never_somebody_else() {
    let (trial, others) = (Trial::new("half"), Others::new());
    let file = trial.file("keys", "[default]\naws_access_key_id = own\n");
    let error = others.are_not_asked(&trial, &[("AWS_SHARED_CREDENTIALS_FILE", &file)]);
    says(&error, &[&file, "aws_access_key_id is set, but no aws_secret_access_key"]);
    let error = others.are_not_asked(&trial, &[("AWS_ACCESS_KEY_ID", "own")]);
    says(&error, &["AWS_ACCESS_KEY_ID is set, but no AWS_SECRET_ACCESS_KEY"]);
}

#[test]
fn a_container_that_cannot_be_asked_is_never_the_instance() {
    let (trial, others) = (Trial::new("far_container"), Others::new());
    let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush let me in");
    for url in ["http://192.0.2.1/keys", "http://10.0.0.1", "ftp://localhost", "nonsense"] {
        let far = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url);
        let error = others.are_not_asked(&trial, &[far, token]);
        says(&error, &[far.0]);
        assert!(!error.contains(token.1), "{error}");
    }
}

#[test]
fn keys_come_from_a_container_whose_token_is_in_a_file() {
    let trial = Trial::new("pod_identity");
    let said = r#"{"AccessKeyId":"podkey","SecretAccessKey":"hush","Token":"podtoken","Expiration":"2100-01-01T00:00:00Z"}"#;
    let agent = Server::saying(ok(said));
    let url = format!("{}/v1/credentials", agent.url());
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
    // The file counts before the variable, as for Amazon's SDKs.
    let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush.older");
    for text in ["hush.first", "hush.second"] {
        let file = trial.file("token", text);
        let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.as_str());
        assert_eq!(trial.signs(&[full, token, file]), pair("podkey", Some("podtoken")));
        let request = agent.requests.recv_timeout(SOON).unwrap();
        assert_eq!(request.header("authorization"), Some(text));
    }
    let (broken, gone) = (trial.file("broken", "hush\r\nx: y"), trial.folder.join("gone"));
    let (gone, folder) = (gone.display().to_string(), trial.folder.path().display().to_string());
    for (path, why) in [
        (&*broken, "one line of text"),
        (&*gone, "No such file"),
        (&*folder, "it is not a regular file"),
    ] {
        let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", path);
        let error = trial.fails_for_now(&[full, token, file]);
        says(&error, &["the container: ", file.0, path, why]);
        assert!(!error.contains("hush"), "{error}");
        assert!(agent.requests.is_empty(), "nobody is asked without the token");
    }
}

#[test]
fn keys_come_from_a_container_at_an_address_of_version_6() {
    let trial = Trial::new("pod_identity_6");
    let said = r#"{"AccessKeyId":"podkey","SecretAccessKey":"hush","Token":"t","Expiration":"2100-01-01T00:00:00Z"}"#;
    let agent = Server::on(TcpListener::bind("[::1]:0").unwrap(), |_| Some(ok(said)));
    let (url, file) = (format!("{}/v1", agent.url()), trial.file("token", "hush.token\n"));
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
    let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.as_str());
    assert_eq!(trial.signs(&[full, file]), pair("podkey", Some("t")));
    let request = agent.requests.recv_timeout(SOON).unwrap();
    assert_eq!(request.header("authorization"), Some("hush.token"));
    let host = agent.address.to_string();
    assert_eq!(request.header("host"), Some(host.as_str()));
}

#[test]
fn an_agent_that_fails_once_is_asked_again() {
    let trial = Trial::new("container_once");
    let said = r#"{"AccessKeyId":"boxkey","SecretAccessKey":"hush","Token":"t","Expiration":"2100-01-01T00:00:00Z"}"#;
    let count = AtomicUsize::new(0);
    let agent = Server::new(move |_| {
        let is_first = count.fetch_add(1, Ordering::SeqCst) == 0;
        Some(if is_first { answer("503 Busy", "", "") } else { ok(said) })
    });
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*agent.url());
    assert_eq!(trial.signs(&[full]), pair("boxkey", Some("t")));
}

#[test]
fn keys_with_a_line_break_sign_nothing() {
    let trial = Trial::new("line_break");
    for (key, token) in [("box\\nkey", "t"), ("boxkey", "t\\r\\nx: y")] {
        let said = format!(
            r#"{{"AccessKeyId":"{key}","SecretAccessKey":"hush","Token":"{token}","Expiration":"2100-01-01T00:00:00Z"}}"#
        );
        let agent = Server::saying(ok(&said));
        let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*agent.url());
        let error = trial.fails_for_now(&[full]);
        says(&error, &["a key or token holds a blank, a line break or another strange character"]);
    }
}

#[test]
fn an_answer_that_is_too_long_is_no_key() {
    let trial = Trial::new("too_long");
    let agent = Server::saying(ok(&format!(r#"{{"Pad":"{}"}}"#, "x".repeat(300 << 10))));
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*agent.url());
    says(&trial.fails_for_now(&[full]), &["the container: no answer from ", "limit"]);
}

#[test]
fn a_redirection_is_not_followed() {
    let trial = Trial::new("redirection");
    let other = Server::saying(ok("{}"));
    let location = format!("location: {}/keys\r\n", other.url());
    let agent = Server::saying(answer("307 Elsewhere", &location, ""));
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &*agent.url());
    let token = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "hush");
    says(&trial.fails_for_now(&[full, token]), &["the container: HTTP status 307"]);
    assert!(other.requests.is_empty(), "the token went elsewhere");
}

#[test]
fn a_profile_without_keys_lets_the_next_place_give_them() {
    let (trial, others) = (Trial::new("region_only"), Others::new());
    let config = trial.file("config", "[profile work]\nregion = eu-b-1\n");
    let variables = [("AWS_CONFIG_FILE", &*config), ("AWS_PROFILE", "work")];
    let all = [&others.variables()[..], &variables].concat();
    assert_eq!(trial.signs(&all), pair("boxkey", Some("t")));
}

const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
const INSTANCE_KEY: &str = r#"{"Code":"Success","AccessKeyId":"instancekey","SecretAccessKey":"hush","Token":"instancetoken","Expiration":"2100-01-01T00:00:00Z"}"#;

/// Version 1 of an instance's metadata, and nothing of version 2.
fn instance() -> Server {
    Server::new(|request| Some(role_or_keys(request)))
}

fn role_or_keys(request: &Request) -> String {
    match request.path().strip_prefix(ROLES) {
        Some("") => ok("role"),
        Some("role") => ok(INSTANCE_KEY),
        _ => answer("404 Not Found", "", ""),
    }
}

/// Version 2 alone: `give` answers the request for a token.
fn newer_instance(give: impl Fn(&Request) -> Option<String> + Send + Sync + 'static) -> Server {
    Server::new(move |request| {
        if request.path() == "/latest/api/token" {
            return give(request);
        }
        let has_token = request.header("x-aws-ec2-metadata-token") == Some("hush-let-me-in==");
        Some(if has_token { role_or_keys(request) } else { answer("401 Unauthorized", "", "") })
    })
}

#[test]
fn keys_come_from_an_instance_that_demands_tokens() {
    let trial = Trial::new("instance_tokens");
    let metadata = newer_instance(|request| {
        let is_right = request.head.starts_with("PUT ")
            && request.header("x-aws-ec2-metadata-token-ttl-seconds").is_some()
            && request.header("transfer-encoding").is_none();
        Some(if is_right { ok("hush-let-me-in==") } else { answer("400 Bad Request", "", "") })
    });
    for v1_disabled in ["true", "false"] {
        let variables = [
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_V1_DISABLED", v1_disabled),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url()),
        ];
        assert_eq!(trial.signs(&variables), pair("instancekey", Some("instancetoken")));
    }
}

#[test]
fn an_instance_without_tokens_is_not_asked_where_version_1_is_disabled() {
    let trial = Trial::new("instance_v1_disabled");
    let metadata = instance();
    let error = trial.fails_for_now(&[
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_V1_DISABLED", "true"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url()),
    ]);
    let fact = "no token came: HTTP status 404; AWS_EC2_METADATA_V1_DISABLED is true; before that";
    says(&error, &["the instance's metadata: ", fact]);
    let asked: Vec<_> = metadata.requests.try_iter().map(|it| it.path().to_owned()).collect();
    assert!(asked.iter().all(|path| path == "/latest/api/token"), "{asked:?}");
}

#[test]
fn a_token_that_does_not_reach_a_container_is_told_with_the_hop_limit() {
    let trial = Trial::new("instance_hops");
    let metadata = newer_instance(|_| None);
    let error = trial.fails_for_now(&[
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url()),
    ]);
    let fact = "HTTP status 401 without a token, which did not come: no answer within 1 s (in a \
                container, the instance's hop limit must be 2)";
    says(&error, &[fact]);
}

#[test]
fn keys_come_from_an_instance() {
    let trial = Trial::new("instance");
    let metadata = instance();
    let own = pair("instancekey", Some("instancetoken"));
    let environment = [
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url()),
    ];
    assert_eq!(trial.signs(&environment), own);
}

/// What a child says whose instance answers so.
fn instance_fails(trial: &Trial, class: &str, said: String) -> String {
    let metadata = Server::saying(said);
    let variables = [
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url()),
    ];
    trial.fails_as(class, &variables)
}

#[test]
fn an_instance_that_refuses_tokens_and_version_1_is_an_error_that_says_both() {
    let trial = Trial::new("instance_refuses");
    let said = answer("403 Forbidden", "", "<html>no token</html>");
    let error = instance_fails(&trial, "Transient ", said);
    let fact = "the instance's metadata: HTTP status 403 without a token, which did not come: HTTP \
                status 403";
    says(&error, &[fact]);
    assert!(!error.contains("html"), "{error}");
}

#[test]
fn an_instance_that_answers_nonsense_is_an_error_that_says_what() {
    let trial = Trial::new("instance_nonsense");
    let html = ok("<html>Welcome to the hotel</html>");
    let error = instance_fails(&trial, "Transient ", html);
    says(&error, &["it did not answer a token", "AWS_EC2_METADATA_SERVICE_ENDPOINT"]);
    assert!(!error.contains("Welcome"), "{error}");
    let metadata = Server::new(|request| {
        let is_token = request.path() == "/latest/api/token";
        Some(ok(if is_token { "hush-let-me-in==" } else { "<html>Welcome</html>" }))
    });
    let error = trial.fails_for_now(&[
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url()),
    ]);
    says(&error, &["it did not answer a role name", "AWS_EC2_METADATA_SERVICE_ENDPOINT"]);
    assert!(!error.contains("Welcome") && !error.contains("hush-let-me-in"), "{error}");
    let error = instance_fails(&trial, "Transient ", answer("404 Not Found", "", ""));
    says(&error, &["HTTP status 404: the instance has no role"]);
    let error = instance_fails(&trial, "Transient ", answer("500 Oops", "", ""));
    says(&error, &["the instance's metadata: no token came: HTTP status 500; before that: "]);
    let error = trial.fails(&[
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "nonsense"),
    ]);
    says(&error, &["AWS_EC2_METADATA_SERVICE_ENDPOINT is not an http:// URL"]);
}

#[test]
fn without_any_the_error_names_every_place_that_was_looked_at() {
    let trial = Trial::new("none");
    let error = trial.fails(&[]);
    let home = trial.folder.path().display().to_string();
    says(
        &error,
        &[
            "DescribeStreamSummary failed: no credentials: the instance's metadata: \
             AWS_EC2_METADATA_DISABLED is true; before that: ",
            "AWS_ACCESS_KEY_ID in the environment: not set",
            &format!("profile \"default\" in {home}/.aws/config: no such file"),
            &format!("{home}/.aws/credentials: no such file"),
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "_FULL_URI",
        ],
    );
}

/// The key and the token that arrive at a server.
fn arrives(set: impl FnOnce(ClientBuilder) -> ClientBuilder) -> (String, Option<String>) {
    let server = Server::saying(ok(ACTIVE));
    let client = set(KinesisClient::builder().endpoint(server.url())).build().unwrap();
    client.describe_stream("orders", &Call::unbounded()).unwrap();
    let request = server.requests.recv_timeout(SOON).unwrap();
    (request.key().to_owned(), request.token().map(str::to_owned))
}

#[cfg(feature = "rusoto")]
#[test]
fn keys_are_given_by_a_provider_of_rusotos_kind() {
    let provider = rusoto_credential::StaticProvider::new("k".into(), "s".into(), None, None);
    let provider = kinesis_consumer::RusotoProvider::new(provider);
    assert_eq!(arrives(|builder| builder.credentials_provider(provider)), pair("k", None));
}

/// A provider that may look at the time that is left.
struct Vault;

impl CredentialsProvider for Vault {
    fn credentials(&self, call: &Call) -> Result<Credentials, BoxError> {
        assert!(call.remaining().unwrap() <= Duration::from_secs(10) && !call.is_stopped());
        Ok(Credentials::new("k", "s").with_session_token("t"))
    }
}

#[test]
fn keys_are_given_as_a_pair_a_session_a_provider_or_a_closure() {
    assert_eq!(arrives(|builder| builder.credentials("k", "s")), pair("k", None));
    let session = arrives(|builder| builder.session_credentials("k", "s", "t"));
    assert_eq!(session, pair("k", Some("t")));
    assert_eq!(arrives(|builder| builder.credentials_provider(Vault)), pair("k", Some("t")));
    let closure = || Ok(Credentials::new("k", "s").with_session_token("t"));
    assert_eq!(arrives(|builder| builder.credentials_provider(closure)), pair("k", Some("t")));
}
