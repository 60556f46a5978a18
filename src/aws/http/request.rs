//! A signed request on its way.

#[cfg(feature = "rusoto")]
use rusoto_core::signature::{SignedRequest, SignedRequestPayload};
use ureq::http::{self, HeaderMap, Method, Request, Uri};
#[cfg(feature = "rusoto")]
use ureq::http::{HeaderName, HeaderValue};

/// The system's allocator does not keep a buffer of this size for each thread, but frees it for the others, of which
/// there may be a thousand: glibc keeps up to 1,032 bytes.
pub(crate) const SHARED: usize = 1_040;

/// A request that may be sent more than once: it is made again for each attempt.
pub(crate) trait Outgoing {
    fn uri(&self) -> Result<Uri, http::Error>;

    fn headers(&self) -> Result<HeaderMap, http::Error>;

    fn body(&self) -> &[u8];

    fn to_http(&self) -> Result<Request<&[u8]>, http::Error> {
        let mut request = Request::new(self.body());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri()?;
        *request.headers_mut() = self.headers()?;
        Ok(request)
    }

    /// The server that it goes to.
    fn server(&self) -> String {
        let uri = self.uri().unwrap_or_default();
        let authority = uri.authority().map(|authority| authority.as_str());
        format!("{}://{}", uri.scheme_str().unwrap_or_default(), authority.unwrap_or_default())
    }
}

/// A request that rusoto has signed.
#[cfg(feature = "rusoto")]
impl Outgoing for SignedRequest {
    fn uri(&self) -> Result<Uri, http::Error> {
        let path = self.canonical_path();
        Ok(format!("{}://{}{path}", self.scheme(), self.hostname()).parse()?)
    }

    fn headers(&self) -> Result<HeaderMap, http::Error> {
        let mut headers = HeaderMap::new();
        for (name, values) in SignedRequest::headers(self) {
            for value in values {
                headers.append(HeaderName::try_from(name)?, HeaderValue::from_bytes(value)?);
            }
        }
        Ok(headers)
    }

    fn body(&self) -> &[u8] {
        match &self.payload {
            Some(SignedRequestPayload::Buffer(bytes)) => bytes,
            // None of our operations streams.
            Some(SignedRequestPayload::Stream(_)) | None => &[],
        }
    }
}
