//! Which rows reach an expression inside CASE, AND, OR or an aggregate's FILTER.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::{Case, Expr, ExprSchemable, lit};

use super::lifting::has_model_call;

/// The conditions on the way to an expression, outermost first. Without one, every row reaches it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Guard(Vec<Branch>);

/// One branch of a CASE: the rows for which none of the earlier conditions is true, and its own is.
#[derive(Debug, Clone, PartialEq)]
struct Branch {
    base: Option<Expr>,
    earlier: Vec<Expr>,
    own: Option<Expr>,
}

impl Guard {
    /// Returns whether every row reaches the expression.
    pub(super) fn is_open(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the guard of a branch inside this one; `base` is that of `CASE base WHEN …`, no own condition means ELSE.
    pub(super) fn branch(&self, base: Option<&Expr>, earlier: &[Expr], own: Option<&Expr>) -> Self {
        let mut inner = self.clone();
        if !earlier.is_empty() || own.is_some() {
            inner.0.push(Branch { base: base.cloned(), earlier: earlier.to_vec(), own: own.cloned() });
        }
        inner
    }

    /// Returns whether every row that reaches `narrower` reaches this too.
    pub(super) fn covers(&self, narrower: &Self) -> bool {
        self.0.len() <= narrower.0.len()
            && self.0.iter().zip(&narrower.0).all(|(wide, narrow)| wide.covers(narrow))
    }

    /// Returns `value` on the rows that get here, and NULL on the others, for which it isn't evaluated.
    ///
    /// The conditions stay a CASE, because a later one may fail on rows that an earlier one keeps from it, as in
    /// `CASE WHEN n = 0 THEN … WHEN 1 / n > 2 THEN …`.
    pub(super) fn mask(&self, value: Expr, schema: &DFSchema) -> Result<Expr> {
        if self.is_open() || matches!(value, Expr::Literal(..)) {
            return Ok(value);
        }
        let null = lit(ScalarValue::try_from(&value.get_type(schema)?)?);
        Ok(self.0.iter().rev().fold(value, |value, branch| branch.mask(value, &null)))
    }
}

impl Branch {
    fn covers(&self, narrower: &Self) -> bool {
        self.base == narrower.base
            && match &self.own {
                None => narrower.earlier.starts_with(&self.earlier),
                own => *own == narrower.own && self.earlier == narrower.earlier,
            }
    }

    fn mask(&self, value: Expr, null: &Expr) -> Expr {
        let mut when_then_expr: Vec<_> =
            self.earlier.iter().map(|when| (Box::new(when.clone()), Box::new(null.clone()))).collect();
        let mut else_expr = None;
        match &self.own {
            Some(own) => when_then_expr.push((Box::new(own.clone()), Box::new(value))),
            None => else_expr = Some(Box::new(value)),
        }
        Expr::Case(Case { expr: self.base.clone().map(Box::new), when_then_expr, else_expr })
    }
}

/// Whether a condition may be evaluated a second time, for a mask: it gives the same again, and costs no model.
pub(super) fn is_repeatable(condition: &Expr) -> bool {
    !condition.is_volatile() && !has_subquery(condition) && !has_model_call(condition)
}

/// Whether an expression holds a subquery's plan.
pub(super) fn has_subquery(expr: &Expr) -> bool {
    let mut found = false;
    // The closure never fails, so neither does the walk.
    let _ = expr.apply(|expr| {
        found = matches!(
            expr,
            Expr::ScalarSubquery(_) | Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)
        );
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field, Schema};
    use datafusion::logical_expr::col;

    use super::*;

    #[test]
    fn a_mask_mirrors_the_branches_around_it() {
        let schema = Schema::new(vec![
            Field::new("a", DataType::Boolean, true),
            Field::new("b", DataType::Boolean, true),
            Field::new("t", DataType::Utf8, true),
        ]);
        let schema = DFSchema::try_from(schema).unwrap();
        let mask = |guard: &Guard| guard.mask(col("t"), &schema).unwrap().to_string();
        let every = Guard::default();
        assert_eq!(mask(&every), "t");
        let first = every.branch(None, &[], Some(&col("a")));
        assert_eq!(mask(&first), "CASE WHEN a THEN t END");
        let second = every.branch(None, &[col("a")], Some(&col("b")));
        assert_eq!(mask(&second), "CASE WHEN a THEN Utf8(NULL) WHEN b THEN t END");
        let otherwise = every.branch(None, &[col("a")], None);
        assert_eq!(mask(&otherwise), "CASE WHEN a THEN Utf8(NULL) ELSE t END");
        let valued = every.branch(Some(&col("t")), &[], Some(&lit("x")));
        assert_eq!(mask(&valued), "CASE t WHEN Utf8(\"x\") THEN t END");
        let nested = otherwise.branch(None, &[], Some(&col("b")));
        assert_eq!(mask(&nested), "CASE WHEN a THEN Utf8(NULL) ELSE CASE WHEN b THEN t END END");

        for guard in [&first, &second, &otherwise, &valued, &nested] {
            assert!(every.covers(guard) && guard.covers(guard) && !guard.covers(&every));
        }
        assert!(otherwise.covers(&second), "what no earlier condition took includes what the next one takes");
        assert!(!second.covers(&otherwise) && !first.covers(&second) && otherwise.covers(&nested));
    }
}
