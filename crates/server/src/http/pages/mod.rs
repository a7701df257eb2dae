//! The pages, each made from the catalog as it is at one moment.

mod job;
mod jobs;
mod models;
mod run;
mod training;

pub(super) use job::job;
pub(super) use jobs::{Selection, jobs};
pub(super) use models::models;
pub(super) use run::run;
pub(super) use training::training;
