//! `compat-reach`: reads a list of files from standard input and writes what the program among them can reach.
//!
//! Input and output are JSON (`report.rs`); progress goes to standard error, a line for each file.

mod calls;
mod details;
mod flow;
mod functions;
mod gates;
mod gopclntab;
mod image;
mod link;
mod module;
mod paths;
mod pointers;
mod report;
mod returns;
mod sweep;
mod symbols;
mod uses;
mod values;
mod walk;

use std::io::{self, Write};
use std::process::ExitCode;

use link::Program;
use module::Module;
use report::{Report, Request};

fn main() -> ExitCode {
    let request: Request = match serde_json::from_reader(io::stdin().lock()) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("compat-reach: the request cannot be read: {error}");
            return ExitCode::from(2);
        }
    };
    let report = analyse(&request);
    match serde_json::to_writer(io::stdout().lock(), &report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compat-reach: {error}");
            ExitCode::from(2)
        }
    }
}

fn analyse(request: &Request) -> Report {
    let mut report = Report::default();
    let mut modules = Vec::new();
    let mut interpreter = None;
    for (number, path) in request.files.iter().enumerate() {
        match Module::open(path) {
            Ok(module) => {
                if request.interpreter.as_ref() == Some(path) {
                    interpreter = Some(modules.len());
                }
                modules.push(module);
            }
            Err(refusal) => {
                report
                    .unknown_files
                    .insert(path.clone(), refusal.to_string());
                if number == 0 {
                    return report;
                }
            }
        }
        // Nobody may be listening.
        let _ = writeln!(io::stderr(), "{} {}", number + 1, request.files.len());
    }
    report.fill(&Program::new(modules, interpreter));
    report
}
