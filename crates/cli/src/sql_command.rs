//! `nightjar sql`, and scripts on stdin.

use crate::args::{Args, SqlArgs, SqlInput};
use crate::console;
use crate::error::{CliError, Result};
use crate::runner::Runner;
use crate::script::Script;

/// Runs `nightjar sql`: what -c and -f name, or stdin.
pub(crate) async fn run(args: &Args, sql: &SqlArgs) -> Result<()> {
    if sql.inputs.is_empty() {
        return match console::stdin_is_terminal() {
            true => Err(CliError::NoInput),
            false => run_stdin(args).await,
        };
    }
    let read = |input: &SqlInput| match input {
        SqlInput::Text(text) => Ok(Script::typed(text.as_str())),
        SqlInput::File(path) => Script::from_file(path),
    };
    let scripts = sql.inputs.iter().map(read).collect::<Result<Vec<_>>>()?;
    Runner::open(args).await?.run_scripts(&scripts).await
}

/// Runs what `nightjar -c` names.
pub(crate) async fn run_texts(args: &Args, texts: &[String]) -> Result<()> {
    let scripts: Vec<Script> = texts.iter().map(|text| Script::typed(text.as_str())).collect();
    Runner::open(args).await?.run_scripts(&scripts).await
}

/// Runs the script on stdin.
pub(crate) async fn run_stdin(args: &Args) -> Result<()> {
    let script = Script::from_stdin()?;
    Runner::open(args).await?.run_scripts(&[script]).await
}
