//! Replacing the model calls of expressions by columns of an [`InferNode`].

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, Result};
use datafusion::logical_expr::expr::{AggregateFunction, ScalarFunction, WindowFunction};
use datafusion::logical_expr::utils::{conjunction, disjunction, split_binary_owned};
use datafusion::logical_expr::{Case, Expr, ExprSchemable, Extension, LogicalPlan, Operator, Projection};
use datafusion::optimizer::OptimizerConfig;
use nightjar_functions::{EncoderKey, ModelUdf, PinnedModel, Work};

use super::expose::expose;
use super::guard::{Guard, has_subquery, is_repeatable};
use super::{InferCall, InferNode};

/// The calls found in one plan node's expressions, over its input.
///
/// A call within a CASE, behind AND or OR, or in an aggregate with a FILTER gets its text only on the rows that reach it
/// ([`Guard`]): on the others the text is NULL, which costs nothing.
pub(super) struct Lifting<'a> {
    input: LogicalPlan,
    /// The operators to put over the input, lowest first: a call that reads another's result stands above it.
    layers: Vec<Layer>,
    fields: Vec<FieldRef>,
    known: Vec<KnownCall>,
    config: &'a dyn OptimizerConfig,
    changed: bool,
}

/// One operator, and the texts to compute as columns below it.
#[derive(Default)]
struct Layer {
    texts: Vec<(Expr, String)>,
    calls: Vec<InferCall>,
}

/// A call that has a column already, on the rows of its guard.
struct KnownCall {
    call: Expr,
    guard: Guard,
    column: String,
}

/// Which calls a walk lifts.
#[derive(Clone, Copy, PartialEq)]
enum Calls {
    /// Those that every row reaches: first, so that the others find them.
    Open,
    All,
}

impl<'a> Lifting<'a> {
    pub(super) fn new(input: LogicalPlan, config: &'a dyn OptimizerConfig) -> Self {
        let (layers, fields, known) = (Vec::new(), Vec::new(), Vec::new());
        Self { input, layers, fields, known, config, changed: false }
    }

    /// Returns the expressions with each liftable call replaced by the column that holds its result.
    pub(super) fn lift(&mut self, exprs: Vec<Expr>) -> Result<Vec<Expr>> {
        for expr in &exprs {
            self.walk(expr.clone(), &Guard::default(), Calls::Open)?;
        }
        exprs.into_iter().map(|expr| self.walk(expr, &Guard::default(), Calls::All)).collect()
    }

    /// Returns whether a call was replaced.
    pub(super) fn changed(&self) -> bool {
        self.changed
    }

    /// Returns the input with the operators that compute the columns.
    pub(super) fn into_plan(self) -> Result<LogicalPlan> {
        self.layers.into_iter().try_fold(self.input, |mut input, layer| {
            if !layer.texts.is_empty() {
                let columns = input.schema().columns().into_iter().map(Expr::Column);
                let texts = layer.texts.into_iter().map(|(text, name)| text.alias(name));
                let columns = columns.chain(texts).collect();
                input = LogicalPlan::Projection(Projection::try_new(columns, Arc::new(input))?);
            }
            let node = Arc::new(InferNode::try_new(input, layer.calls)?);
            Ok(LogicalPlan::Extension(Extension { node }))
        })
    }

    fn walk(&mut self, expr: Expr, guard: &Guard, calls: Calls) -> Result<Expr> {
        if !has_model_call(&expr) {
            return Ok(expr);
        }
        match expr {
            Expr::Case(case) => self.walk_case(case, guard, calls),
            Expr::BinaryExpr(binary) if matches!(binary.op, Operator::And | Operator::Or) => {
                let op = binary.op;
                self.walk_logical(split_binary_owned(Expr::BinaryExpr(binary), op), op, guard, calls)
            }
            Expr::AggregateFunction(AggregateFunction { func, mut params }) if params.filter.is_some() => {
                let (filter, inner) = self.walk_row_filter(params.filter, guard, calls)?;
                params.filter = filter;
                params.args = self.walk_all(params.args, &inner, calls)?;
                for key in &mut params.order_by {
                    key.expr = self.walk(key.expr.clone(), &inner, calls)?;
                }
                Ok(Expr::AggregateFunction(AggregateFunction { func, params }))
            }
            Expr::WindowFunction(window) if window.params.filter.is_some() => {
                let WindowFunction { fun, mut params } = *window;
                let (filter, inner) = self.walk_row_filter(params.filter, guard, calls)?;
                params.filter = filter;
                params.args = self.walk_all(params.args, &inner, calls)?;
                params.partition_by = self.walk_all(params.partition_by, guard, calls)?;
                for key in &mut params.order_by {
                    key.expr = self.walk(key.expr.clone(), guard, calls)?;
                }
                Ok(Expr::WindowFunction(Box::new(WindowFunction { fun, params })))
            }
            // A lambda's body runs on the elements of a list, and what else short-circuits on rows we don't know.
            Expr::Lambda(_) => Ok(expr),
            expr if expr.short_circuits() => Ok(expr),
            expr => {
                // The calls in a call's arguments first.
                let children = |child: Expr| Ok(Transformed::yes(self.walk(child, guard, calls)?));
                let expr = expr.map_children(children)?.data;
                if is_model_call(&expr) { self.replace(expr, guard, calls) } else { Ok(expr) }
            }
        }
    }

    fn walk_all(&mut self, exprs: Vec<Expr>, guard: &Guard, calls: Calls) -> Result<Vec<Expr>> {
        exprs.into_iter().map(|expr| self.walk(expr, guard, calls)).collect()
    }

    fn walk_case(&mut self, case: Case, guard: &Guard, calls: Calls) -> Result<Expr> {
        let base = case.expr.map(|base| self.walk(*base, guard, calls)).transpose()?;
        let mut repeatable = base.as_ref().is_none_or(is_repeatable);
        let (mut earlier, mut when_then_expr) = (Vec::new(), Vec::new());
        for (mut when, mut then) in case.when_then_expr {
            if repeatable {
                *when = self.walk(*when, &guard.branch(base.as_ref(), &earlier, None), calls)?;
                repeatable = is_repeatable(&when);
            }
            if repeatable {
                *then = self.walk(*then, &guard.branch(base.as_ref(), &earlier, Some(&when)), calls)?;
                earlier.push(when.as_ref().clone());
            }
            when_then_expr.push((when, then));
        }
        let else_expr = match case.else_expr {
            Some(otherwise) if repeatable => {
                let otherwise = self.walk(*otherwise, &guard.branch(base.as_ref(), &earlier, None), calls)?;
                Some(Box::new(otherwise))
            }
            otherwise => otherwise,
        };
        Ok(Expr::Case(Case { expr: base.map(Box::new), when_then_expr, else_expr }))
    }

    /// `free AND call`: only the rows where `free` isn't false reach the call; `free OR call`: where it isn't true.
    fn walk_logical(
        &mut self,
        operands: Vec<Expr>,
        op: Operator,
        guard: &Guard,
        calls: Calls,
    ) -> Result<Expr> {
        let free = operands.iter().filter(|operand| is_repeatable(operand)).cloned();
        let inner = if op == Operator::And {
            let reaching = conjunction(free).map(Expr::is_not_false);
            guard.branch(None, &[], reaching.as_ref())
        } else {
            guard.branch(None, disjunction(free).as_slice(), None)
        };
        let operands = self.walk_all(operands, &inner, calls)?;
        let joined = if op == Operator::And { conjunction(operands) } else { disjunction(operands) };
        joined.ok_or_else(|| datafusion::common::internal_datafusion_err!("{op} has no operands"))
    }

    /// Returns an aggregate's FILTER, and the guard of the arguments that it lets through.
    fn walk_row_filter(
        &mut self,
        filter: Option<Box<Expr>>,
        guard: &Guard,
        calls: Calls,
    ) -> Result<(Option<Box<Expr>>, Guard)> {
        let Some(filter) = filter else { return Ok((None, guard.clone())) };
        let filter = self.walk(*filter, guard, calls)?;
        let inner = match is_repeatable(&filter) {
            true => guard.branch(None, &[], Some(&filter)),
            false => guard.clone(),
        };
        Ok((Some(Box::new(filter)), inner))
    }

    /// Returns what stands for a call: a column that is there below, a new one, or the call where it isn't its turn.
    fn replace(&mut self, call: Expr, guard: &Guard, calls: Calls) -> Result<Expr> {
        let volatile = call.is_volatile();
        if calls == Calls::Open && (volatile || !guard.is_open()) {
            return Ok(call);
        }
        self.changed = true;
        let name = self.config.alias_generator().next("__infer");
        if volatile {
            return self.add(call, guard, name);
        }
        let same = |known: &&KnownCall| known.call == call && known.guard.covers(guard);
        if let Some(known) = self.known.iter().find(same) {
            return Ok(column(&known.column));
        }
        if let Some(known) = self.expose(&call, &name)? {
            return Ok(column(&known));
        }
        if let Some(same) = self.expose_embeddings(&call)? {
            return Ok(same);
        }
        // Where another call has the same texts encoded already, this one may have them all: that costs nothing.
        let shares = |known: &&KnownCall| known.guard.covers(guard) && share_encodings(&known.call, &call);
        let guard = self.known.iter().find(shares).map_or(guard, |known| &known.guard).clone();
        if !guard.is_open() {
            let masked = self.mask(&call, &guard)?;
            if let Some(known) = self.expose(&masked, &name)? {
                return Ok(column(&known));
            }
        }
        self.add(call, &guard, name)
    }

    /// Returns the new column `name` for a call.
    fn add(&mut self, call: Expr, guard: &Guard, name: String) -> Result<Expr> {
        let masked = self.mask(&call, guard)?;
        let masked = self.without_subqueries(masked)?;
        let field = masked.to_field(&self.schema()?)?.1;
        self.fields.push(Arc::new(field.as_ref().clone().with_name(&name)));
        let call_of_layer = InferCall { expr: masked.clone(), column: name.clone() };
        self.layer_for(&masked).calls.push(call_of_layer);
        self.known.push(KnownCall { call, guard: guard.clone(), column: name.clone() });
        Ok(column(&name))
    }

    /// Returns the call with each text that holds a scalar subquery as a column: a subquery's result reaches the
    /// expressions of DataFusion's operators only.
    fn without_subqueries(&mut self, call: Expr) -> Result<Expr> {
        let plain = call.map_children(|text| {
            if !has_subquery(&text) {
                return Ok(Transformed::no(text));
            }
            let name = self.config.alias_generator().next("__infer");
            let field = text.to_field(&self.schema()?)?.1;
            self.fields.push(Arc::new(field.as_ref().clone().with_name(&name)));
            self.layer_for(&text).texts.push((text.clone(), name.clone()));
            Ok(Transformed::yes(column(&name)))
        })?;
        Ok(plain.data)
    }

    /// Returns the call as a function of embeddings that the operators below compute already, as those of a join do.
    fn expose_embeddings(&mut self, call: &Expr) -> Result<Option<Expr>> {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = call else { return Ok(None) };
        let same = ModelUdf::of(func).and_then(|udf| udf.over_embeddings(args));
        let Some(Expr::ScalarFunction(mut same)) = same else { return Ok(None) };
        let mut input = self.input.clone();
        for embedding in &mut same.args {
            let name = self.config.alias_generator().next("__infer");
            let Some((exposed, known)) = expose(&input, embedding, &name)? else { return Ok(None) };
            input = exposed;
            *embedding = column(&known);
        }
        self.input = input;
        Ok(Some(Expr::ScalarFunction(same)))
    }

    /// Returns the column of the input that holds the call's result, if an operator below computes it, or can as `name`
    /// at no cost.
    fn expose(&mut self, call: &Expr, name: &str) -> Result<Option<String>> {
        Ok(expose(&self.input, call, name)?.map(|(input, known)| {
            self.input = input;
            known
        }))
    }

    /// Returns the call with its texts NULL on the rows that don't reach it.
    fn mask(&self, call: &Expr, guard: &Guard) -> Result<Expr> {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = call else { return Ok(call.clone()) };
        let texts = ModelUdf::of(func).map_or(0, |udf| udf.text_arguments(args));
        let schema = self.schema()?;
        let args = args
            .iter()
            .enumerate()
            .map(
                |(index, arg)| if index < texts { guard.mask(arg.clone(), &schema) } else { Ok(arg.clone()) },
            )
            .collect::<Result<Vec<_>>>()?;
        Ok(Expr::ScalarFunction(ScalarFunction { func: Arc::clone(func), args }))
    }

    /// Returns the lowest operator below which everything is there that an expression reads.
    fn layer_for(&mut self, expr: &Expr) -> &mut Layer {
        let reads = |name: &str| expr.column_refs().iter().any(|column| column.name == name);
        let above = self.layers.iter().rposition(|layer| layer.calls.iter().any(|call| reads(&call.column)));
        let beside = self.layers.iter().rposition(|layer| layer.texts.iter().any(|(_, name)| reads(name)));
        let index = above.map_or(0, |below| below + 1).max(beside.unwrap_or(0));
        if index == self.layers.len() {
            self.layers.push(Layer::default());
        }
        &mut self.layers[index]
    }

    /// Returns the input's columns and those of the calls so far.
    fn schema(&self) -> Result<DFSchema> {
        let input = self.input.schema();
        let of_input = input.iter().map(|(table, field)| (table.cloned(), Arc::clone(field)));
        let lifted = self.fields.iter().map(|field| (None, Arc::clone(field)));
        DFSchema::new_with_metadata(of_input.chain(lifted).collect(), input.metadata().clone())
    }
}

fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// Whether an expression holds a call that costs an encoder pass per row.
pub(super) fn has_model_call(expr: &Expr) -> bool {
    let mut found = false;
    // The closure never fails, so neither does the walk.
    let _ = expr.apply(|expr| {
        found = is_model_call(expr);
        Ok(if found { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    found
}

/// Whether two calls encode the same texts with the same encoder: one pass serves both.
pub(super) fn share_encodings(a: &Expr, b: &Expr) -> bool {
    let (Expr::ScalarFunction(a), Expr::ScalarFunction(b)) = (a, b) else { return false };
    let (Some(of_a), Some(of_b)) = (ModelUdf::of(&a.func), ModelUdf::of(&b.func)) else { return false };
    let texts = of_a.text_arguments(&a.args);
    texts == of_b.text_arguments(&b.args)
        // Of two texts, a function of pairs reads one sequence and any other two.
        && (texts == 1 || of_a.function().pairs == of_b.function().pairs)
        && a.args.get(..texts) == b.args.get(..texts)
        && of_a.tolerant() == of_b.tolerant()
        && matches!((encoder(of_a, &a.args), encoder(of_b, &b.args)), (Some(a), Some(b)) if a == b)
}

/// Returns the encoder of a resolved call; None where the call is not resolved.
fn encoder(udf: &ModelUdf, args: &[Expr]) -> Option<EncoderKey> {
    let Some(Expr::Literal(model, _)) = args.last() else { return None };
    let pinned: PinnedModel = model.try_as_str()??.parse().ok()?;
    udf.models().ok()?.encoder_key(pinned).ok()
}

/// Whether an expression is a call that costs an encoder pass per row of its plan node's input: not a constant, nothing
/// of an outer query.
pub(super) fn is_model_call(expr: &Expr) -> bool {
    let Expr::ScalarFunction(call) = expr else {
        return false;
    };
    let encodes = |udf: &ModelUdf| matches!(udf.function().work, Work::Encode(_));
    ModelUdf::of(&call.func).is_some_and(encodes) && !expr.column_refs().is_empty() && !expr.contains_outer()
}
