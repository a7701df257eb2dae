//! A client that sends what it is told and nothing else, and a reader of metrics.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::fixture;

/// What a server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    head: Vec<(String, String)>,
}

impl Answer {
    pub(crate) fn headers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.head.iter().filter(move |(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn header<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.headers(name).next()
    }
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    get_with(address, path, &[]).await
}

pub(crate) async fn get_with(address: SocketAddr, path: &str, headers: &[&str]) -> Answer {
    let host = format!("Host: {address}");
    ask(address, "GET", path, &[&[host.as_str()], headers].concat()).await
}

pub(crate) async fn ask(address: SocketAddr, method: &str, path: &str, headers: &[&str]) -> Answer {
    try_ask(address, method, path, headers).await.expect("an answer")
}

/// Returns the answer, or `None` if it is not HTTP.
pub(crate) async fn try_ask(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[&str],
) -> Option<Answer> {
    let stream = TcpStream::connect(address).await.unwrap();
    exchange(stream, method, path, headers).await
}

/// Asks over TLS, trusting the certificate of the fixture alone.
pub(crate) async fn ask_tls(address: SocketAddr, path: &str, headers: &[&str]) -> Answer {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(fixture::tls("cert.pem")).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    exchange(stream, "GET", path, &[&["Host: localhost"], headers].concat()).await.expect("an answer")
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    method: &str,
    path: &str,
    headers: &[&str],
) -> Option<Answer> {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    stream.write_all(format!("{method} {path} HTTP/1.1\r\n{headers}\r\n").as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // What comes before a connection breaks off is read too.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let head = lines.map(|line| {
        let (name, value) = line.split_once(": ").expect("a header");
        (name.to_ascii_lowercase(), value.to_owned())
    });
    let (head, body) = (head.collect(), body.to_owned());
    let answer = Answer { status, body, head };
    assert!(answer.header("transfer-encoding").is_none(), "bodies have a length");
    Some(answer)
}

/// A sample of the metrics.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) label: Option<(String, String)>,
    pub(crate) value: f64,
}

/// Reads metrics as the exposition format has them, and checks that they keep to it.
pub(crate) fn exposition(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n'), "the last line ends too");
    let is_name = |name: &str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
            && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit())
    };
    let (mut samples, mut family, mut histogram) = (Vec::<Sample>::new(), String::new(), false);
    let mut families = std::collections::HashSet::new();
    let mut seen = std::collections::HashSet::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').expect("a name and a help");
            assert!(is_name(name) && !help.contains('\\') && families.insert(name.to_owned()), "{line}");
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE ")).expect("a type");
            let kind = kind.strip_prefix(name).expect("of the same name").trim();
            assert!(["gauge", "counter", "histogram"].contains(&kind), "{kind}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{name}");
            (family, histogram) = (name.to_owned(), kind == "histogram");
            continue;
        }
        let at = line.find(['{', ' ']).expect("a value");
        let (name, mut rest) = line.split_at(at);
        let part = name.strip_prefix(&family).expect("samples stand below their family");
        assert!(
            if histogram { ["_bucket", "_sum", "_count"].contains(&part) } else { part.is_empty() },
            "{name}"
        );
        let mut label = None;
        if let Some(inner) = rest.strip_prefix('{') {
            let (key, quoted) = inner.split_once("=\"").expect("a label");
            let (mut value, mut letters) = (String::new(), quoted.char_indices());
            let end = loop {
                match letters.next().expect("an end") {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match letters.next().expect("an escape").1 {
                        'n' => '\n',
                        plain @ ('\\' | '"') => plain,
                        other => panic!("no escape: {other}"),
                    }),
                    (_, letter) => value.push(letter),
                }
            };
            rest = quoted[end + 1..].strip_prefix('}').expect("a brace");
            assert!(is_name(key), "{key}");
            label = Some((key.to_owned(), value));
        }
        let value = rest.strip_prefix(' ').expect("a space").parse().expect("a number");
        assert!(seen.insert((name.to_owned(), label.clone())), "twice: {line}");
        samples.push(Sample { name: name.to_owned(), label, value });
    }
    samples
}
