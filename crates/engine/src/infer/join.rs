//! Model calls in join conditions: each runs below the join, on the side whose columns it reads.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{Expr, Filter, Join, JoinType, LogicalPlan};
use datafusion::optimizer::OptimizerConfig;
use nightjar_functions::ModelUdf;

use super::expose::is_over;
use super::lift::restore_columns;
use super::lifting::{Lifting, has_model_call, is_model_call};

/// Lifts the calls of a join's condition into operators on its inputs: a text costs once per row of its side, not once
/// per pair of rows.
pub(super) fn lift_join(join: Join, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let of_keys = join.on.iter().any(|(left, right)| has_model_call(left) || has_model_call(right));
    if !of_keys && !join.filter.as_ref().is_some_and(has_model_call) {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    }
    let original = LogicalPlan::Join(join.clone());
    let (left_keys, right_keys): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
    let mut sides = Sides {
        left: Lifting::new(join.left.as_ref().clone(), config),
        right: Lifting::new(join.right.as_ref().clone(), config),
        join: &join,
    };
    let on = sides.left.lift(left_keys)?.into_iter().zip(sides.right.lift(right_keys)?).collect();
    let filter = join.filter.clone().map(|filter| sides.lift_filter(filter)).transpose()?;
    if !sides.left.changed() && !sides.right.changed() {
        return Ok(Transformed::no(original));
    }
    let lifted = LogicalPlan::Join(Join::try_new(
        Arc::new(sides.left.into_plan()?),
        Arc::new(sides.right.into_plan()?),
        on,
        filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?);
    Ok(Transformed::yes(restore_columns(lifted, &original)?))
}

/// Returns a filter over an inner join with the conjuncts that compare texts of both sides moved into the join's condition,
/// and lifted from there; over a cross join, all that cost anything. None where there are none.
///
/// `FROM a, b WHERE similarity(a.t, b.t) > 0.9` is this. Other conjuncts stay above a join that has a condition: the model
/// then sees only the rows that match.
pub(super) fn lift_filtered_join(
    filter: &Filter,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::Join(join) = filter.input.as_ref() else { return Ok(None) };
    if join.join_type != JoinType::Inner {
        return Ok(None);
    }
    let compares = |conjunct: &Expr| {
        conjunct.exists(|expr| Ok(is_model_call(expr) && over_embeddings(expr, join).is_some()))
    };
    let crosses = join.on.is_empty() && join.filter.is_none();
    let mut moved: Vec<Expr> = join.filter.clone().into_iter().collect();
    let (joining, mut rest) = (moved.len(), Vec::new());
    for conjunct in split_conjunction_owned(filter.predicate.clone()) {
        if has_model_call(&conjunct) && belongs_to_sides(&conjunct, join) && (crosses || compares(&conjunct)?)
        {
            moved.push(conjunct)
        } else {
            rest.push(conjunct)
        }
    }
    if moved.len() == joining {
        return Ok(None);
    }
    let joined = lift_join(Join { filter: conjunction(moved), ..join.clone() }, config)?.data;
    Ok(Some(match conjunction(rest) {
        None => joined,
        // What is left is a filter as any other.
        Some(rest) => super::lift::lift_filter(Filter::try_new(rest, Arc::new(joined))?, config)?.data,
    }))
}

/// A join's inputs, to which calls are added.
struct Sides<'a> {
    left: Lifting<'a>,
    right: Lifting<'a>,
    join: &'a Join,
}

impl Sides<'_> {
    fn lift_filter(&mut self, filter: Expr) -> Result<Expr> {
        let conjuncts = split_conjunction_owned(filter);
        if self.join.join_type == JoinType::Inner {
            // DataFusion will run a side's own conjuncts below the join, those without a call first.
            let lifted =
                conjuncts.into_iter().map(|conjunct| self.lift(conjunct)).collect::<Result<Vec<_>>>()?;
            return joined(lifted);
        }
        // An outer join keeps them: taken together, those without a call spare rows to those with one.
        let (left, rest): (Vec<_>, Vec<_>) =
            conjuncts.into_iter().partition(|conjunct| is_over(conjunct, self.join.left.schema()));
        let (right, both): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|conjunct| is_over(conjunct, self.join.right.schema()));
        let of_sides = [conjunction(left), conjunction(right)].into_iter().flatten();
        joined(of_sides.chain(both).map(|expr| self.lift(expr)).collect::<Result<Vec<_>>>()?)
    }

    /// Returns `expr` with its calls lifted, each into the side it reads; a call that reads both sides stays where no
    /// function of its texts' embeddings is the same.
    fn lift(&mut self, expr: Expr) -> Result<Expr> {
        if !has_model_call(&expr) {
            return Ok(expr);
        }
        if is_over(&expr, self.join.left.schema()) {
            return lift_one(&mut self.left, expr);
        }
        if is_over(&expr, self.join.right.schema()) {
            return lift_one(&mut self.right, expr);
        }
        if let Some(same) = over_embeddings(&expr, self.join) {
            return Ok(same.map_children(|embedding| Ok(Transformed::yes(self.lift(embedding)?)))?.data);
        }
        if depends_on_rows(&expr) {
            return Ok(expr);
        }
        Ok(expr.map_children(|child| Ok(Transformed::yes(self.lift(child)?)))?.data)
    }
}

/// Whether [`Sides::lift`] leaves no call of an expression with the join.
fn belongs_to_sides(expr: &Expr, join: &Join) -> bool {
    if !has_model_call(expr) || one_sided(expr, join) || over_embeddings(expr, join).is_some() {
        return true;
    }
    if is_model_call(expr) || depends_on_rows(expr) {
        return false;
    }
    let mut belongs = true;
    // The closure never fails, so neither does the walk.
    let _ = expr.apply_children(|child| {
        belongs &= belongs_to_sides(child, join);
        Ok(TreeNodeRecursion::Continue)
    });
    belongs
}

/// Whether the rows that reach the parts of an expression may depend on the other side.
fn depends_on_rows(expr: &Expr) -> bool {
    match expr {
        Expr::Case(_) | Expr::Lambda(_) => true,
        Expr::ScalarFunction(call) => call.func.short_circuits(),
        _ => false,
    }
}

fn one_sided(expr: &Expr, join: &Join) -> bool {
    is_over(expr, join.left.schema()) || is_over(expr, join.right.schema())
}

fn lift_one(side: &mut Lifting<'_>, expr: Expr) -> Result<Expr> {
    joined(side.lift(vec![expr])?)
}

fn joined(exprs: Vec<Expr>) -> Result<Expr> {
    conjunction(exprs)
        .ok_or_else(|| datafusion::common::internal_datafusion_err!("a join's filter went away"))
}

/// Returns a call over the texts of both sides as a function of their embeddings, each of them over one side.
fn over_embeddings(call: &Expr, join: &Join) -> Option<Expr> {
    let Expr::ScalarFunction(ScalarFunction { func, args }) = call else { return None };
    let same = ModelUdf::of(func)?.over_embeddings(args)?;
    let Expr::ScalarFunction(function) = &same else { return None };
    (!one_sided(call, join) && function.args.iter().all(|embedding| one_sided(embedding, join)))
        .then_some(same)
}
