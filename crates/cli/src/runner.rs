//! Runs statements: rows to stdout as they come, everything else to stderr, and Ctrl-C stops it.

use std::io::Write;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use futures::TryStreamExt;
use nightjar_catalog::Store;
use nightjar_engine::{EngineError, Session};
use nightjar_sql::{Parsed, ParsedStatement};
use nightjar_statements::{Chart, Watch, plan_progress, truncated_texts};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::args::Args;
use crate::console;
use crate::error::{CliError, Result};
use crate::interrupt::Interrupt;
use crate::launch;
use crate::log_lines::{self, Voices};
use crate::output::{self, Format, Printer, ValueFormats};
use crate::progress::Progress;
use crate::script::Script;

/// Runs statements in a session.
pub(crate) struct Runner {
    session: Session,
    progress: Arc<Progress>,
    interrupt: Interrupt,
    /// How results are printed.
    pub(crate) format: Format,
    /// Whether a result is followed by its number of rows and its time.
    pub(crate) timing: bool,
    /// Whether somebody types the statements: one without a result is then confirmed.
    confirm: bool,
    printed: bool,
}

/// What a statement at work sends.
enum Event {
    Columns(SchemaRef),
    Rows(RecordBatch),
}

/// What is known when the last row is out.
struct Finished {
    truncated_texts: usize,
    chart: Option<Chart>,
}

impl Runner {
    /// Returns a runner on the store, and on the cluster, of the command line.
    pub(crate) async fn open(args: &Args) -> Result<Self> {
        log_lines::begin(Voices::Ours);
        let progress = Arc::new(Progress::new(args.quiet));
        let session = match args.cluster()? {
            Some(scheduler) => nightjar_cluster::connect(&scheduler, Store::open(args.store())?).await?,
            None => Session::open(args.store())?,
        };
        let session = session.with_watch(Arc::clone(&progress) as Arc<dyn Watch>);
        Ok(Self {
            session,
            progress,
            interrupt: Interrupt::new(),
            format: args.format,
            timing: true,
            confirm: false,
            printed: false,
        })
    }

    /// Returns the runner of a prompt, which confirms what has no result.
    pub(crate) fn interactive(self) -> Self {
        Self { confirm: true, ..self }
    }

    /// Forgets a Ctrl-C that came before: it was for what ran then.
    pub(crate) fn rearm(&mut self) {
        self.interrupt = Interrupt::new();
    }

    /// Returns the session.
    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Returns where notes go.
    pub(crate) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Runs scripts, one after the other. All are parsed before the first statement runs.
    pub(crate) async fn run_scripts(&mut self, scripts: &[Script]) -> Result<()> {
        let mut parsed = Vec::new();
        let mut dialect = self.session.dialect();
        for script in scripts {
            parsed.extend(script.statements_in(&mut dialect)?);
        }
        for placed in parsed {
            self.run(placed.statement).await.map_err(|error| error.at(placed.place))?;
        }
        Ok(())
    }

    /// Runs one statement and prints its result.
    pub(crate) async fn run(&mut self, statement: ParsedStatement) -> Result<()> {
        self.progress.begin();
        let result = self.run_watched(statement).await;
        self.progress.end();
        let (rows, cut, elapsed) = result?;
        if cut {
            self.progress.tell(&format!(
                "the first {rows} rows are shown and the others were not computed: add LIMIT, or send all of them to \
                 a file"
            ));
        }
        if let (true, Format::Table, Some(elapsed)) = (self.timing, self.format, elapsed) {
            let noun = if rows == 1 { "row" } else { "rows" };
            self.progress.tell(&format!("{rows} {noun} in {}", in_words(elapsed)));
        }
        self.progress.say_conclusions();
        Ok(())
    }

    /// Returns the rows printed, whether there were more, and how long it took if there was anything to print.
    async fn run_watched(&mut self, statement: ParsedStatement) -> Result<(usize, bool, Option<Duration>)> {
        let began = Instant::now();
        let (sender, mut events) = mpsc::channel(1);
        // A task of its own: while it computes, this one hears Ctrl-C.
        let width = self.format.chart_width();
        let trains =
            matches!(&statement.parsed, Parsed::Nightjar(ours) if ours.kind().name.ends_with("MODEL"));
        let work = work(self.session.clone(), Arc::clone(&self.progress), statement, sender, width.is_some());
        let mut task = Aborting(tokio::spawn(work));
        let mut printer: Option<Box<dyn Printer>> = None;
        let mut rows = 0;
        loop {
            let event = match self.interrupt.or(events.recv()).await {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(interrupted) => {
                    if !task.stop().await && trains {
                        self.progress
                            .tell("note: a training that had begun goes on by RESUME TRAINING OF its name");
                    }
                    return Err(interrupted);
                }
            };
            match (event, &mut printer) {
                (Event::Columns(schema), printer) => {
                    if !schema.fields().is_empty() {
                        let config = self.session.context().copied_config();
                        let formats = ValueFormats::of(&config.options().format);
                        *printer = Some(self.format.printer(&schema, formats)?);
                        self.separate()?;
                    }
                }
                (Event::Rows(batch), Some(printer)) => {
                    rows += batch.num_rows();
                    self.print(|out| printer.write(&batch, out))?;
                    if printer.is_full() {
                        break;
                    }
                }
                (Event::Rows(_), None) => {}
            }
        }
        let cut = printer.as_ref().is_some_and(|printer| printer.is_full());
        let mut chart = None;
        if !cut {
            let finished = task.join().await?;
            self.warn_of_truncation(finished.truncated_texts);
            chart = finished.chart.zip(width);
        }
        match &mut printer {
            Some(printer) => self.print(|out| printer.finish(out))?,
            None if self.confirm => self.progress.tell("ok"),
            None => {}
        }
        if let Some((chart, width)) = chart {
            self.write_out(output::chart::draw(&chart, width, console::stdout_is_coloured()).as_bytes())?;
        }
        if cut {
            rows = rows.min(crate::output::TERMINAL_ROWS);
        }
        Ok((rows, cut, printer.map(|_| began.elapsed())))
    }

    fn print(&self, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
        let mut text = Vec::new();
        write(&mut text)?;
        self.write_out(&text)
    }

    /// Two results of a script in formats without a frame are kept apart by an empty line.
    fn separate(&mut self) -> Result<()> {
        let framed = self.confirm || matches!(self.format, Format::Table | Format::Json);
        if std::mem::replace(&mut self.printed, true) && !framed {
            self.write_out(b"\n")?;
        }
        Ok(())
    }

    /// Writes to stdout, apart from what is drawn on stderr.
    pub(crate) fn write_out(&self, text: &[u8]) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.progress.suspend(|| {
            let mut out = std::io::stdout().lock();
            out.write_all(text)?;
            out.flush()?;
            Ok(())
        })
    }

    fn warn_of_truncation(&self, texts: usize) {
        match texts {
            0 => {}
            1 => self.progress.warn("1 text was longer than the model's window and was truncated"),
            _ => self
                .progress
                .warn(&format!("{texts} texts were longer than the model's window and were truncated")),
        }
    }
}

/// Runs a statement and sends its columns, then its rows.
async fn work(
    session: Session,
    progress: Arc<Progress>,
    statement: ParsedStatement,
    events: mpsc::Sender<Event>,
    draw: bool,
) -> Result<Finished, EngineError> {
    let chart = if draw { session.chart(&statement)? } else { None };
    let ours = matches!(statement.parsed, Parsed::Nightjar(_));
    let mut running = session.start(statement).await?;
    if !ours {
        let at = plan_progress(running.plan.as_ref());
        progress.phase("running", at.unit, at.total);
    }
    let finished = Finished { truncated_texts: 0, chart: None };
    // The receiver is gone when nobody wants more rows.
    if events.send(Event::Columns(running.schema())).await.is_err() {
        return Ok(finished);
    }
    while let Some(batch) = running.rows.try_next().await? {
        if events.send(Event::Rows(batch)).await.is_err() {
            return Ok(finished);
        }
    }
    Ok(Finished { truncated_texts: truncated_texts(running.plan.as_ref()), chart })
}

/// A task that ends when this is dropped.
struct Aborting(JoinHandle<Result<Finished, EngineError>>);

impl Aborting {
    async fn join(&mut self) -> Result<Finished> {
        match (&mut self.0).await {
            Ok(finished) => Ok(finished?),
            Err(error) => match error.try_into_panic() {
                Ok(payload) => Err(CliError::Internal(launch::panic_message(payload.as_ref()))),
                Err(_) => Err(CliError::Interrupted),
            },
        }
    }

    /// Aborts the task and waits, not for long, until it has tidied up: a runtime that shuts down before would fail what the task
    /// still reads and writes. Returns whether it has.
    async fn stop(&mut self) -> bool {
        self.0.abort();
        // Not the runtime's timer, which stands still while all its workers compute.
        let (sender, late) = oneshot::channel();
        let timer = move || {
            thread::sleep(launch::LAST_WORDS);
            let _ = sender.send(());
        };
        if thread::Builder::new().name("last words".to_owned()).spawn(timer).is_err() {
            return false;
        }
        tokio::select! {
            _ = &mut self.0 => true,
            _ = late => false,
        }
    }
}

impl Drop for Aborting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn in_words(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    if seconds < 60.0 {
        format!("{seconds:.2} s")
    } else {
        format!("{} min {:02} s", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_words() {
        assert_eq!(in_words(Duration::from_millis(423)), "0.42 s");
        assert_eq!(in_words(Duration::from_secs(61)), "1 min 01 s");
    }
}
