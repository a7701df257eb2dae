//! What the statements about materialized views do.

pub(crate) mod create_materialized_view;
pub(crate) mod drop_materialized_view;
pub(crate) mod refresh_materialized_view;
pub(crate) mod refresher;
pub(crate) mod show_materialized_views;
