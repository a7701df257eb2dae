//! Who may ask, and what every answer carries.

use std::sync::{Arc, LazyLock};

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::layout::STYLE;
use super::settings::HttpSettings;

/// The path that needs no token: a supervisor asks it, and it says nothing but that the process answers.
const OPEN_PATH: &str = "/healthz";

const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// What a page may load: nothing but the one style that it holds, which is named by its digest.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let style = STANDARD.encode(digest(STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    // Base64 is fit for a header.
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// Who may ask.
pub(super) enum Access {
    /// Who sends the token with this digest. Digests are compared, so that the time taken tells neither length nor content.
    Token([u8; 32]),
    /// Who is on this machine and says so: a page of another site that has its name lead here (DNS rebinding) names its own host.
    Local,
}

impl Access {
    /// Returns who may ask by these settings, which have been checked.
    pub(super) fn by(settings: &HttpSettings) -> Arc<Self> {
        Arc::new(
            settings.token.as_ref().map_or(Access::Local, |token| Access::Token(digest(token.as_bytes()))),
        )
    }

    fn check(&self, request: &Request) -> Result<(), Response> {
        match self {
            Access::Token(expected) => {
                if request.uri().path() == OPEN_PATH
                    || given(request).is_some_and(|token| matches(&token, expected))
                {
                    return Ok(());
                }
                let challenge = [
                    (header::WWW_AUTHENTICATE, "Basic realm=\"Nightjar\", charset=\"UTF-8\""),
                    (header::WWW_AUTHENTICATE, "Bearer realm=\"Nightjar\""),
                ];
                let says = "the daemon's token is needed: as 'Authorization: Bearer', or as the password\n";
                let mut response = (StatusCode::UNAUTHORIZED, says).into_response();
                for (name, value) in challenge {
                    response.headers_mut().append(name, HeaderValue::from_static(value));
                }
                Err(response)
            }
            Access::Local if names_this_machine(request) => Ok(()),
            Access::Local => {
                let says = "this address is served as localhost, 127.0.0.1 or [::1] alone; a daemon with a token has any name\n";
                Err((StatusCode::FORBIDDEN, says).into_response())
            }
        }
    }
}

/// Lets a request through or not, and gives every answer its headers.
pub(super) async fn guard(State(access): State<Arc<Access>>, request: Request, next: Next) -> Response {
    let mut response = match access.check(&request) {
        Err(refusal) => refusal,
        Ok(()) if !matches!(*request.method(), Method::GET | Method::HEAD) => {
            let says = "the daemon is read over HTTP, and changed by SQL\n";
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")], says).into_response()
        }
        Ok(()) => next.run(request).await,
    };
    response.headers_mut().extend(HEADERS);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    response
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn matches(given: &[u8], expected: &[u8; 32]) -> bool {
    digest(given).ct_eq(expected).into()
}

/// Returns the token that a request brings.
fn given(request: &Request) -> Option<Vec<u8>> {
    let text = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.as_bytes().to_vec());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = STANDARD.decode(rest).ok()?;
    let colon = pair.iter().position(|byte| *byte == b':')?;
    Some(pair[colon + 1..].to_vec())
}

/// Whether every host that a request names is this machine's.
fn names_this_machine(request: &Request) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let authority = request.uri().authority().map(|authority| authority.as_str());
    host.to_str().is_ok_and(is_local_name) && authority.is_none_or(is_local_name)
}

fn is_local_name(host: &str) -> bool {
    let (name, port) = match host.rfind(':') {
        Some(at) if !host.ends_with(']') => (&host[..at], Some(&host[at + 1..])),
        _ => (host, None),
    };
    let port_fits = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    port_fits && (name.eq_ignore_ascii_case("localhost") || name == "127.0.0.1" || name == "[::1]")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in
            ["localhost", "LOCALHOST:80", "127.0.0.1", "127.0.0.1:8080", "[::1]", "[::1]:9", "localhost:"]
        {
            assert!(is_local_name(host), "{host}");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "::1",
            "localhost:80:80",
            "user@localhost",
            "127.0.0.1:80x",
            "[::1].evil",
            "localhost.",
        ] {
            assert!(!is_local_name(host), "{host}");
        }
    }

    #[test]
    fn tokens_are_read_from_both_schemes() {
        let ask = |value: &str| {
            let request = Request::builder().header(header::AUTHORIZATION, value);
            given(&request.body(axum::body::Body::empty()).unwrap())
        };
        assert_eq!(ask("Bearer abc").as_deref(), Some(b"abc".as_slice()));
        assert_eq!(ask("bearer  abc ").as_deref(), Some(b"abc".as_slice()));
        // anyone:a:b
        assert_eq!(ask("Basic YW55b25lOmE6Yg==").as_deref(), Some(b"a:b".as_slice()));
        for other in ["abc", "Digest abc", "Basic !", "Basic YWJj"] {
            assert_eq!(ask(other), None, "{other}");
        }
        assert!(
            matches(b"abc", &digest(b"abc"))
                && !matches(b"abd", &digest(b"abc"))
                && !matches(b"", &digest(b"abc"))
        );
    }
}
