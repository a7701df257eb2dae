//! Queries over the relations `r` and `n`, each with an order of its own where one decides what comes out.

use crate::choices::Choices;
use crate::expressions::{Expressions, Scope};

const R: Scope =
    Scope { texts: &["t", "label", "product"], numbers: &["id", "stars"], flags: &["helpful", "good"] };
const LEFT: Scope = Scope {
    texts: &["a.t", "a.label", "a.product"],
    numbers: &["a.id", "a.stars"],
    flags: &["a.helpful", "a.good"],
};
const RIGHT: Scope =
    Scope { texts: &["b.t", "b.product"], numbers: &["b.n"], flags: &["(b.n > 1)", "(b.t = 'x')"] };
const BOTH: Scope = Scope {
    texts: &["a.t", "b.t", "a.label", "b.product", "a.product"],
    numbers: &["a.id", "b.n", "a.stars"],
    flags: &["a.helpful", "(b.n > 1)", "a.good"],
};
const INNER: Scope = Scope { texts: &["x", "t", "product"], numbers: &["id", "y"], flags: &["helpful", "z"] };

/// Returns the query of a row of decisions.
pub(crate) fn query(bytes: &[u8]) -> String {
    let mut choices = Choices::new(bytes);
    match choices.below(12) {
        0 => columns(&mut choices),
        1 => filtered(&mut choices),
        2 => grouped(&mut choices),
        3 => windows(&mut choices),
        4..6 => joined(&mut choices),
        6 => semi_joined(&mut choices),
        7 => subqueries(&mut choices),
        8 => ordered(&mut choices),
        9 => union(&mut choices),
        10 => nested(&mut choices),
        _ => common(&mut choices),
    }
}

fn over<'a, 'b>(choices: &'a mut Choices<'b>, scope: Scope) -> Expressions<'a, 'b> {
    Expressions { choices, scope }
}

fn columns(choices: &mut Choices<'_>) -> String {
    let mut e = over(choices, R);
    format!("SELECT id, {} AS c1, {} AS c2, {} AS c3 FROM r", e.text(), e.number(), e.flag())
}

fn filtered(choices: &mut Choices<'_>) -> String {
    let mut e = over(choices, R);
    format!("SELECT id, {} AS c1 FROM r WHERE {} AND {}", e.text(), e.flag(), e.flag())
}

fn grouped(choices: &mut Choices<'_>) -> String {
    let mut e = over(choices, R);
    let (key, filter) = (e.text(), e.flag());
    match e.choices.below(4) {
        0 => format!(
            "SELECT {key} AS k, count(*), max({}) FILTER (WHERE {filter}) AS c1 FROM r GROUP BY k",
            e.text()
        ),
        1 => format!(
            "SELECT {key} AS k, min({}), count(DISTINCT {}) FROM r WHERE {filter} GROUP BY k HAVING max({}) > 1",
            e.text(),
            e.label(),
            e.number()
        ),
        2 => format!(
            "SELECT {key} AS k, helpful, count(*) FILTER (WHERE {filter}) FROM r GROUP BY GROUPING SETS ((k), (k, helpful), ())"
        ),
        _ => format!(
            "SELECT array_agg({} ORDER BY {}, id) FILTER (WHERE {filter}) FROM r",
            e.text(),
            e.number()
        ),
    }
}

fn windows(choices: &mut Choices<'_>) -> String {
    let mut e = over(choices, R);
    let over = format!("(PARTITION BY {} ORDER BY {}, id)", e.text(), e.number());
    match e.choices.below(3) {
        0 => format!("SELECT id, lag({}) OVER {over} AS c1, row_number() OVER {over} AS c2 FROM r", e.text()),
        1 => format!(
            "SELECT id, count(*) FILTER (WHERE {}) OVER {over} AS c1, max({}) OVER {over} AS c2 FROM r",
            e.flag(),
            e.text()
        ),
        _ => format!("SELECT id, {} AS c1 FROM r QUALIFY rank() OVER {over} <= 2", e.text()),
    }
}

fn joined(choices: &mut Choices<'_>) -> String {
    let kind = choices.of(&["JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"]);
    let keys = match choices.below(3) {
        0 => "a.product = b.product".to_owned(),
        1 => format!("{} = b.product", over(choices, LEFT).label()),
        _ => format!("{} = {}", over(choices, LEFT).text(), over(choices, RIGHT).text()),
    };
    let condition = match choices.below(3) {
        0 => over(choices, LEFT).flag(),
        1 => over(choices, RIGHT).flag(),
        _ => over(choices, BOTH).flag(),
    };
    let mut e = over(choices, BOTH);
    let filter = if e.choices.below(2) == 0 { String::new() } else { format!(" WHERE {}", e.flag()) };
    format!(
        "SELECT a.id, b.n, {} AS c1, {} AS c2 FROM r a {kind} n b ON {keys} AND {condition}{filter}",
        e.text(),
        e.number()
    )
}

fn semi_joined(choices: &mut Choices<'_>) -> String {
    let kind = choices.of(&["LEFT SEMI", "LEFT ANTI"]);
    let condition = over(choices, BOTH).flag();
    let filter = over(choices, LEFT).flag();
    format!("SELECT a.id FROM r a {kind} JOIN n b ON a.product = b.product AND {condition} WHERE {filter}")
}

fn subqueries(choices: &mut Choices<'_>) -> String {
    match choices.below(4) {
        0 => format!(
            "SELECT a.id FROM r a WHERE EXISTS (SELECT 1 FROM n b WHERE b.product = a.product AND {})",
            over(choices, BOTH).flag()
        ),
        1 => format!(
            "SELECT id FROM r WHERE {} {}IN (SELECT {} FROM n b WHERE {})",
            over(choices, R).label(),
            choices.of(&["", "NOT "]),
            over(choices, RIGHT).text(),
            over(choices, RIGHT).flag()
        ),
        2 => format!(
            "SELECT a.id, {} AS c1, (SELECT max({}) FROM n b WHERE b.product = a.product) FROM r a",
            over(choices, LEFT).text(),
            over(choices, RIGHT).text()
        ),
        _ => {
            let (inner, mut e) = (over(choices, RIGHT).text(), over(choices, R));
            format!(
                "SELECT id, {} AS c1 FROM r WHERE CASE WHEN {} = (SELECT min({inner}) FROM n b) THEN {} ELSE {} END",
                e.text(),
                e.text(),
                e.flag(),
                e.flag()
            )
        }
    }
}

fn ordered(choices: &mut Choices<'_>) -> String {
    let mut e = over(choices, R);
    let limit = 1 + e.choices.below(9);
    format!("SELECT id, {} AS c1 FROM r WHERE {} ORDER BY {}, id LIMIT {limit}", e.text(), e.flag(), e.text())
}

fn union(choices: &mut Choices<'_>) -> String {
    let kind = choices.of(&["UNION ALL", "UNION", "INTERSECT", "EXCEPT"]);
    let first = over(choices, R).text();
    format!(
        "SELECT {first} AS c1 FROM r {kind} SELECT {} AS c1 FROM n b WHERE {}",
        over(choices, RIGHT).text(),
        over(choices, RIGHT).flag()
    )
}

fn nested(choices: &mut Choices<'_>) -> String {
    let mut e = over(choices, R);
    let inner = format!(
        "SELECT *, {} AS x, {} AS y, {} AS z FROM r WHERE {}",
        e.text(),
        e.number(),
        e.flag(),
        e.flag()
    );
    let mut e = over(choices, INNER);
    format!("SELECT id, x, {} AS c1 FROM ({inner}) WHERE {}", e.text(), e.flag())
}

fn common(choices: &mut Choices<'_>) -> String {
    let mut e = over(choices, R);
    let inner = format!("SELECT *, {} AS x, {} AS y, {} AS z FROM r", e.label(), e.number(), e.flag());
    let mut e = over(choices, INNER);
    let (columns, filter) = (e.text(), e.flag());
    format!(
        "WITH c AS ({inner}) SELECT a.id, a.x, b.x FROM (SELECT id, {columns} AS x FROM c WHERE {filter}) a LEFT JOIN c b ON a.x = b.x AND b.id < 6"
    )
}
