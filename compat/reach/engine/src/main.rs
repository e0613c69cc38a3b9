//! `compat-reach`: reads a list of files from standard input and writes what the program among them can reach.
//!
//! Input and output are JSON (`report.rs`); progress goes to standard error, a line for each file.

use std::io::{self, Write};
use std::process::ExitCode;

use reach::analyse;
use reach::report::Request;

fn main() -> ExitCode {
    let request: Request = match serde_json::from_reader(io::stdin().lock()) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("compat-reach: the request cannot be read: {error}");
            return ExitCode::from(2);
        }
    };
    // Nobody may be listening.
    let tell = |done| drop(writeln!(io::stderr(), "{done} {}", request.files.len()));
    let report = analyse(&request, tell);
    match serde_json::to_writer(io::stdout().lock(), &report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compat-reach: {error}");
            ExitCode::from(2)
        }
    }
}
