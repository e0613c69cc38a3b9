//! Reads machine code and says which system calls a program can reach.

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
pub mod report;
mod returns;
mod sweep;
mod symbols;
mod uses;
mod values;
mod walk;

use link::Program;
use module::Module;
use report::{Report, Request};

/// What the files hold; `tell` hears how many are done.
pub fn analyse(request: &Request, tell: impl Fn(usize)) -> Report {
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
