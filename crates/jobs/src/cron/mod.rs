//! Cron expressions: five fields, read once and asked for the next time on a wall clock.

mod expression;
mod field;
mod month_days;
mod week_days;

pub use expression::Cron;
pub(crate) use field::FieldError;
