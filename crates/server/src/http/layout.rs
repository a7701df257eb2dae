//! The page around what a page says.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::html::Html;

pub(super) const STYLE: &str = include_str!("style.css");

/// A whole page.
pub(super) struct Page {
    /// What it is about.
    pub(super) title: String,
    /// What it says.
    pub(super) body: Html,
    /// Whether it changes by itself, and is loaded again.
    pub(super) live: bool,
}

impl Page {
    /// Returns the page as an answer.
    pub(super) fn answer(&self, status: StatusCode) -> Response {
        let mut html = Html::default();
        html.raw("<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\">");
        html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
        html.raw("<meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">");
        if self.live {
            html.raw("<meta http-equiv=\"refresh\" content=\"30\">");
        }
        html.raw("<title>")
            .text(&self.title)
            .raw(" · Nightjar</title><style>")
            .raw(STYLE)
            .raw("</style></head>");
        html.raw("<body><header><a class=\"home\" href=\"/\">Nightjar</a><nav aria-label=\"Pages\">");
        html.raw("<a href=\"/\">Jobs</a> <a href=\"/models\">Models</a></nav></header><main><h1>");
        html.text(&self.title).raw("</h1>").add(&self.body);
        html.raw("</main><footer>Times are UTC.");
        if self.live {
            html.raw(" This page loads itself again every 30 s.");
        }
        html.raw("</footer></body></html>");
        (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html.into_string()).into_response()
    }
}
