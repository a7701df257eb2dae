//! Clauses that the parser reads and DataFusion's planner reads past.
//!
//! None may be ignored: a clause is followed by another spelling of it (FETCH and TOP by LIMIT, GROUP BY … WITH ROLLUP by
//! ROLLUP, PREWHERE by WHERE), or refused by name. TABLESAMPLE is the engine's: it needs the plan.

use std::ops::ControlFlow;

use datafusion_sql::parser::{CopyToSource, Statement as DataFusionStatement};
use datafusion_sql::sqlparser::ast::{
    BinaryOperator, CreateView, Expr, Fetch, GroupByExpr, GroupByWithModifier, Ident, JoinConstraint,
    JoinOperator, LimitClause, ObjectName, Query, Select, Set, SetExpr, Statement as SqlStatement,
    TableFactor, TableWithJoins, Top, TopQuantity, Value, VisitMut, VisitorMut,
};

use crate::error::{Result, SqlError};

/// Follows or refuses the clauses of a statement that would be ignored.
pub(crate) fn follow(statement: &mut DataFusionStatement) -> Result<()> {
    match statement {
        DataFusionStatement::Statement(statement) => follow_in(statement.as_mut()),
        DataFusionStatement::CopyTo(copy) => match &mut copy.source {
            CopyToSource::Query(query) => follow_in(query.as_mut()),
            CopyToSource::Relation(_) => Ok(()),
        },
        DataFusionStatement::Explain(explain) => follow(&mut explain.statement),
        _ => Ok(()),
    }
}

/// Follows or refuses the clauses of a query, or another piece of syntax, that would be ignored.
pub(crate) fn follow_in(syntax: &mut impl VisitMut) -> Result<()> {
    match syntax.visit(&mut Clauses) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Clauses;

type Followed = ControlFlow<Box<SqlError>>;

fn refuse(clause: impl Into<String>, instead: &str) -> Followed {
    ControlFlow::Break(Box::new(SqlError::Clause { clause: clause.into(), instead: instead.to_owned() }))
}

impl VisitorMut for Clauses {
    type Break = Box<SqlError>;

    fn pre_visit_statement(&mut self, statement: &mut SqlStatement) -> Followed {
        match statement {
            SqlStatement::CreateView(view) => refuse_view_clauses(view),
            // DataFusion knows it with a = or TO only.
            SqlStatement::Set(Set::SetTimeZone { local: false, value }) => {
                *statement = SqlStatement::Set(Set::SingleAssignment {
                    scope: None,
                    hivevar: false,
                    variable: ObjectName::from(vec![Ident::new("timezone")]),
                    values: vec![value.clone()],
                });
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> Followed {
        if let Some(lock) = query.locks.first() {
            return refuse(lock.to_string(), "leave it out: a query takes no locks");
        }
        if query.for_clause.is_some() {
            return refuse("FOR XML, JSON or BROWSE", "leave it out; nightjar --format json prints JSON");
        }
        if query.settings.is_some() {
            return refuse("SETTINGS", "change a setting by a statement of its own: SET name = value");
        }
        if query.format_clause.is_some() {
            return refuse(
                "FORMAT",
                "write a file, COPY (SELECT …) TO 'rows.json', or print with --format json",
            );
        }
        if let Some(fetch) = query.fetch.take() {
            follow_fetch(query, fetch)?;
        }
        let top = match query.body.as_mut() {
            SetExpr::Select(select) => select.top.take(),
            _ => None,
        };
        match top {
            Some(top) => follow_top(query, top),
            None => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> Followed {
        if let Some(modifiers) = &select.select_modifiers
            && modifiers.is_any_set()
        {
            return refuse(modifiers.to_string().trim(), "leave it out: it changes no rows");
        }
        if select.exclude.is_some() {
            return refuse(
                "EXCLUDE after the select list",
                "write it after the star: SELECT * EXCLUDE (a), b",
            );
        }
        if select.value_table_mode.is_some() {
            return refuse("SELECT AS", "write SELECT named_struct('a', a, 'b', b)");
        }
        if !select.connect_by.is_empty() {
            return refuse("CONNECT BY", "write WITH RECURSIVE");
        }
        if let Some(condition) = select.prewhere.take() {
            select.selection = Some(match select.selection.take() {
                Some(selection) => and(condition, selection),
                None => condition,
            });
        }
        for from in &mut select.from {
            follow_joins(from)?;
        }
        follow_group_by(&mut select.group_by)
    }

    fn pre_visit_table_factor(&mut self, relation: &mut TableFactor) -> Followed {
        match relation {
            TableFactor::NestedJoin { table_with_joins, .. } => follow_joins(table_with_joins),
            relation => refuse_relation_clauses(relation),
        }
    }
}

fn and(left: Expr, right: Expr) -> Expr {
    Expr::BinaryOp {
        left: Box::new(Expr::Nested(Box::new(left))),
        op: BinaryOperator::And,
        right: Box::new(Expr::Nested(Box::new(right))),
    }
}

/// Follows `FETCH FIRST n ROWS ONLY`.
fn follow_fetch(query: &mut Query, fetch: Fetch) -> Followed {
    if fetch.percent {
        return refuse("FETCH … PERCENT", "write a number of rows: LIMIT 10");
    }
    if fetch.with_ties {
        return refuse("FETCH … WITH TIES", "write QUALIFY rank() OVER (ORDER BY …) <= 10");
    }
    // FETCH FIRST ROW ONLY is one row.
    limit_to(query, fetch.quantity.unwrap_or_else(|| number(1)))
}

/// Follows `SELECT TOP n`.
fn follow_top(query: &mut Query, top: Top) -> Followed {
    if top.percent {
        return refuse("TOP … PERCENT", "write a number of rows: LIMIT 10");
    }
    if top.with_ties {
        return refuse("TOP … WITH TIES", "write QUALIFY rank() OVER (ORDER BY …) <= 10");
    }
    match top.quantity {
        Some(TopQuantity::Constant(rows)) => limit_to(query, number(rows)),
        Some(TopQuantity::Expr(rows)) => limit_to(query, rows),
        None => ControlFlow::Continue(()),
    }
}

fn limit_to(query: &mut Query, rows: Expr) -> Followed {
    match &mut query.limit_clause {
        Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = Some(rows),
        clause @ None => {
            *clause =
                Some(LimitClause::LimitOffset { limit: Some(rows), offset: None, limit_by: Vec::new() });
        }
        Some(_) => return refuse("LIMIT beside FETCH or TOP", "keep one of them: LIMIT 10"),
    }
    ControlFlow::Continue(())
}

fn number(rows: u64) -> Expr {
    Expr::value(Value::Number(rows.to_string(), false))
}

/// Follows `GROUP BY a, b WITH ROLLUP`, WITH CUBE and Hive's GROUPING SETS.
fn follow_group_by(group_by: &mut GroupByExpr) -> Followed {
    let (columns, modifiers) = match group_by {
        GroupByExpr::All(modifiers) if modifiers.is_empty() => return ControlFlow::Continue(()),
        GroupByExpr::All(_) => {
            return refuse("a WITH clause after GROUP BY ALL", "name the columns: GROUP BY ROLLUP (a, b)");
        }
        GroupByExpr::Expressions(columns, modifiers) => (columns, modifiers),
    };
    let Some(modifier) = modifiers.pop() else {
        return ControlFlow::Continue(());
    };
    if !modifiers.is_empty() {
        return refuse("more than one clause after GROUP BY", "write GROUP BY ROLLUP (a, b) or CUBE (a, b)");
    }
    let each =
        |columns: &mut Vec<Expr>| std::mem::take(columns).into_iter().map(|column| vec![column]).collect();
    *columns = vec![match modifier {
        GroupByWithModifier::Rollup => Expr::Rollup(each(columns)),
        GroupByWithModifier::Cube => Expr::Cube(each(columns)),
        // Hive names the columns before the sets; the sets have them again.
        GroupByWithModifier::GroupingSets(sets) => sets,
        GroupByWithModifier::Totals => {
            return refuse(
                "WITH TOTALS",
                "write GROUP BY ROLLUP (a, b): its row without groups is the total",
            );
        }
    }];
    ControlFlow::Continue(())
}

/// Follows SEMI and ANTI joins without a side, which are left ones, and refuses the joins that the planner does not know.
fn follow_joins(from: &mut TableWithJoins) -> Followed {
    for join in &mut from.joins {
        let operator = &mut join.join_operator;
        match operator {
            JoinOperator::Semi(on) => *operator = JoinOperator::LeftSemi(on.clone()),
            JoinOperator::Anti(on) => *operator = JoinOperator::LeftAnti(on.clone()),
            JoinOperator::CrossJoin(constraint) if *constraint != JoinConstraint::None => {
                return refuse("a condition of CROSS JOIN", "write JOIN … ON");
            }
            JoinOperator::AsOf { .. } => {
                return refuse(
                    "ASOF JOIN",
                    "join with a condition and keep the latest row: QUALIFY row_number() OVER (PARTITION BY … ORDER BY … DESC) = 1",
                );
            }
            JoinOperator::CrossApply | JoinOperator::OuterApply => {
                return refuse("APPLY", "write JOIN LATERAL (SELECT …) ON true");
            }
            JoinOperator::StraightJoin(_) => return refuse("STRAIGHT_JOIN", "write JOIN"),
            _ => {}
        }
    }
    ControlFlow::Continue(())
}

fn refuse_relation_clauses(relation: &TableFactor) -> Followed {
    const TIME_TRAVEL: &str = "leave it out: files and tables are read as they are now";
    match relation {
        TableFactor::Table { version: Some(version), .. } => refuse(version.to_string(), TIME_TRAVEL),
        TableFactor::Table { with_hints, .. } if !with_hints.is_empty() => {
            refuse("WITH (…) after a table", "leave the hints out: a query takes no locks")
        }
        TableFactor::Table { index_hints, .. } if !index_hints.is_empty() => {
            refuse("an index hint", "leave it out: tables have no indexes")
        }
        TableFactor::Table { partitions, .. } if !partitions.is_empty() => refuse(
            "PARTITION (…) after a table",
            "filter by the partition's column: WHERE day = '2026-01-31'",
        ),
        TableFactor::Table { json_path: Some(_), .. } => {
            refuse("a path after a table", "select the field of the column: SELECT c['field'] FROM t")
        }
        TableFactor::Table { with_ordinality: true, .. }
        | TableFactor::UNNEST { with_ordinality: true, .. } => {
            refuse("WITH ORDINALITY", "number the rows: row_number() OVER ()")
        }
        TableFactor::Table { args: Some(args), .. } if args.settings.is_some() => {
            refuse("SETTINGS", "change a setting by a statement of its own: SET name = value")
        }
        TableFactor::UNNEST { with_offset: true, .. } => {
            refuse("UNNEST … WITH OFFSET", "number the rows: row_number() OVER ()")
        }
        TableFactor::Pivot { .. } => {
            refuse("PIVOT", "write one aggregate per value: sum(n) FILTER (WHERE month = 'JAN')")
        }
        TableFactor::Unpivot { .. } => {
            refuse("UNPIVOT", "write one SELECT per column, with UNION ALL between them")
        }
        TableFactor::MatchRecognize { .. } => refuse("MATCH_RECOGNIZE", "compare rows by lag() and lead()"),
        TableFactor::JsonTable { .. } | TableFactor::OpenJsonTable { .. } => {
            refuse("JSON_TABLE and OPENJSON", "read the file of JSON: FROM 'rows.json'")
        }
        TableFactor::XmlTable { .. } => refuse("XMLTABLE", "convert the XML to JSON or Parquet first"),
        TableFactor::SemanticView { .. } => {
            refuse("SEMANTIC_VIEW", "select from a view: CREATE VIEW v AS SELECT …")
        }
        TableFactor::TableFunction { .. } => {
            refuse("TABLE(…)", "write the function in FROM: FROM range(1, 10)")
        }
        _ => ControlFlow::Continue(()),
    }
}

fn refuse_view_clauses(view: &CreateView) -> Followed {
    if view.secure {
        return refuse("SECURE", "leave it out: whoever opens the store may read its views");
    }
    if view.or_alter {
        return refuse("OR ALTER", "write CREATE OR REPLACE VIEW");
    }
    if view.params.is_some() {
        return refuse("ALGORITHM, DEFINER or SQL SECURITY", "leave it out: CREATE VIEW v AS SELECT …");
    }
    if view.columns.iter().any(|column| column.options.is_some()) {
        return refuse(
            "an option of a view's column",
            "name the column only: CREATE VIEW v (a, b) AS SELECT …",
        );
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use datafusion_sql::parser::DFParser;

    use super::*;

    fn followed(sql: &str) -> Result<String> {
        let mut statement = DFParser::parse_sql(sql).unwrap().pop_front().unwrap();
        follow(&mut statement)?;
        Ok(statement.to_string())
    }

    #[test]
    fn clauses_become_others_that_mean_the_same() {
        let cases = [
            ("SELECT a FROM t FETCH FIRST 5 ROWS ONLY", "SELECT a FROM t LIMIT 5"),
            ("SELECT a FROM t OFFSET 2 ROWS FETCH NEXT ROW ONLY", "SELECT a FROM t LIMIT 1 OFFSET 2 ROWS"),
            ("SELECT a FROM t GROUP BY a, b WITH ROLLUP", "SELECT a FROM t GROUP BY ROLLUP ((a), (b))"),
            ("SELECT a FROM t GROUP BY a, b WITH CUBE", "SELECT a FROM t GROUP BY CUBE ((a), (b))"),
            (
                "SELECT a FROM (SELECT a FROM t FETCH FIRST 5 ROWS ONLY) AS s",
                "SELECT a FROM (SELECT a FROM t LIMIT 5) AS s",
            ),
        ];
        for (sql, expected) in cases {
            let found = followed(sql).unwrap();
            let plain = |text: &str| text.replace(['(', ')'], "");
            assert_eq!(plain(&found), plain(expected), "{sql}");
        }
    }

    #[test]
    fn what_can_not_be_followed_is_refused_by_name() {
        let cases = [
            ("SELECT a FROM t FOR UPDATE", "FOR UPDATE"),
            ("SELECT a FROM t FOR SHARE", "FOR SHARE"),
            ("SELECT a FROM t FETCH FIRST 5 ROWS WITH TIES", "WITH TIES"),
            ("SELECT a FROM t FETCH FIRST 5 PERCENT ROWS ONLY", "PERCENT"),
            ("SELECT a FROM t GROUP BY a WITH TOTALS", "WITH TOTALS"),
            ("SELECT a FROM t WITH (NOLOCK)", "WITH (…)"),
            ("SELECT a FROM t PARTITION (p0)", "PARTITION"),
            ("SELECT a FROM t LIMIT 5 FETCH FIRST 5 ROWS ONLY", "LIMIT beside FETCH"),
            ("SELECT a FROM t START WITH a = 1 CONNECT BY PRIOR a = b", "CONNECT BY"),
            ("SELECT a FROM t WHERE a IN (SELECT b FROM u FOR UPDATE)", "FOR UPDATE"),
            ("EXPLAIN SELECT a FROM t FOR UPDATE", "FOR UPDATE"),
            ("COPY (SELECT a FROM t FOR UPDATE) TO 'x.csv'", "FOR UPDATE"),
            ("INSERT INTO t SELECT a FROM t FOR UPDATE", "FOR UPDATE"),
            ("CREATE VIEW v AS SELECT a FROM t FOR UPDATE", "FOR UPDATE"),
        ];
        for (sql, clause) in cases {
            let error = followed(sql).unwrap_err();
            assert!(error.to_string().contains(clause), "{sql}: {error}");
        }
    }
}
