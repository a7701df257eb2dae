//! What the daemon shows over HTTP: its health, its metrics, and pages about jobs, models and trainings. Read only.

mod access;
mod chart;
mod error;
mod figures;
mod html;
mod layout;
mod metrics;
mod pages;
mod routes;
mod server;
mod settings;
mod state;

pub use error::HttpError;
pub use server::HttpServer;
pub use settings::{HttpSettings, TlsFiles};
pub use state::{ExecutorRow, Executors, ServerState};
