//! Servers of these tests: a client trusts those whose authority it was given.
#![cfg(any(feature = "native-tls", feature = "rustls"))]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

use crate::aws::credentials::question::Question;
use crate::aws::credentials::service::{FAR, Place, Services};
use crate::aws::endpoint::Endpoint;
use crate::aws::http::quiet::Ask;
use crate::client::Client;
use crate::client::kinesis::builder::ClientBuilder;
use crate::control::call::Call;
use crate::error::client::ClientError;

/// A certificate and its key.
type Pair = (X509, PKey<Private>);

/// A certificate: of an authority, or of this machine by an authority.
fn certificate(by: Option<&Pair>) -> Pair {
    let key = PKey::from_rsa(Rsa::generate(2_048).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", if by.is_some() { "here" } else { "nobody" }).unwrap();
    let (name, mut builder) = (name.build(), X509::builder().unwrap());
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap();
    builder.set_serial_number(&serial).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(by.map_or(&name, |(by, _)| by.subject_name())).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    if by.is_none() {
        builder.append_extension(BasicConstraints::new().ca().build().unwrap()).unwrap();
    }
    let host =
        SubjectAlternativeName::new().ip("127.0.0.1").build(&builder.x509v3_context(None, None));
    builder.append_extension(host.unwrap()).unwrap();
    builder.sign(by.map_or(&key, |(_, key)| key), MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

/// Answers four connections with an empty listing, if they trust it.
fn serve(certificate: &X509, key: &PKey<Private>) -> (SocketAddr, thread::JoinHandle<()>) {
    let mut acceptor = SslAcceptor::mozilla_intermediate(SslMethod::tls()).unwrap();
    acceptor.set_certificate(certificate).unwrap();
    acceptor.set_private_key(key).unwrap();
    let (acceptor, listener) = (acceptor.build(), TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        for stream in listener.incoming().take(4) {
            // A client that does not trust us disconnects.
            let Ok(mut stream) = acceptor.accept(stream.unwrap()) else { continue };
            let mut request = [0; 4_096];
            if stream.read(&mut request).unwrap_or(0) > 0 {
                let said = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 13\r\n\r\n";
                let _ = stream.write_all(format!("{said}{{\"Shards\":[]}}").as_bytes());
            }
        }
    });
    (address, thread)
}

/// A file that trusts this authority, and the variable that names it.
struct Bundle(PathBuf);

impl Bundle {
    fn of(trusted: &X509) -> Self {
        let path = std::env::temp_dir().join(format!("kc-roots-{}", std::process::id()));
        std::fs::write(&path, trusted.to_pem().unwrap()).unwrap();
        Self(path)
    }

    fn lookup(&self) -> impl Fn(&str) -> Option<String> {
        let path = self.0.display().to_string();
        move |name| (name == "AWS_CA_BUNDLE").then(|| path.clone())
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

/// What a service that gives keys answers.
fn asked(address: SocketAddr, trusted: &X509) -> Result<String, String> {
    let bundle = Bundle::of(trusted);
    let (lookup, (question, _interest)) = (bundle.lookup(), Question::new(FAR));
    let services = Services::new(&question, &lookup);
    let endpoint = Endpoint::parse(&format!("https://{address}"), false).unwrap();
    let ask = Ask { method: "GET", uri: endpoint.uri(), headers: Vec::new(), body: b"" };
    let answer = services.ask(&ask, Place::At(&endpoint), FAR);
    answer.map(|answer| answer.text()).map_err(|failure| failure.to_string())
}

#[test]
fn a_bundle_of_certificates_is_trusted_instead_of_the_systems() {
    let (own, (other, _)) = (certificate(None), certificate(None));
    let (here, key) = certificate(Some(&own));
    let (address, server) = serve(&here, &key);
    let list = |trusted: &X509| -> Result<usize, ClientError> {
        let bundle = Bundle::of(trusted);
        let builder = ClientBuilder::new().endpoint(format!("https://{address}"));
        let client = builder.credentials("k", "s").build_in(&bundle.lookup()).unwrap();
        client.list_shards("s", None, &Call::unbounded()).map(|page| page.shards.len())
    };
    let error = list(&other).unwrap_err().to_string();
    assert!(error.contains("SSL_CERT_FILE or AWS_CA_BUNDLE"), "{error}");
    assert_eq!(list(&own.0).unwrap(), 0);
    // A service that gives keys is asked by code of its own.
    let error = asked(address, &other).err().unwrap();
    assert!(error.contains("SSL_CERT_FILE or AWS_CA_BUNDLE"), "{error}");
    assert_eq!(asked(address, &own.0).unwrap(), r#"{"Shards":[]}"#);
    server.join().unwrap();
}
