//! The program `headgate`; everything is in the library.

use std::process::ExitCode;

// Linked for the allocator that it sets up.
use headgate_heap as _;

fn main() -> ExitCode {
    headgate::cli::run()
}
