//! A signed request on its way.

use rusoto_core::signature::{SignedRequest, SignedRequestPayload};
use ureq::http::{self, HeaderName, HeaderValue, Request, Uri};

use super::sign::Headers;

/// A request that may be sent more than once.
pub(super) struct Outgoing<'a> {
    uri: Uri,
    headers: Headers,
    body: &'a [u8],
}

impl<'a> Outgoing<'a> {
    pub(super) fn new(uri: Uri, headers: Headers, body: &'a [u8]) -> Self {
        Self { uri, headers, body }
    }

    /// One that rusoto has signed.
    pub(super) fn of_rusoto(signed: &'a SignedRequest) -> Result<Self, http::Error> {
        let path = signed.canonical_path();
        let uri = format!("{}://{}{path}", signed.scheme(), signed.hostname()).parse()?;
        let mut headers = Headers::new();
        for (name, values) in signed.headers() {
            for value in values {
                headers.push((HeaderName::try_from(name)?, HeaderValue::from_bytes(value)?));
            }
        }
        Ok(Self::new(
            uri,
            headers,
            match &signed.payload {
                Some(SignedRequestPayload::Buffer(bytes)) => bytes,
                // No operation of ours streams.
                Some(SignedRequestPayload::Stream(_)) | None => &[],
            },
        ))
    }

    /// The server that it goes to.
    pub(super) fn server(&self) -> String {
        let (scheme, authority) = (self.uri.scheme_str(), self.uri.authority());
        let authority = authority.map(|authority| authority.as_str());
        format!("{}://{}", scheme.unwrap_or_default(), authority.unwrap_or_default())
    }

    pub(super) fn to_http(&self) -> Result<Request<&'a [u8]>, http::Error> {
        let mut request = Request::post(self.uri.clone()).body(self.body)?;
        let headers = request.headers_mut();
        headers.reserve(self.headers.len());
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        Ok(request)
    }
}
