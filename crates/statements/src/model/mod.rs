//! What the statements about models do.

pub(crate) mod alter_model;
pub(crate) mod create_model;
pub(crate) mod describe_model;
pub(crate) mod drop_model;
pub(crate) mod evaluate_model;
pub(crate) mod explain_create_model;
pub(crate) mod promote_model;
pub(crate) mod show_models;
pub(crate) mod show_versions;
