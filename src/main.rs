//! The program `headgate`; everything is in the library.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// Bodies and envelopes of a hundred kilobytes come and go with each request. The system's allocator gives such pieces
/// back and has them faulted in again; this one keeps them.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    headgate::cli::run()
}
