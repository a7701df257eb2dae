//! The bare encoder as a worker of the side-by-side benchmark in `benches/peers`.
//!
//! It loads a model and the texts once, says `{"ready":true,…}`, and then answers one line of JSON with another:
//! `{"cmd":"run"}` embeds all texts, `{"cmd":"write"}` writes the embeddings of the last run, `{"cmd":"quit"}`
//! ends it.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use nightjar_models::{Embeddings, EncoderOptions, Precision, TextEncoder};
use serde::Deserialize;
use serde_json::{Value, json};

/// Embeds the texts of a file each time a line on stdin asks for it, and says how long that took
#[derive(Debug, Parser)]
#[command(name = "nightjar-encode-bench", version)]
struct Args {
    /// The model: a folder in the sentence-transformers layout
    #[arg(long, value_name = "DIR")]
    model: PathBuf,

    /// The texts, one a line
    #[arg(long, value_name = "FILE")]
    texts: PathBuf,

    /// The numbers that the encoder multiplies
    #[arg(long, default_value = "auto", value_parser = ["auto", "f32", "bf16", "int8"])]
    precision: String,

    /// Threads that compute
    #[arg(long, value_name = "N")]
    threads: usize,

    /// Where `write` puts the embeddings: little-endian f32, row after row
    #[arg(long, value_name = "FILE")]
    embeddings: PathBuf,
}

/// One line of stdin.
#[derive(Debug, Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase")]
enum Request {
    Run,
    Write,
    Quit,
}

fn main() -> ExitCode {
    match serve(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when stderr is closed.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> Result<(), Box<dyn Error>> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(args.threads).build()?;
    let texts = std::fs::read_to_string(&args.texts)?;
    let texts: Vec<&str> = texts.lines().collect();
    let precision = match args.precision.as_str() {
        "auto" => Precision::fastest_true(),
        name => name.parse()?,
    };
    let encoder = TextEncoder::load_with(&args.model, &EncoderOptions::from(precision))?;
    let tokens = encoder.prepare(&texts).total_tokens();
    answer(&json!({"ready": true, "rows": texts.len(), "tokens": tokens}))?;

    let mut embeddings = Embeddings::default();
    for line in io::stdin().lock().lines() {
        match serde_json::from_str(&line?)? {
            Request::Run => {
                let start = Instant::now();
                embeddings = pool.install(|| encoder.embed(&texts))?;
                let seconds = start.elapsed().as_secs_f64();
                answer(&json!({"seconds": seconds, "rows": embeddings.rows(), "tokens": tokens}))?;
            }
            Request::Write => {
                let bytes: Vec<u8> = embeddings.data.iter().flat_map(|value| value.to_le_bytes()).collect();
                std::fs::write(&args.embeddings, bytes)?;
                answer(&json!({"rows": embeddings.rows(), "dim": embeddings.dim}))?;
            }
            Request::Quit => break,
        }
    }
    Ok(())
}

fn answer(value: &Value) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{value}")?;
    stdout.flush()
}
