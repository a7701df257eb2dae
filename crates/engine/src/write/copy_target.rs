//! COPY … TO: what stands there is a name.

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::config::ConfigOptions;
use datafusion::error::Result;
use datafusion::logical_expr::LogicalPlan;
use datafusion::logical_expr::dml::CopyTo;
use datafusion::optimizer::AnalyzerRule;

use crate::tables::{WILDCARDS, literal_url};

/// Takes the wildcards in the target of COPY for what they are, characters of a name: nothing is written to a pattern, and
/// DataFusion would write to the folder before it.
#[derive(Debug, Default)]
pub(crate) struct CopyToName;

impl AnalyzerRule for CopyToName {
    fn name(&self) -> &str {
        "copy_to_name"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let named = plan.transform_up(|plan| match plan {
            LogicalPlan::Copy(copy) if is_pattern(&copy.output_url) => {
                let output_url = literal_url(&copy.output_url)?.to_string();
                Ok(Transformed::yes(LogicalPlan::Copy(CopyTo { output_url, ..copy })))
            }
            other => Ok(Transformed::no(other)),
        });
        named.data()
    }
}

/// Whether DataFusion would take a target for a pattern: paths only, not URLs.
fn is_pattern(target: &str) -> bool {
    !target.contains("://") && target.contains(WILDCARDS)
}
