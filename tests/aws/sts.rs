//! A Security Token Service of these tests.

use crate::common::loopback::{Request, Server, answer};

/// The answer with the keys of a role; they are called like the role.
pub(crate) fn keys(request: &Request) -> String {
    keys_until(request, "2100-01-01T00:00:00Z")
}

/// The same with keys that expire at this time.
pub(crate) fn keys_until(request: &Request, expires: &str) -> String {
    let action = setting(request, "Action").unwrap();
    let role = setting(request, "RoleArn").unwrap();
    let name = role.rsplit("%2F").next().unwrap();
    let body = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
         <Credentials><AccessKeyId>key-of-{name}</AccessKeyId>\
         <SecretAccessKey>hush</SecretAccessKey><SessionToken>token-of-{name}</SessionToken>\
         <Expiration>{expires}</Expiration></Credentials></{action}Result></{action}Response>"
    );
    answer("200 OK", "content-type: text/xml\r\n", &body)
}

/// A refusal with its reason.
pub(crate) fn refuses(code: &str, message: &str) -> String {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>\
         </Error><RequestId>1</RequestId></ErrorResponse>"
    );
    answer("403 Forbidden", "content-type: text/xml\r\n", &body)
}

/// A service that gives every role.
pub(crate) fn generous() -> Server {
    Server::new(|request| Some(keys(request)))
}

/// A setting of the form in a request, encoded as it came.
pub(crate) fn setting<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    let mut pairs = request.body.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(found, value)| (found == name).then_some(value))
}
