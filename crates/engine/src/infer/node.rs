//! The logical model operator: its input's columns, and one more per model call.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use datafusion::common::{DFSchema, DFSchemaRef, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, UserDefinedLogicalNodeCore};

/// A resolved model call and the output column that holds its result.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd)]
pub struct InferCall {
    /// The call: a scalar function expression whose function is a model function.
    pub expr: Expr,
    /// The name of its column, unique in the plan.
    pub column: String,
}

/// Runs model calls over its input. Keeps rows, order and partitions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InferNode {
    input: LogicalPlan,
    calls: Vec<InferCall>,
    schema: DFSchemaRef,
}

impl InferNode {
    /// Returns the operator that adds the columns of `calls` to those of `input`.
    pub fn try_new(input: LogicalPlan, calls: Vec<InferCall>) -> Result<Self> {
        let input_schema = Arc::clone(input.schema());
        let mut fields: Vec<_> =
            input_schema.iter().map(|(table, field)| (table.cloned(), Arc::clone(field))).collect();
        for call in &calls {
            let (_, field) = call.expr.to_field(&input_schema)?;
            fields.push((None, Arc::new(field.as_ref().clone().with_name(&call.column))));
        }
        let schema = DFSchema::new_with_metadata(fields, input_schema.metadata().clone())?
            .with_functional_dependencies(input_schema.functional_dependencies().clone())?;
        Ok(Self { input, calls, schema: Arc::new(schema) })
    }

    /// Returns the plan whose rows the models see.
    pub fn input(&self) -> &LogicalPlan {
        &self.input
    }

    /// Returns the calls, in the order of their columns.
    pub fn calls(&self) -> &[InferCall] {
        &self.calls
    }
}

impl PartialOrd for InferNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.input.partial_cmp(&other.input) {
            Some(Ordering::Equal) => self.calls.partial_cmp(&other.calls),
            order => order,
        }
    }
}

impl UserDefinedLogicalNodeCore for InferNode {
    fn name(&self) -> &str {
        "Infer"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        self.calls.iter().map(|call| call.expr.clone()).collect()
    }

    /// Only predicates on the results stay above: the others run first, because they cost nothing.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        self.calls.iter().map(|call| call.column.clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Infer: ")?;
        for (index, call) in self.calls.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{} AS {}", call.expr, call.column)?;
        }
        Ok(())
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, mut inputs: Vec<LogicalPlan>) -> Result<Self> {
        let (Some(input), true) = (inputs.pop(), exprs.len() == self.calls.len()) else {
            return plan_err!("Infer needs one input and as many expressions as calls");
        };
        let columns = self.calls.iter().map(|call| call.column.clone());
        // Rewriters that preserve names alias what they rewrite; the column's name is ours to keep.
        let calls = exprs
            .into_iter()
            .zip(columns)
            .map(|(expr, column)| InferCall { expr: expr.unalias(), column })
            .collect();
        Self::try_new(input, calls)
    }

    /// The result columns need no input column beyond those of the expressions, which DataFusion adds itself.
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let inputs = self.input.schema().fields().len();
        Some(vec![output_columns.iter().copied().filter(|&index| index < inputs).collect()])
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }
}
