//! Requests and answers as a server of the benches reads and writes them.

use std::io::BufRead;

/// Which operation a request is for, and how long its body is; `None` at the end of the connection.
pub(crate) fn head(from: &mut impl BufRead) -> std::io::Result<Option<(String, usize)>> {
    let (mut operation, mut length, mut line) = (String::new(), 0, String::new());
    loop {
        line.clear();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            if line == "\r\n" {
                return Ok(Some((operation, length)));
            }
            continue; // the request line
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "x-amz-target" => operation = value.rsplit('.').next().unwrap_or_default().to_owned(),
            _ => {}
        }
    }
}

/// A good answer with this body.
pub(crate) fn response(body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nx-amzn-RequestId: 00000000-0000-0000-0000-000000000000\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
