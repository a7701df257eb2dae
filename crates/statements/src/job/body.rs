//! The body of a job: one statement, or several between BEGIN and END, with parameters that a run fills in.

use std::path::{Path, absolute};

use datafusion::common::TableReference;
use datafusion::config::Dialect;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{LogicalPlan, Statement as PlanStatement};
use datafusion::sql::parser::Statement as DataFusionStatement;
use datafusion::sql::sqlparser::ast::{SetExpr, Statement as SqlStatement};
use datafusion::sql::sqlparser::tokenizer::Token;

use crate::StatementContext;
use crate::error::{Result, StatementError};
use crate::executors::executable;
use crate::job::error::JobError;
use crate::kept_settings::kept_settings;
use crate::planning::plan_statement;
use nightjar_sql::{JobClauseError, Parsed, RunParameters, fill_parameters, parse_in, tokens};

/// The words behind which a text in quotes is a file.
const BEFORE_FILES: &[&str] = &["FROM", "JOIN", "TO", "LOCATION", "ON", "INTO"];

/// Returns a body that means the same in the daemon's session: its relative files are absolute, and it begins with the settings by
/// which this session reads it.
pub(crate) fn absolute_body(context: &StatementContext, body: &[String]) -> Result<Vec<String>> {
    let is_table = |name: &str| context.session.table_exist(TableReference::bare(name)).unwrap_or(false);
    let statements = body.iter().map(|sql| absolute_files(sql, is_table));
    kept_settings(&context.session).into_iter().map(Ok).chain(statements).collect()
}

/// Makes the relative files that a statement names absolute, in its text. What stands behind FROM and is no path, such as the name of a
/// base model, stays, as does a table's name in quotes.
fn absolute_files(sql: &str, is_table: impl Fn(&str) -> bool) -> Result<String> {
    let (mut out, mut before_file) = (String::with_capacity(sql.len()), false);
    for token in tokens(sql)? {
        match &token.token {
            Token::Whitespace(_) => {}
            Token::Word(word) => {
                let word = word.value.to_ascii_uppercase();
                before_file = BEFORE_FILES.contains(&word.as_str());
            }
            Token::SingleQuotedString(path) if before_file && is_relative_file(path) && !is_table(path) => {
                let slash = if path.ends_with('/') { "/" } else { "" };
                if let Ok(full) = absolute(Path::new(path)) {
                    let full = full.to_string_lossy();
                    out.push_str(&format!("'{}{slash}'", full.trim_end_matches('/')));
                    before_file = false;
                    continue;
                }
            }
            _ => before_file = false,
        }
        out.push_str(&token.token.to_string());
    }
    Ok(out)
}

fn is_relative_file(path: &str) -> bool {
    const ENDINGS: &[&str] =
        &["parquet", "csv", "tsv", "json", "jsonl", "ndjson", "avro", "arrow", "gz", "bz2", "xz", "zst"];
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    !path.contains("://")
        && !path.starts_with('/')
        && (path.contains('/')
            || Path::new(path).exists()
            || ending.is_some_and(|ending| ENDINGS.contains(&ending.as_str())))
}

/// Checks that the statements of a body could run now: that they parse, name no unknown parameter, and can be planned. What needs a table
/// or a model that an earlier statement of the body makes can't be planned yet, and is let pass.
///
/// # Errors
/// Of the first statement that can't run, with its place.
pub(crate) async fn check_body(context: &StatementContext, body: &[String]) -> Result<()> {
    let parameters =
        RunParameters { scheduled_at: crate::job::clock::now(), previous_success: None, run_id: 1 };
    let mut makes = false;
    let mut dialect = Dialect::default();
    for (index, sql) in body.iter().enumerate() {
        let position = index + 1;
        let refused = |source: StatementError| {
            StatementError::from(JobError::Body { position, source: Box::new(source) })
        };
        let filled = fill_parameters(sql, &parameters).map_err(|error| refused(error.into()))?;
        let statement = parse_in(&filled, &mut dialect).map_err(|error| refused(error.into()))?.pop();
        let Some(statement) = statement else { continue };
        let checked = match statement.parsed {
            Parsed::Nightjar(ours) => {
                let name = ours.kind().name;
                if name.split(' ').any(|word| word == "JOB") {
                    return Err(JobError::BodyStatement { position, statement: name }.into());
                }
                let checked = executable(&*ours)?.check(context).await;
                makes_after(&mut makes, checked, name)
            }
            Parsed::Sql(sql) => {
                if let Some(name) = lasting_table(&sql) {
                    return Err(refused(JobError::SessionTable { name }.into()));
                }
                let text = sql.to_string();
                let state = context.session.state();
                let planned = plan_statement(&state, &sql).await.map_err(StatementError::from);
                let checked = planned.and_then(|plan| check_plan(&state, &plan));
                makes_after(&mut makes, checked, &text)
            }
        };
        checked.map_err(refused)?;
    }
    Ok(())
}

/// Returns the table that a statement makes in the session without saying that it ends with it: CREATE TABLE and SELECT … INTO.
pub fn lasting_table(statement: &DataFusionStatement) -> Option<String> {
    let DataFusionStatement::Statement(statement) = statement else { return None };
    match statement.as_ref() {
        SqlStatement::CreateTable(create) if !create.temporary => Some(create.name.to_string()),
        SqlStatement::Query(query) => match query.body.as_ref() {
            SetExpr::Select(select) => {
                select.into.as_ref().filter(|into| !into.temporary).map(|into| into.name.to_string())
            }
            _ => None,
        },
        _ => None,
    }
}

/// Checks what can be told of a plan without running it.
fn check_plan(state: &SessionState, plan: &LogicalPlan) -> Result<()> {
    match plan {
        LogicalPlan::Statement(PlanStatement::Prepare(_)) => return Ok(()),
        LogicalPlan::Statement(PlanStatement::SetVariable(set)) => {
            let mut settings = state.config_options().as_ref().clone();
            return Ok(settings.set(&set.variable, &set.value)?);
        }
        _ => {}
    }
    // Nobody gives them values.
    if let Some(name) = plan.get_parameter_names()?.into_iter().min() {
        return Err(JobClauseError::UnknownParameter { name }.into());
    }
    Ok(state.optimize(plan).map(drop)?)
}

/// Returns the outcome of a check: an error passes where an earlier statement makes something. Then notes whether this one does.
fn makes_after(makes: &mut bool, checked: Result<()>, statement: &str) -> Result<()> {
    let outcome = if *makes { Ok(()) } else { checked };
    let first = statement.split_whitespace().next().unwrap_or_default();
    *makes |= first.eq_ignore_ascii_case("CREATE") || first.eq_ignore_ascii_case("ALTER");
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_filled_and_texts_left_alone() {
        let run = RunParameters {
            scheduled_at: "2026-11-29T01:00:00Z".parse().unwrap(),
            previous_success: None,
            run_id: 7,
        };
        let sql = "SELECT ':run_id', a[1:2], x::text, 'it''s', :run_id FROM t WHERE at > :previous_success AND at <= :scheduled_at";
        let filled = fill_parameters(sql, &run).unwrap();
        assert_eq!(
            filled,
            "SELECT ':run_id', a[1:2], x::text, 'it''s', 7 FROM t WHERE at > \
             arrow_cast('1970-01-01T00:00:00.000000Z', 'Timestamp(Microsecond, Some(\"UTC\"))') AND at <= \
             arrow_cast('2026-11-29T01:00:00.000000Z', 'Timestamp(Microsecond, Some(\"UTC\"))')"
        );
        assert!(fill_parameters("SELECT :runid", &run).is_err());
    }

    #[test]
    fn relative_files_become_absolute() {
        let here = std::env::current_dir().unwrap().display().to_string();
        for (sql, expected) in [
            (
                "COPY (SELECT 'a/b' FROM 'in.parquet') TO 'out/'",
                "COPY (SELECT 'a/b' FROM 'HERE/in.parquet') TO 'HERE/out/'",
            ),
            ("CREATE MODEL m FROM 'all-MiniLM-L6-v2'", "CREATE MODEL m FROM 'all-MiniLM-L6-v2'"),
            ("SELECT * FROM 's3://b/k.csv' JOIN '/x.csv'", "SELECT * FROM 's3://b/k.csv' JOIN '/x.csv'"),
            ("SELECT * FROM 'it''s/a'", "SELECT * FROM 'HERE/it''s/a'"),
            (
                "SELECT * FROM 'a/table' JOIN 'src' JOIN 'sr'",
                "SELECT * FROM 'a/table' JOIN 'HERE/src' JOIN 'sr'",
            ),
        ] {
            assert_eq!(
                absolute_files(sql, |name| name == "a/table").unwrap(),
                expected.replace("HERE", &here)
            );
        }
    }
}
