//! From what clients say to what a person should read.

use std::error::Error as StdError;

use object_store::Error;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path;

use super::error::ObjectStoreError;
use super::place::{Kind, Place};
use super::told::remember;
use crate::error::CatalogError;

/// Codes by which S3 servers say that it is the credentials, whatever the status.
const CREDENTIAL_CODES: &[&str] = &[
    "AccessDenied",
    "AuthorizationHeaderMalformed",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NotSignedUp",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

/// Where credentials are asked for on AWS's machines when no variable names any.
const INSTANCE_METADATA: &str = "169.254.169.254";

/// Returns the error with our own inside; its kind, by which callers go, stays.
///
/// Clients put the server's whole answer into their message, which may repeat a key and what was signed.
pub(super) fn explain(place: &Place, path: Option<&Path>, error: Error) -> Error {
    let boxed = |found: ObjectStoreError| {
        remember(&found);
        Box::new(CatalogError::from(found))
    };
    match error {
        Error::NotFound { path: at, source } => {
            let found = missing(place, path, &source.to_string());
            Error::NotFound { path: at, source: boxed(found) }
        }
        error @ (Error::Generic { .. } | Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => {
            if is_explained(&error) {
                return error;
            }
            Error::Generic { store: name(place), source: boxed(reason(place, path, &error)) }
        }
        // What our own calls ask for, and nothing that a server has worded.
        other => other,
    }
}

fn name(place: &Place) -> &'static str {
    match place.kind() {
        Kind::S3 => "S3",
        _ => "object store",
    }
}

fn is_explained(error: &Error) -> bool {
    chain(error).any(|error| error.is::<CatalogError>())
}

fn missing(place: &Place, path: Option<&Path>, said: &str) -> ObjectStoreError {
    if said.contains("NoSuchBucket") {
        return ObjectStoreError::NoBucket {
            bucket: place.host().to_owned(),
            server: place.server().to_owned(),
        };
    }
    let url = path.map_or_else(|| place.to_string(), |path| place.object(path));
    match place.kind() {
        Kind::Http => ObjectStoreError::NoHttpFile { url },
        _ => ObjectStoreError::NoObject { url },
    }
}

fn reason(place: &Place, path: Option<&Path>, error: &Error) -> ObjectStoreError {
    let said = error.to_string();
    let at = place.to_string();
    if said.contains(INSTANCE_METADATA) {
        return ObjectStoreError::NoCredentials { place: at };
    }
    if let Some(error) = chain(error).find_map(|error| error.downcast_ref::<HttpError>()) {
        let reason = match error.kind() {
            HttpErrorKind::Timeout => "it takes too long".to_owned(),
            _ => root(error).to_string(),
        };
        return match error.kind() {
            HttpErrorKind::Decode => ObjectStoreError::Failed { place: at, reason, retryable: false },
            _ => ObjectStoreError::Unreachable { place: at, reason },
        };
    }
    let status = status(&said);
    let code = between(&said, "<Code>", "</Code>");
    let words = match (code, between(&said, "<Message>", "</Message>")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => status.map_or_else(|| root(error).to_string(), |status| format!("status {status}")),
    };
    match (status, code) {
        (_, Some("NoSuchBucket")) | (Some(404), _) => missing(place, path, &said),
        (Some(401 | 403), _) => ObjectStoreError::Refused { place: at, reason: words },
        (_, Some(code)) if CREDENTIAL_CODES.contains(&code) => {
            ObjectStoreError::Refused { place: at, reason: words }
        }
        (status, _) => {
            let retryable = status.is_some_and(|status| status >= 500 || status == 429);
            ObjectStoreError::Failed { place: at, reason: words, retryable }
        }
    }
}

/// Returns the HTTP status that a client's message names.
fn status(said: &str) -> Option<u16> {
    let (_, rest) = said.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(begin)?;
    rest.split_once(end).map(|(found, _)| found)
}

/// Returns an error and its causes, outermost first.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// Returns the innermost cause.
pub(super) fn root<'a>(error: &'a (dyn StdError + 'static)) -> &'a (dyn StdError + 'static) {
    chain(error).last().unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::super::settings::ObjectStoreSettings;
    use super::*;

    fn place() -> Place {
        let settings = ObjectStoreSettings::new([("AWS_ENDPOINT_URL", "http://localhost:9000")]);
        Place::of(&Url::parse("s3://bucket/a").unwrap(), &settings).unwrap()
    }

    fn explained(said: &str) -> ObjectStoreError {
        let error = Error::Generic { store: "S3", source: said.to_owned().into() };
        let explained = explain(&place(), Some(&Path::from("a/b")), error);
        let found = chain(&explained).find_map(|error| match error.downcast_ref::<CatalogError>() {
            Some(CatalogError::ObjectStore(found)) => Some(found.clone()),
            _ => None,
        });
        assert!(!format!("{explained} {explained:?}").contains("AKIA"), "{explained:?}");
        found.unwrap()
    }

    #[test]
    fn an_answer_is_told_without_what_was_signed() {
        let answer = |status: &str, code: &str| {
            explained(&format!(
                "Error performing GET http://localhost:9000/bucket in 2ms - Server returned non-2xx status code: \
                 {status}: <Error><Code>{code}</Code><Message>the words</Message><AWSAccessKeyId>AKIAX\
                 </AWSAccessKeyId><StringToSign>AWS4 AKIAX</StringToSign></Error>"
            ))
        };
        let refused = answer("403 Forbidden", "SignatureDoesNotMatch");
        assert_eq!(
            refused.to_string(),
            "s3://bucket at http://localhost:9000 refuses access: SignatureDoesNotMatch: the words"
        );
        assert!(matches!(answer("400 Bad Request", "ExpiredToken"), ObjectStoreError::Refused { .. }));
        assert!(matches!(answer("404 Not Found", "NoSuchBucket"), ObjectStoreError::NoBucket { .. }));
        assert!(
            matches!(answer("404 Not Found", "NoSuchKey"), ObjectStoreError::NoObject { url } if url == "s3://bucket/a/b")
        );
        assert!(matches!(
            answer("503 Slow Down", "SlowDown"),
            ObjectStoreError::Failed { retryable: true, .. }
        ));
        assert!(matches!(
            answer("400 Bad Request", "EntityTooLarge"),
            ObjectStoreError::Failed { retryable: false, .. }
        ));
        assert!(matches!(
            explained("Error performing PUT http://169.254.169.254/latest"),
            ObjectStoreError::NoCredentials { .. }
        ));
    }
}
