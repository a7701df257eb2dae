//! The prompt: statements over several lines, history, completion, and commands that begin with a backslash.

mod command;
mod completion;
mod history;

use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};

use crate::args::Args;
use crate::console::say;
use crate::error::{CliError, Result};
use crate::report;
use crate::runner::Runner;
use crate::script::Script;
use command::{Command, Outcome};
use completion::{SqlCompleter, Words};
use history::History;

const PROMPT: &str = "nightjar> ";
const MORE: &str = "      -> ";

/// The statements that are remembered.
const HISTORY_ENTRIES: usize = 5_000;

type Line = Editor<SqlCompleter, FileHistory>;

/// Runs the prompt until the user leaves.
pub(crate) async fn run(args: &Args) -> Result<()> {
    let mut runner = Runner::open(args).await?.interactive();
    let words = Words::default();
    words.refresh(runner.session());
    let mut line = editor(words.clone()).map_err(failed)?;
    let history = History::open();
    history.load(&mut line);
    if !args.quiet {
        say(&format!("Nightjar {}. \\? lists the commands, \\q leaves.", env!("CARGO_PKG_VERSION")));
    }
    while let Some(input) = read(&mut line)? {
        if input.trim().is_empty() {
            continue;
        }
        // A history that can't be written must not stop the work.
        let _ = line.add_history_entry(input.trim_end());
        history.append(&mut line);
        match answer(&mut runner, &input).await {
            Ok(Outcome::Leave) => break,
            Ok(Outcome::Stay) => {}
            Err(error) => report::write_error(&error),
        }
        words.refresh(runner.session());
    }
    Ok(())
}

async fn answer(runner: &mut Runner, input: &str) -> Result<Outcome> {
    runner.rearm();
    match Command::parse(input)? {
        Some(command) => command.run(runner).await,
        None => runner.run_scripts(&[Script::typed(input)]).await.map(|()| Outcome::Stay),
    }
}

fn editor(words: Words) -> rustyline::Result<Line> {
    let config = Config::builder()
        .max_history_size(HISTORY_ENTRIES)?
        .history_ignore_dups(true)?
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let mut line = Line::with_config(config)?;
    line.set_helper(Some(SqlCompleter::new(words)));
    Ok(line)
}

/// Reads lines until they end a statement or are a command. Ctrl-C gives an empty input, Ctrl-D none.
fn read(line: &mut Line) -> Result<Option<String>> {
    let mut input = String::new();
    loop {
        let prompt = if input.is_empty() { PROMPT } else { MORE };
        match line.readline(prompt) {
            Ok(text) => {
                if input.is_empty() && (text.trim().is_empty() || Command::is_one(&text)) {
                    return Ok(Some(text));
                }
                input.push_str(&text);
                if nightjar_sql::is_complete(&input) {
                    return Ok(Some(input));
                }
                input.push('\n');
            }
            Err(ReadlineError::Interrupted) => return Ok(Some(String::new())),
            Err(ReadlineError::Eof) => return Ok(None),
            // A terminal that was resized mid-line.
            Err(ReadlineError::Signal(_)) => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

fn failed(error: ReadlineError) -> CliError {
    CliError::Prompt(error.to_string())
}
