//! Signatures of requests, version 4, with the key of the day kept.
//!
//! rusoto signs as well, and derives the key anew for each request: of a call without records that was a
//! tenth.

use std::time::SystemTime;

use hmac::{Hmac, Mac, NewMac};
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use ureq::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use ureq::http::{HeaderName, HeaderValue};

use super::credentials::Credentials;
use crate::time;

const SERVICE: &str = "kinesis";
const CONTENT: &str = "application/x-amz-json-1.1";
const X_AMZ_CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const X_AMZ_TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// The headers of a signed request.
pub(super) type Headers = Vec<(HeaderName, HeaderValue)>;

/// Signs requests to one server in one region.
#[derive(Debug)]
pub(super) struct Signer {
    host: String,
    region: String,
    key: Mutex<Option<DayKey>>,
}

/// What a secret becomes for one day.
struct DayKey {
    day: String,
    credentials: Credentials,
    key: Hmac<Sha256>,
}

impl Signer {
    /// `host` is what the header of that name says: with the port, if the address has one.
    pub(super) fn new(host: String, region: String) -> Self {
        Self { host, region, key: Mutex::new(None) }
    }

    /// The headers that a call of `target` needs. The credentials were checked before.
    pub(super) fn sign(
        &self,
        credentials: &Credentials,
        target: &str,
        body: &[u8],
        now: SystemTime,
    ) -> Headers {
        let date = compact(now);
        let (day, _) = date.split_at(8);
        let content = hex::encode(Sha256::digest(body));
        let token = credentials.session_token();
        let (token_line, token_name) = match token {
            Some(token) => (format!("x-amz-security-token:{token}\n"), "x-amz-security-token;"),
            None => (String::new(), ""),
        };
        let names =
            format!("content-type;host;x-amz-content-sha256;x-amz-date;{token_name}x-amz-target");
        let host = &self.host;
        let canonical = format!(
            "POST\n/\n\ncontent-type:{CONTENT}\nhost:{host}\nx-amz-content-sha256:{content}\n\
             x-amz-date:{date}\n{token_line}x-amz-target:{target}\n\n{names}\n{content}"
        );
        let scope = format!("{day}/{}/{SERVICE}/aws4_request", self.region);
        let hashed = hex::encode(Sha256::digest(canonical.as_bytes()));
        let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashed}");
        let signature = hex::encode(mac(self.key(credentials, day), &to_sign));
        let key_id = credentials.access_key_id();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        let mut headers = vec![
            (HOST, value(self.host.clone())),
            (CONTENT_TYPE, HeaderValue::from_static(CONTENT)),
            (X_AMZ_CONTENT_SHA256, value(content)),
            (X_AMZ_DATE, value(date)),
            (X_AMZ_TARGET, value(target.to_owned())),
            (AUTHORIZATION, secret(authorization)),
        ];
        headers.extend(token.map(|token| (X_AMZ_SECURITY_TOKEN, secret(token.to_owned()))));
        headers
    }

    /// The key of the day, derived if the last one was of another, or of other credentials.
    fn key(&self, credentials: &Credentials, day: &str) -> Hmac<Sha256> {
        let mut kept = self.key.lock();
        let is_right = |key: &&DayKey| key.day == day && key.credentials == *credentials;
        if let Some(found) = kept.as_ref().filter(is_right) {
            return found.key.clone();
        }
        let secret = format!("AWS4{}", credentials.secret_access_key());
        let parts = [day, &self.region, SERVICE, "aws4_request"];
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

/// A time as signatures have it, such as `20240501T083000Z`.
fn compact(now: SystemTime) -> String {
    let mut text = time::text(now);
    text.retain(|char| !matches!(char, '-' | ':'));
    text.truncate("20240501T083000".len());
    text + "Z"
}

/// Hosts, regions, hashes and checked credentials are plain text.
fn value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("settings and credentials were checked to be plain text")
}

/// One that no log shows.
fn secret(text: String) -> HeaderValue {
    let mut value = value(text);
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use rusoto_core::Region;
    use rusoto_core::signature::SignedRequest;

    use super::*;

    /// What rusoto makes of the same request, at its own time.
    fn rusotos(
        endpoint: &str,
        region: &str,
        credentials: &Credentials,
        body: &[u8],
    ) -> SignedRequest {
        let region = Region::Custom { name: region.to_owned(), endpoint: endpoint.to_owned() };
        let mut request = SignedRequest::new("POST", SERVICE, &region, "/");
        request.set_content_type(CONTENT.to_owned());
        request.add_header("x-amz-target", "Kinesis_20131202.GetRecords");
        request.set_payload(Some(body.to_vec()));
        request.sign(&credentials.to_rusoto());
        request
    }

    /// Reads a time that `compact` wrote.
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
            let theirs = rusotos(endpoint, region, &credentials, &body);
            let header = |name: &str| {
                theirs
                    .headers()
                    .get(name)
                    .map(|values| String::from_utf8(values[0].clone()).unwrap())
            };
            let signer = Signer::new(host.to_owned(), region.to_owned());
            let now = time_of(&header("x-amz-date").unwrap());
            let ours = signer.sign(&credentials, "Kinesis_20131202.GetRecords", &body, now);
            for (name, value) in &ours {
                let value = Some(value.to_str().unwrap().to_owned());
                assert_eq!(value, header(name.as_str()), "case {case}: {name}");
            }
            // rusoto's content-length is the transport's to say.
            assert_eq!(ours.len() + 1, theirs.headers().len(), "case {case}");
        }
    }

    #[test]
    fn a_kept_key_is_used_for_its_day_and_its_credentials_alone() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let (one, other) = (Credentials::new("k", "one"), Credentials::new("k", "other"));
        let kept = Signer::new("host".into(), "region".into());
        for (credentials, seconds) in [(&one, 0), (&one, 1), (&other, 1), (&one, 1), (&one, 90_000)]
        {
            let fresh = Signer::new("host".into(), "region".into());
            let sign = |signer: &Signer| signer.sign(credentials, "t", b"", at(seconds));
            assert_eq!(sign(&kept), sign(&fresh), "{seconds}");
        }
        assert_eq!(compact(at(90_061)), "19700102T010101Z");
        assert!(!format!("{kept:?}").contains("one"));
    }
}
