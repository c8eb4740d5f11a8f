//! The program `headgate`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    headgate::cli::run()
}
