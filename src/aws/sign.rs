//! Signatures of requests, version 4, with the key of the day kept.
//!
//! rusoto signs as well, but derives the key for each request: that was a tenth of the time of a call without records.

use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use hmac::{Hmac, Mac, NewMac};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

use crate::aws::credentials::Credentials;
use crate::aws::http::request::SHARED;
use crate::model::time;

const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const X_AMZ_TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// The largest number of headers of a request.
const HEADERS: usize = 7;
/// More than the size of all header values without a session token; see [`SHARED`].
const VALUES: usize = SHARED;

/// Why a text fits into a header: hosts, regions, hashes and credentials fit.
const PLAIN: &str = "settings and credentials were checked to be plain text";

/// The form of a request's body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    Json,
    /// Of the older services.
    #[cfg(feature = "fleet")]
    Json10,
    Form,
}

impl Content {
    /// The value of the header `Content-Type`.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            #[cfg(feature = "fleet")]
            Self::Json10 => "application/x-amz-json-1.0",
            Self::Form => "application/x-www-form-urlencoded",
        }
    }
}

/// Signs requests to one server of a service in one region.
#[derive(Debug)]
pub(crate) struct Signer {
    host: String,
    host_header: HeaderValue,
    region: String,
    service: &'static str,
    content: &'static str,
    /// The text after the day in the name of a key.
    scope: String,
    key: Mutex<Option<DayKey>>,
}

/// The key made from a secret for one day.
struct DayKey {
    day: String,
    credentials: Credentials,
    key: Hmac<Sha256>,
}

/// Values of headers in one buffer.
struct Values(String);

/// A hash in hexadecimal digits.
struct Hex([u8; 64]);

impl Signer {
    /// `host` is what the header of that name says: with the port, if the address has one.
    pub(crate) fn new(
        host: String,
        region: String,
        service: &'static str,
        content: Content,
    ) -> Self {
        let host_header = HeaderValue::try_from(&host).expect(PLAIN);
        let scope = format!("/{region}/{service}/aws4_request");
        let content = content.text();
        Self { host, host_header, region, service, content, scope, key: Mutex::new(None) }
    }

    /// The headers that a call needs; `target` is its name, if that is not in the body. The credentials were checked
    /// before.
    ///
    /// Hashes the signed text piece by piece: a thread keeps memory that it has allocated, which was a quarter of an
    /// idle shard's memory.
    // long: the steps of a signature, in the order of its specification.
    pub(crate) fn sign(
        &self,
        credentials: &Credentials,
        target: Option<&'static str>,
        body: &[u8],
        now: SystemTime,
    ) -> HeaderMap {
        let date = time::compact(now);
        let (day, _) = date.split_at(8);
        let content = Hex::of(&Sha256::digest(body).into());
        let token = credentials.session_token();
        let token_name = if token.is_some() { ";x-amz-security-token" } else { "" };
        let target_name = if target.is_some() { ";x-amz-target" } else { "" };
        let names = ["content-type;host;x-amz-content-sha256;x-amz-date", token_name, target_name];
        let token_value = token.map_or(["", ""], |token| ["\nx-amz-security-token:", token]);
        let target_value = target.map_or(["", ""], |target| ["\nx-amz-target:", target]);
        let canonical = Hex::of_parts(&[
            &["POST\n/\n\ncontent-type:", self.content, "\nhost:", &self.host],
            &["\nx-amz-content-sha256:", content.text(), "\nx-amz-date:", &date],
            &token_value,
            &target_value,
            &["\n\n"],
            &names,
            &["\n", content.text()],
        ]);
        let mut signature = self.key(credentials, day);
        let to_sign = ["AWS4-HMAC-SHA256\n", &date, "\n", day, &self.scope, "\n", canonical.text()];
        to_sign.into_iter().for_each(|part| signature.update(part.as_bytes()));
        let signature = Hex::of(&signature.finalize().into_bytes().into());

        let mut values = Values::with_capacity(VALUES + token.map_or(0, str::len));
        let authorization = values.add(&[
            &["AWS4-HMAC-SHA256 Credential=", credentials.access_key_id(), "/", day, &self.scope],
            &[", SignedHeaders="],
            &names,
            &[", Signature=", signature.text()],
        ]);
        let [content, date] = [content.text(), &date].map(|value| values.add(&[&[value]]));
        let token = token.map(|token| values.add(&[&[token]]));
        let values = Bytes::from(values.0);
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(HOST, self.host_header.clone());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content));
        headers.insert(X_AMZ_CONTENT_SHA256, value(&values, content));
        headers.insert(X_AMZ_DATE, value(&values, date));
        target.map(|target| headers.insert(X_AMZ_TARGET, HeaderValue::from_static(target)));
        headers.insert(AUTHORIZATION, secret(&values, authorization));
        token.map(|token| headers.insert(X_AMZ_SECURITY_TOKEN, secret(&values, token)));
        headers
    }

    /// The key of the day, derived if the last one was of another day, or of other credentials.
    fn key(&self, credentials: &Credentials, day: &str) -> Hmac<Sha256> {
        let mut kept = self.key.lock();
        let is_right = |key: &&DayKey| key.day == day && key.credentials == *credentials;
        if let Some(found) = kept.as_ref().filter(is_right) {
            return found.key.clone();
        }
        let secret = format!("AWS4{}", credentials.secret_access_key());
        let parts = [day, &self.region, self.service, "aws4_request"];
        let key = parts.iter().fold(keyed(secret.as_bytes()), |key, part| keyed(&mac(key, part)));
        let (day, credentials) = (day.to_owned(), credentials.clone());
        *kept = Some(DayKey { day, credentials, key: key.clone() });
        key
    }
}

impl std::fmt::Debug for DayKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DayKey").field("day", &self.day).finish_non_exhaustive()
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn mac(mut key: Hmac<Sha256>, text: &str) -> [u8; 32] {
    key.update(text.as_bytes());
    key.finalize().into_bytes().into()
}

impl Values {
    fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Adds a value, and returns its place.
    fn add(&mut self, parts: &[&[&str]]) -> Range<usize> {
        let from = self.0.len();
        parts.iter().copied().flatten().for_each(|part| self.0.push_str(part));
        from..self.0.len()
    }
}

fn value(values: &Bytes, at: Range<usize>) -> HeaderValue {
    HeaderValue::from_maybe_shared(values.slice(at)).expect(PLAIN)
}

/// A header value that logs do not show.
fn secret(values: &Bytes, at: Range<usize>) -> HeaderValue {
    let mut value = value(values, at);
    value.set_sensitive(true);
    value
}

impl Hex {
    fn of(hash: &[u8; 32]) -> Self {
        let mut digits = [0; 64];
        hex::encode_to_slice(hash, &mut digits).expect("two digits for a byte");
        Self(digits)
    }

    /// The hash of a text in parts.
    fn of_parts(parts: &[&[&str]]) -> Self {
        let mut hash = Sha256::new();
        parts.iter().copied().flatten().for_each(|part| hash.update(part));
        Self::of(&hash.finalize().into())
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.0).expect("digits are text")
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use rusoto_core::Region;
    use rusoto_core::credential::AwsCredentials;
    use rusoto_core::signature::SignedRequest;

    use super::*;

    const TARGET: &str = "Kinesis_20131202.GetRecords";

    /// The same request signed by rusoto, at its own time.
    fn rusotos(
        endpoint: &str,
        region: &str,
        content: Content,
        credentials: &Credentials,
        body: &[u8],
    ) -> SignedRequest {
        let region = Region::Custom { name: region.to_owned(), endpoint: endpoint.to_owned() };
        let (service, target) = call(content);
        let mut request = SignedRequest::new("POST", service, &region, "/");
        request.set_content_type(content.text().to_owned());
        target.into_iter().for_each(|target| request.add_header("x-amz-target", target));
        request.set_payload(Some(body.to_vec()));
        let (key, secret) = (credentials.access_key_id(), credentials.secret_access_key());
        let token = credentials.session_token().map(str::to_owned);
        request.sign(&AwsCredentials::new(key, secret, token, None));
        request
    }

    const CONTENTS: &[Content] = &[
        Content::Json,
        Content::Form,
        #[cfg(feature = "fleet")]
        Content::Json10,
    ];

    /// The service that speaks so, and the name of a call if it is not in the body.
    fn call(content: Content) -> (&'static str, Option<&'static str>) {
        match content {
            Content::Json => ("kinesis", Some(TARGET)),
            #[cfg(feature = "fleet")]
            Content::Json10 => ("dynamodb", Some(TARGET)),
            Content::Form => ("sts", None),
        }
    }

    /// Reads a time that `time::compact` wrote.
    fn time_of(date: &str) -> SystemTime {
        let part = |from: usize, to: usize| &date[from..to];
        let text = format!(
            "{}-{}-{}T{}:{}:{}Z",
            part(0, 4),
            part(4, 6),
            part(6, 8),
            part(9, 11),
            part(11, 13),
            part(13, 15),
        );
        time::parse(&text).unwrap()
    }

    #[test]
    fn every_header_is_as_rusoto_signs_it() {
        let mut rng = fastrand::Rng::with_seed(9);
        for case in 0..200 {
            let word = |rng: &mut fastrand::Rng| -> String {
                (0..rng.usize(1..60)).map(|_| rng.char('!'..='~')).collect()
            };
            let mut credentials = Credentials::new(word(&mut rng), word(&mut rng));
            if case % 2 == 0 {
                credentials = credentials.with_session_token(word(&mut rng));
            }
            let body: Vec<u8> = (0..rng.usize(..300)).map(|_| rng.u8(..)).collect();
            let (endpoint, host, region) = match case % 3 {
                0 => ("http://127.0.0.1:4567", "127.0.0.1:4567", "us-east-1"),
                1 => (
                    "https://kinesis.eu-central-1.amazonaws.com",
                    "kinesis.eu-central-1.amazonaws.com",
                    "eu-central-1",
                ),
                _ => ("http://[::1]:80", "[::1]:80", "x"),
            };
            let content = CONTENTS[case / 3 % CONTENTS.len()];
            let theirs = rusotos(endpoint, region, content, &credentials, &body);
            let header = |name: &str| {
                theirs
                    .headers()
                    .get(name)
                    .map(|values| String::from_utf8(values[0].clone()).unwrap())
            };
            let (service, target) = call(content);
            let signer = Signer::new(host.to_owned(), region.to_owned(), service, content);
            let now = time_of(&header("x-amz-date").unwrap());
            let ours = signer.sign(&credentials, target, &body, now);
            for (name, value) in &ours {
                let value = Some(value.to_str().unwrap().to_owned());
                assert_eq!(value, header(name.as_str()), "case {case}: {name}");
            }
            // The transport adds the content-length, which rusoto adds itself.
            assert_eq!(ours.len() + 1, theirs.headers().len(), "case {case}");
        }
    }

    #[test]
    fn a_kept_key_is_used_for_its_day_and_its_credentials_alone() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let (one, other) = (Credentials::new("k", "one"), Credentials::new("k", "other"));
        let signer = || Signer::new("host".into(), "region".into(), "kinesis", Content::Json);
        let kept = signer();
        for (credentials, seconds) in [(&one, 0), (&one, 1), (&other, 1), (&one, 1), (&one, 90_000)]
        {
            let fresh = signer();
            let sign = |signer: &Signer| signer.sign(credentials, Some("t"), b"", at(seconds));
            assert_eq!(sign(&kept), sign(&fresh), "{seconds}");
        }
        assert_eq!(time::compact(at(90_061)), "19700102T010101Z");
        assert!(!format!("{kept:?}").contains("one"));
    }
}
