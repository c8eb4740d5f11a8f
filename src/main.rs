//! The program `headgate`; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Without it memory goes back later.
    #[cfg(feature = "jemalloc")]
    let _outcome = headgate_heap::give_back_when_idle();
    headgate::cli::run()
}
