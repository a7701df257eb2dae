//! What is at which path.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, http::Uri};
use nightjar_catalog::{CatalogError, RunId, Store};
use nightjar_errors::Failure;
use serde::Deserialize;

use super::access::{Access, guard};
use super::html::Html;
use super::layout::Page;
use super::pages::{self, Selection};
use super::state::ServerState;
use super::{figures, metrics};
use crate::health::ALIVE;

/// Returns everything that is served, behind the question who may ask.
pub(super) fn router(state: ServerState, access: Arc<Access>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { format!("{ALIVE}\n") }))
        .route("/readyz", get(ready))
        .route("/metrics", get(exposition))
        .route("/", get(jobs))
        .route("/jobs/{name}", get(job))
        .route("/runs/{run}", get(run))
        .route("/models", get(models))
        .route("/training/{run}", get(training))
        .fallback(|uri: Uri| async move { PageError::NoPath { path: uri.path().to_owned() } })
        .with_state(state)
        .layer(from_fn_with_state(access, guard))
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// Nothing is there.
    #[error("there is nothing at {path}")]
    NoPath {
        /// The path.
        path: String,
    },
    /// What the path names is not in the catalog.
    #[error("there is no {what} '{name}'")]
    Unknown {
        /// A run, or a training run.
        what: &'static str,
        /// What it was called.
        name: String,
    },
    /// The catalog says so.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The thread that read the catalog ended.
    #[error("reading the catalog was cut off")]
    CutOff,
}

impl PageError {
    fn status(&self) -> StatusCode {
        match self {
            PageError::NoPath { .. }
            | PageError::Unknown { .. }
            | PageError::Catalog(CatalogError::JobUnknown { .. } | CatalogError::JobRunUnknown { .. }) => {
                StatusCode::NOT_FOUND
            }
            PageError::Catalog(error) if error.retryable() => StatusCode::SERVICE_UNAVAILABLE,
            PageError::Catalog(_) | PageError::CutOff => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = self.status();
        let title = if status == StatusCode::NOT_FOUND { "Not found" } else { "Something went wrong" };
        let mut body = Html::default();
        body.raw("<p class=\"error\">").text(&self).raw("</p>");
        if let PageError::Catalog(error) = &self
            && let Some(hint) = error.hint()
        {
            body.raw("<p>").text(hint).raw("</p>");
        }
        body.raw("<p><a href=\"/\">All jobs</a></p>");
        Page { title: title.to_owned(), body, live: false }.answer(status)
    }
}

/// Reads the catalog on a thread that may wait for the disk.
async fn read<T: Send + 'static>(
    state: &ServerState,
    work: impl FnOnce(&Store) -> Result<T, PageError> + Send + 'static,
) -> Result<T, PageError> {
    let store = state.store.clone();
    tokio::task::spawn_blocking(move || work(&store)).await.map_err(|_| PageError::CutOff)?
}

async fn ready(State(state): State<ServerState>) -> Response {
    match state.is_ready() {
        true => "ready\n".into_response(),
        false => {
            (StatusCode::SERVICE_UNAVAILABLE, "standing by: another daemon has the lease\n").into_response()
        }
    }
}

async fn exposition(State(state): State<ServerState>) -> Result<Response, PageError> {
    let (ready, passes) = (state.is_ready(), state.pass_times.clone());
    let text =
        read(&state, move |store| Ok(metrics::exposition(store, ready, passes.as_deref(), figures::now())?));
    Ok(([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text.await?).into_response())
}

/// What the list of jobs is asked for.
#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: String,
}

async fn jobs(
    State(state): State<ServerState>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, PageError> {
    let asked = asked.map(|Query(asked)| asked).unwrap_or_default();
    let selection = Selection { text: asked.q, page: asked.page.parse().unwrap_or(1).max(1) };
    let (ready, executors) = (state.is_ready(), state.executors().await);
    let page = read(&state, move |store| {
        Ok(pages::jobs(store, ready, &selection, executors.as_deref(), figures::now())?)
    });
    Ok(page.await?.answer(StatusCode::OK))
}

async fn job(State(state): State<ServerState>, Path(name): Path<String>) -> Result<Response, PageError> {
    let page = read(&state, move |store| Ok(pages::job(store, &name, figures::now())?));
    Ok(page.await?.answer(StatusCode::OK))
}

async fn run(State(state): State<ServerState>, Path(name): Path<String>) -> Result<Response, PageError> {
    let Ok(run) = name.parse::<i64>() else {
        return Err(PageError::Unknown { what: "run", name });
    };
    let page = read(&state, move |store| Ok(pages::run(store, run, figures::now())?));
    Ok(page.await?.answer(StatusCode::OK))
}

async fn models(State(state): State<ServerState>) -> Result<Response, PageError> {
    let page = read(&state, |store| Ok(pages::models(store, figures::now())?));
    Ok(page.await?.answer(StatusCode::OK))
}

async fn training(State(state): State<ServerState>, Path(name): Path<String>) -> Result<Response, PageError> {
    let unknown = |name| PageError::Unknown { what: "training run", name };
    let Ok(run) = name.parse::<u64>() else {
        return Err(unknown(name));
    };
    let page = read(&state, move |store| {
        pages::training(store, RunId(run), figures::now())?.ok_or_else(|| unknown(name))
    });
    Ok(page.await?.answer(StatusCode::OK))
}
