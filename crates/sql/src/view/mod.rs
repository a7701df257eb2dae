//! Statements about materialized views.

pub(crate) mod create_materialized_view;
pub(crate) mod drop_materialized_view;
pub(crate) mod refresh_materialized_view;
pub(crate) mod show_materialized_views;
