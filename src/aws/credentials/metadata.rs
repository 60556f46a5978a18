//! Credentials that a service on the network of the machine gives, in JSON over HTTP.

use std::fmt;
use std::time::Duration;

use rusoto_core::credential::AwsCredentials;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Method, Request};

use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::http::tls;
use crate::aws::text::{cut, with_sources};

/// How long an answer may take; a working service answers in milliseconds.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);

/// Longer than any answer.
const MAX_ANSWER: u64 = 64 << 10;

/// A client of such services, without a proxy: they are on another network.
pub(crate) struct Metadata(Agent);

/// A name and a value, which may be secret.
pub(crate) type Header<'a> = (&'static str, &'a str);

/// Ends the call when its caller does not wait any more.
struct EndOnDrop(Option<Agent>);

/// A failed call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// An error status, and the text of the answer.
    Status(u16, String),
    /// There was no answer.
    None(String),
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(agent) = self.0.take() {
            agent.shutdown();
        }
    }
}

impl Metadata {
    pub(crate) fn new() -> Self {
        let config = Agent::config_builder()
            .tls_config(tls::config(None))
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .timeout_global(Some(LIMIT));
        Self(config.build().new_agent())
    }

    /// The answer of this address.
    pub(crate) async fn get(
        &self,
        url: &str,
        header: Option<Header<'_>>,
    ) -> Result<String, Failure> {
        self.ask(Method::GET, url, header, LIMIT).await
    }

    /// The answer of this address to a request without a body that may change something.
    pub(crate) async fn put(
        &self,
        url: &str,
        header: Header<'_>,
        limit: Duration,
    ) -> Result<String, Failure> {
        self.ask(Method::PUT, url, Some(header), limit).await
    }

    // long: the request, and what each way means in which it ends.
    async fn ask(
        &self,
        method: Method,
        url: &str,
        header: Option<Header<'_>>,
        limit: Duration,
    ) -> Result<String, Failure> {
        let mut request = Request::builder().method(method).uri(url);
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        // Its text holds no part of the value.
        let request = request.body(()).map_err(|error| Failure::None(error.to_string()))?;
        let request = self.0.configure_request(request).timeout_global(Some(limit)).build();
        let (agent, mut end) = (self.0.clone(), EndOnDrop(Some(self.0.clone())));
        let answer = tokio::task::spawn_blocking(move || run(&agent, request));
        let answer =
            answer.await.unwrap_or_else(|_| Err(ureq::Error::Other("the call panicked".into())));
        end.0 = None; // it has ended
        match answer {
            Ok((200, text)) => Ok(text),
            Ok((status, text)) => Err(Failure::Status(status, said(&text))),
            Err(ureq::Error::Timeout(_)) => {
                Err(Failure::None(format!("no answer within {limit:?}")))
            }
            Err(error) => Err(Failure::None(with_sources(&error))),
        }
    }
}

/// Makes the call: the status, and the text of the answer.
fn run(agent: &Agent, request: Request<()>) -> Result<(u16, String), ureq::Error> {
    // An empty body has a length; none at all would come in chunks, of which there are none.
    let is_put = request.method() == Method::PUT;
    let mut answer = if is_put { agent.run(request.map(|()| ""))? } else { agent.run(request)? };
    let status = answer.status().as_u16();
    let text = answer.body_mut().with_config().limit(MAX_ANSWER).lossy_utf8(true);
    Ok((status, text.read_to_string()?))
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status, said) if said.is_empty() => write!(f, "HTTP status {status}"),
            Self::Status(status, said) => write!(f, "HTTP status {status}: {said}"),
            Self::None(why) => f.write_str(why),
        }
    }
}

impl From<Failure> for Unavailable {
    fn from(failure: Failure) -> Self {
        Self::for_now(failure.to_string())
    }
}

/// Reads keys, without showing any other text.
pub(crate) fn keys(text: &str) -> Result<AwsCredentials, Unavailable> {
    let said = serde_json::from_str::<Value>(text).unwrap_or_default();
    if let Some(code) = said["Code"].as_str().filter(|code| *code != "Success") {
        let message = said["Message"].as_str().unwrap_or_default();
        return Err(Unavailable::for_now(cut(&format!("{code} {message}"))));
    }
    serde_json::from_value(said)
        .map_err(|_| Unavailable::for_now("it did not answer a JSON object with a key"))
}

/// The text of an error, unless it is a page for people.
fn said(text: &str) -> String {
    let said = serde_json::from_str::<Value>(text).unwrap_or_default();
    let fields = ["code", "Code", "message", "Message"].into_iter();
    let texts: Vec<_> = fields.filter_map(|field| said[field].as_str()).collect();
    cut(&texts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_an_error_that_shows_nothing_of_it() {
        for text in [
            "",
            "<html>hush</html>",
            "[]",
            "{}",
            r#"{"AccessKeyId":"hush"}"#,
            r#"{"Token":"hush"}"#,
        ] {
            let error = keys(text).unwrap_err();
            assert_eq!(error.reason, "it did not answer a JSON object with a key");
        }
        let failed = r#"{"Code":"AssumeRoleUnauthorizedAccess","Message":"no trust"}"#;
        assert_eq!(keys(failed).unwrap_err().reason, "AssumeRoleUnauthorizedAccess no trust");
        let good = r#"{"Code":"Success","AccessKeyId":"k","SecretAccessKey":"s","Token":"t"}"#;
        assert_eq!(keys(good).unwrap().token().as_deref(), Some("t"));
    }

    #[test]
    fn an_error_tells_its_reason_but_no_page() {
        assert_eq!(said(r#"{"code":"AccessDenied","message":"no"}"#), "AccessDenied no");
        assert_eq!(said("<html>Forbidden</html>"), "");
    }
}
