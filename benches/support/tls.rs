//! A certificate for 127.0.0.1 that only the processes of a bench trust.

use std::fs;
use std::path::{Path, PathBuf};

use kinesis_consumer::BoxError;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslConnector, SslFiletype, SslMethod, SslStream};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

/// Where OpenSSL, and with it every client, looks for what it trusts.
pub(crate) const TRUSTED: &str = "SSL_CERT_FILE";

/// Writes a certificate and its key, and says where the certificate is.
pub(crate) fn certificate(directory: &Path) -> Result<PathBuf, BoxError> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    let key = PKey::from_ec_key(EcKey::generate(&group)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "127.0.0.1")?;
    let name = name.build();
    let mut certificate = X509::builder()?;
    certificate.set_version(2)?; // which is the third
    certificate.set_serial_number(&*BigNum::from_u32(1)?.to_asn1_integer()?)?;
    certificate.set_subject_name(&name)?;
    certificate.set_issuer_name(&name)?;
    certificate.set_pubkey(&key)?;
    certificate.set_not_before(&*Asn1Time::days_from_now(0)?)?;
    certificate.set_not_after(&*Asn1Time::days_from_now(1)?)?;
    certificate.append_extension(BasicConstraints::new().critical().ca().build()?)?;
    let names = SubjectAlternativeName::new()
        .ip("127.0.0.1")
        .build(&certificate.x509v3_context(None, None))?;
    certificate.append_extension(names)?;
    certificate.sign(&key, MessageDigest::sha256())?;
    let path = directory.join("certificate.pem");
    fs::write(&path, certificate.build().to_pem()?)?;
    fs::write(directory.join("key.pem"), key.private_key_to_pem_pkcs8()?)?;
    Ok(path)
}

/// What a server with this certificate accepts connections with.
pub(crate) fn acceptor(certificate: &Path) -> Result<SslAcceptor, BoxError> {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls())?;
    acceptor.set_certificate_chain_file(certificate)?;
    acceptor.set_private_key_file(certificate.with_file_name("key.pem"), SslFiletype::PEM)?;
    Ok(acceptor.build())
}

/// A connection to such a server, trusting what the environment names.
pub(crate) fn connect(to: std::net::TcpStream) -> Result<SslStream<std::net::TcpStream>, BoxError> {
    let connector = SslConnector::builder(SslMethod::tls())?.build();
    connector.connect("127.0.0.1", to).map_err(|error| error.to_string().into())
}
