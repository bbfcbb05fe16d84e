//! A target over TLS 1.3 that wants to know who comes: a client's certificate of its own authority, and a user and password.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::{path::Path, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer, server::WebPkiClientVerifier},
};

/// The target; it lives as long as the test.
pub struct TlsTarget {
    /// `host:port`.
    pub address: String,
}

/// Starts it for `exporter.example`, and writes `ca.pem`, `client.pem` and `client.key` into a folder.
pub async fn start(folder: &Path, user: &str, password: &str) -> TlsTarget {
    let ca_key = KeyPair::generate().expect("a key");
    let mut ca = CertificateParams::new(Vec::<String>::new()).expect("parameters");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca_certificate = ca.self_signed(&ca_key).expect("a certificate");
    let issuer = Issuer::new(ca, ca_key);
    let signed = |name: &str| {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("parameters");
        (params.signed_by(&key, &issuer).expect("a certificate"), key)
    };
    let (server_certificate, server_key) = signed("exporter.example");
    let (client_certificate, client_key) = signed("tandem.example");
    for (name, text) in [
        ("ca.pem", ca_certificate.pem()),
        ("client.pem", client_certificate.pem()),
        ("client.key", client_key.serialize_pem()),
    ] {
        std::fs::write(folder.join(name), text).expect("written");
    }
    let mut roots = RootCertStore::empty();
    roots.add(ca_certificate.der().clone()).expect("an authority");
    let provider = Arc::new(ring::default_provider());
    let clients =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().expect("a verifier");
    let key = PrivateKeyDer::try_from(server_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&tokio_rustls::rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![server_certificate.der().clone()], key)
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("an address").to_string();
    let wanted = format!("authorization: Basic {}", base64(format!("{user}:{password}").as_bytes())).to_lowercase();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, wanted) = (acceptor.clone(), wanted.clone());
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut head = vec![0; 8192];
                let Ok(read) = stream.read(&mut head).await else { return };
                let is_known = String::from_utf8_lossy(&head[..read]).to_lowercase().contains(&wanted);
                let (status, body) = if is_known { ("200 OK", "secured 1\n") } else { ("401 Unauthorized", "") };
                let answer =
                    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    TlsTarget { address }
}

/// Bytes as base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}
