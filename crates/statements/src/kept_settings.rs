//! The settings that a statement needs where it is read again in a session of its own.

use datafusion::config::Dialect;
use datafusion::prelude::SessionContext;
use nightjar_functions::SCHEMA;

use nightjar_sql::quote_literal;

/// Returns the SET statements by which a session that starts anew reads statements as this one does: their dialect, and the schema of
/// names that have none.
pub(crate) fn kept_settings(session: &SessionContext) -> Vec<String> {
    let config = session.copied_config();
    let options = config.options();
    let mut settings = Vec::new();
    if options.catalog.default_schema != SCHEMA {
        let schema = quote_literal(&options.catalog.default_schema);
        settings.push(format!("SET datafusion.catalog.default_schema = {schema}"));
    }
    if options.sql_parser.dialect != Dialect::Generic {
        settings.push(format!("SET datafusion.sql_parser.dialect = '{}'", options.sql_parser.dialect));
    }
    settings
}

/// Returns a statement's text with the dialect that it is written in, unless that is the default one.
pub fn in_dialect(session: &SessionContext, sql: String) -> String {
    match session.copied_config().options().sql_parser.dialect {
        Dialect::Generic => sql,
        dialect => format!("SET datafusion.sql_parser.dialect = '{dialect}'; {sql}"),
    }
}
