//! The `nightjar` command: a prompt for SQL, scripts, models and a demo.
//!
//! Results go to stdout; progress, notes, warnings and errors to stderr. Exit status: 0, 1 for a statement or a
//! store that failed, 2 for wrong usage, 130 when stopped with Ctrl-C.

mod args;
mod console;
mod error;
mod interrupt;
mod launch;
mod log_lines;
mod report;

mod output;
mod progress;
mod progress_bar;
mod runner;
mod script;

mod cluster_command;
mod demo;
mod model_command;
mod reference;
mod repl;
mod serve_command;
mod sql_command;

use std::process::ExitCode;

use args::{Args, Command, JobsCommand};
use error::Result;

fn main() -> ExitCode {
    let args = Args::from_command_line();
    match launch::on_runtime(run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report::write_error(&error);
            ExitCode::from(error.exit_status())
        }
    }
}

async fn run(args: Args) -> Result<()> {
    match &args.command {
        Some(Command::Sql(sql)) => sql_command::run(&args, sql).await,
        Some(Command::Model(command)) => model_command::run(&args, command).await,
        Some(Command::Scheduler(scheduler)) => cluster_command::schedule(&args, scheduler).await,
        Some(Command::Executor(executor)) => cluster_command::execute(&args, executor).await,
        Some(Command::Health(health)) => cluster_command::health(&args, health).await,
        Some(Command::Serve(serve)) => serve_command::serve(&args, serve).await,
        Some(Command::Jobs(JobsCommand::RunDue)) => serve_command::run_due(&args).await,
        Some(Command::Demo) => demo::run(&args).await,
        Some(Command::Reference) => reference::print(),
        None if !args.execute.is_empty() => sql_command::run_texts(&args, &args.execute).await,
        None if console::stdin_is_terminal() => repl::run(&args).await,
        None => sql_command::run_stdin(&args).await,
    }
}
