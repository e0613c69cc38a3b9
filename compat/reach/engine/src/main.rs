//! `compat-reach`: reads a list of files from standard input and writes what the program among them can reach.
//!
//! Input and output are JSON (`report.rs`); progress goes to standard error, a line for each file.

mod calls;
mod details;
mod escape;
mod flow;
mod functions;
mod gates;
mod gopclntab;
#[cfg(test)]
mod hostile;
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

/// What the files hold; `tell` hears how many are done.
fn analyse(request: &Request, tell: impl Fn(usize)) -> Report {
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
        tell(number + 1);
    }
    report.fill(&Program::new(modules, interpreter));
    report
}
