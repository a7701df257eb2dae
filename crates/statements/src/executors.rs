//! Which statements run: all that the grammar has.

use nightjar_sql::{
    AlterJob, AlterModel, CancelRun, ClearCache, CreateJob, CreateMaterializedView, CreateModel,
    DescribeModel, DiscardTraining, DropJob, DropMaterializedView, DropModel, EvaluateModel,
    ExplainCreateModel, PauseJob, PromoteModel, RefreshMaterializedView, ResumeJob, ResumeTraining, RunJob,
    ShowCache, ShowExecutors, ShowJobs, ShowLog, ShowMaterializedViews, ShowModels, ShowRuns, ShowTraining,
    ShowVersions, Statement,
};

use crate::error::{Result, StatementError};
use crate::execute::{Executable, Execute};

/// A statement as one that runs, if it is of the kind that this is for.
type Executor = fn(&dyn Statement) -> Option<&dyn Executable>;

/// Every statement that runs; a new one is one line here.
static EXECUTORS: &[Executor] = &[
    of::<CreateModel>,
    of::<ExplainCreateModel>,
    of::<AlterModel>,
    of::<DropModel>,
    of::<DescribeModel>,
    of::<ShowModels>,
    of::<ShowVersions>,
    of::<EvaluateModel>,
    of::<PromoteModel>,
    of::<ShowTraining>,
    of::<ResumeTraining>,
    of::<DiscardTraining>,
    of::<CreateJob>,
    of::<AlterJob>,
    of::<RunJob>,
    of::<PauseJob>,
    of::<ResumeJob>,
    of::<DropJob>,
    of::<ShowJobs>,
    of::<ShowRuns>,
    of::<ShowLog>,
    of::<CancelRun>,
    of::<CreateMaterializedView>,
    of::<DropMaterializedView>,
    of::<RefreshMaterializedView>,
    of::<ShowMaterializedViews>,
    of::<ShowCache>,
    of::<ClearCache>,
    of::<ShowExecutors>,
];

fn of<S: Execute>(statement: &dyn Statement) -> Option<&dyn Executable> {
    statement.downcast_ref::<S>().map(|statement| statement as &dyn Executable)
}

/// Returns a statement as one that runs.
///
/// # Errors
/// None that a statement of [`nightjar_sql::STATEMENTS`] can cause.
pub fn executable(statement: &dyn Statement) -> Result<&dyn Executable> {
    let found = EXECUTORS.iter().find_map(|executor| executor(statement));
    found.ok_or_else(|| StatementError::Internal(format!("nothing runs {}", statement.kind().name)))
}

#[cfg(test)]
mod tests {
    use nightjar_sql::{Parsed, STATEMENTS, parse_statements};

    use super::*;

    #[test]
    fn every_statement_of_the_grammar_runs() {
        for kind in STATEMENTS {
            let Parsed::Nightjar(statement) = parse_statements(kind.example).unwrap().remove(0).parsed else {
                panic!("{} is not ours", kind.example);
            };
            assert_eq!(statement.kind().name, kind.name);
            assert!(executable(&*statement).is_ok(), "{}", kind.name);
        }
        assert_eq!(EXECUTORS.len(), STATEMENTS.len());
    }
}
