//! The keys of a role, from the Security Token Service.

use std::time::SystemTime;

use percent_encoding::utf8_percent_encode;
use roxmltree::Document;
use ureq::http::HeaderMap;
use ureq::http::header::HOST;

use crate::aws::credentials::search::Search;
use crate::aws::credentials::service::{FAR, Failure, Place};
use crate::aws::credentials::unavailable::Unavailable;
use crate::aws::credentials::{Credentials, expiry};
use crate::aws::endpoint::Endpoint;
use crate::aws::http::quiet::{Answer, Ask};
use crate::aws::http::refusal;
use crate::aws::partition;
use crate::aws::service::Service;
use crate::aws::sign::{Content, Signer};
use crate::aws::text::{RESERVED, cut};

/// A call: its name, and the names and values of its settings.
pub(crate) struct Call<'a> {
    pub(crate) action: &'static str,
    pub(crate) role: &'a str,
    pub(crate) settings: Vec<(&'static str, &'a str)>,
}

impl Call<'_> {
    /// Makes the call, signed with these keys if it must be signed.
    ///
    /// # Errors
    /// Why it gives no keys, with the role.
    pub(crate) fn keys(
        &self,
        search: &Search<'_>,
        signer: Option<&Credentials>,
    ) -> Result<Credentials, Unavailable> {
        let endpoint = search.endpoint(Service::Sts, &search.chain.region)?;
        let body = self.form();
        let signed = signer.map(|keys| sign(keys, &endpoint, body.as_bytes(), search));
        let headers = match &signed {
            Some(signed) => text(signed),
            None => vec![("content-type", Content::Form.text())],
        };
        let uri = endpoint.uri();
        let ask = Ask { method: "POST", uri, headers, body: body.as_bytes() };
        let answer = search.services.ask(&ask, Place::At(&endpoint), FAR);
        let answer = answer.map_err(|failure| self.refusal(failure))?;
        read(&answer.text()).ok_or_else(|| {
            let why = "the answer holds no keys: check the endpoint of STS";
            Unavailable::for_now(format!("{}: {why}", self.name()))
        })
    }

    fn name(&self) -> String {
        format!("{} of {:?} at STS", self.action, cut(self.role))
    }

    fn form(&self) -> String {
        let mut form = format!("Action={}&Version=2011-06-15", self.action);
        for (name, value) in [("RoleArn", self.role)].iter().chain(&self.settings) {
            form.push_str(&format!("&{name}={}", utf8_percent_encode(value, RESERVED)));
        }
        form
    }

    fn refusal(&self, failure: Failure) -> Unavailable {
        let name = self.name();
        let Failure::Refused(answer) = failure else {
            return Unavailable::from(failure).of(&name);
        };
        let refusal = Refusal::of(&answer);
        let advice =
            refusal.advice(&answer).map_or_else(String::new, |advice| format!("; {advice}"));
        let reason = format!("{name} answered {}{}{advice}", answer.status, refusal.text());
        match refusal.is_final() {
            true => Unavailable::for_good(reason),
            false => Unavailable::for_now(reason),
        }
    }
}

/// The headers of a signed request. It is signed for the region in the endpoint's name, if there is one.
fn sign(keys: &Credentials, endpoint: &Endpoint, body: &[u8], search: &Search<'_>) -> HeaderMap {
    let own = partition::known(endpoint.host()).map(|known| known.region);
    let region = own.unwrap_or(&search.chain.region).to_owned();
    let (service, host) = (Service::Sts.signing_name(), endpoint.host_header());
    Signer::new(host, region, service, Content::Form).sign(keys, None, body, SystemTime::now())
}

/// Headers as text, without the host, which every request has. The signer makes them of plain text.
fn text(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let others = headers.iter().filter(|(name, _)| *name != HOST);
    others.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect()
}

/// The code and the message of an error; both are empty for a page for people.
struct Refusal {
    code: String,
    message: String,
}

impl Refusal {
    fn of(answer: &Answer) -> Self {
        let text = answer.text();
        let document = Document::parse(&text).ok();
        let field = |name: &str| {
            let found = document.as_ref().and_then(|it| field(it, "Error", name));
            cut(found.unwrap_or_default())
        };
        Self { code: field("Code"), message: field("Message") }
    }

    fn text(&self) -> String {
        match (self.code.is_empty(), self.message.is_empty()) {
            (true, _) => String::new(),
            (false, true) => format!(" {}", self.code),
            (false, false) => format!(" {}: {}", self.code, self.message),
        }
    }

    /// Whether a person must change something first. What is not listed may pass: a token may be replaced, a key may
    /// not be known everywhere yet, the provider of an identity may be away.
    fn is_final(&self) -> bool {
        matches!(
            self.code.as_str(),
            "AccessDenied"
                | "MalformedPolicyDocument"
                | "RegionDisabledException"
                | "ValidationError"
        )
    }

    fn advice(&self, answer: &Answer) -> Option<String> {
        let by_clock = || answer.date.and_then(refusal::skew);
        let text = match self.code.as_str() {
            "AccessDenied" => "check the policy that trusts the caller, and the external id",
            "ExpiredTokenException" => {
                "the token has expired: check that something replaces its file"
            }
            "RegionDisabledException" => "activate STS in this region",
            "InvalidClientTokenId" | "UnrecognizedClientException" => {
                "check the keys that the role is assumed with"
            }
            "SignatureDoesNotMatch" | "RequestExpired" => {
                return Some(by_clock().unwrap_or_else(|| {
                    "check the clock, and the keys that the role is assumed with".to_owned()
                }));
            }
            _ => return None,
        };
        Some(text.to_owned())
    }
}

/// The keys in an answer.
fn read(text: &str) -> Option<Credentials> {
    let document = Document::parse(text).ok()?;
    let field = |name| field(&document, "Credentials", name);
    let keys = Credentials::new(field("AccessKeyId")?, field("SecretAccessKey")?);
    let expires = expiry::parse(field("Expiration")?)?;
    Some(keys.with_session_token(field("SessionToken")?).with_expiry(expires))
}

/// The text of an element in the first element of a kind.
fn field<'a>(document: &'a Document<'_>, kind: &str, name: &str) -> Option<&'a str> {
    let parent = document.descendants().find(|node| node.tag_name().name() == kind)?;
    let child = parent.children().find(|node| node.tag_name().name() == name)?;
    child.text().map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
        <AssumeRoleResult><AssumedRoleUser><Arn>a</Arn></AssumedRoleUser><Credentials>
          <SessionToken> tok/en+== </SessionToken><AccessKeyId>k</AccessKeyId>
          <SecretAccessKey>s&amp;x</SecretAccessKey><Expiration>2100-01-01T00:00:00Z</Expiration>
        </Credentials></AssumeRoleResult></AssumeRoleResponse>"#;

    #[test]
    fn the_keys_are_read_whole_or_not_at_all() {
        let expires = expiry::parse("2100-01-01T00:00:00Z").unwrap();
        let wanted = Credentials::new("k", "s&x").with_session_token("tok/en+==");
        assert_eq!(read(ANSWER), Some(wanted.with_expiry(expires)));
        for name in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration", "Credentials"]
        {
            assert_eq!(read(&ANSWER.replace(name, "Other")), None, "{name}");
        }
        for text in ["", "<html><body>Welcome</html>", "{}", "<a/>"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_refusal_tells_code_and_message_and_nothing_of_a_page() {
        let refusal = |body: &str| {
            Refusal::of(&Answer { status: 403, date: None, body: body.as_bytes().to_vec() })
        };
        let denied = refusal(
            "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
             <Message>no trust</Message></Error><RequestId>1</RequestId></ErrorResponse>",
        );
        assert_eq!((denied.text().as_str(), denied.is_final()), (" AccessDenied: no trust", true));
        let page = refusal("<html>Welcome</html>");
        assert_eq!((page.text().as_str(), page.is_final()), ("", false));
    }

    #[test]
    fn a_value_cannot_begin_another_setting() {
        let settings = vec![("ExternalId", "a&b=c d+é")];
        let call = Call { action: "AssumeRole", role: "arn:aws:iam::1:role/x", settings };
        assert_eq!(
            call.form(),
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fx&\
             ExternalId=a%26b%3Dc%20d%2B%C3%A9"
        );
    }
}
