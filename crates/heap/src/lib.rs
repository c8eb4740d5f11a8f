//! The memory allocator: jemalloc, set up to give back soon what is not used. A program that links this crate
//! allocates with it.
//!
//! Requests come and go with buffers of up to megabytes, made on one thread and freed on another. The
//! system's allocator either maps such buffers anew each time, which takes half of the CPU of large requests,
//! or is left with heaps full of holes: see docs/PERFORMANCE.md for what was measured.

use std::ffi::{CStr, c_char};
use std::io;
use std::ptr::null_mut;
use std::thread;
use std::time::Duration;

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static HEAP: Jemalloc = Jemalloc;

/// Pages that nobody has used for a fifth of a second go back to the system, at once for good; blocks from a
/// mebibyte on go back when they are freed. By default pages stay for ten seconds, and what a burst took
/// would count against the node's memory for as long.
const SETTINGS: &CStr = c"dirty_decay_ms:200,muzzy_decay_ms:0,oversize_threshold:1048576";

/// How often is looked for pages to give back when nobody asks for memory.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// jemalloc's name for giving back what has not been used for long enough, in all of its arenas (`MALLCTL_ARENAS_ALL`).
const DECAY: &CStr = c"arena.4096.decay";

/// What jemalloc reads its settings from when the first block is asked for: a pointer to a C string, by this name
/// (jemalloc(3), "TUNING"). The environment variable `_RJEM_MALLOC_CONF` comes after it and can change them.
// SAFETY: the name is the one that jemalloc was built to look for, and the type the one that it expects
// there: a pointer, which a reference in an `Option` is (std::option, "Representation"), to a text that ends
// with a zero and never goes away.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: Option<&'static c_char> = first_byte(SETTINGS);

const fn first_byte(text: &'static CStr) -> Option<&'static c_char> {
    // SAFETY: a C string has at least the byte that ends it.
    Some(unsafe { &*text.as_ptr() })
}

/// Gives pages back also while nobody asks for memory, from now on and in a thread of its own: by itself
/// jemalloc does so only when it is called, and what the last burst before a quiet night took would stay
/// until the morning. (jemalloc's own thread for that, `background_thread`, does it alone, and is late under
/// load: decompression bombs took 415 MiB instead of 264.)
///
/// # Errors
/// I/O errors: there can be no thread.
pub fn give_back_when_idle() -> io::Result<()> {
    let give_back = || {
        loop {
            thread::sleep(LOOK_EVERY);
            decay();
        }
    };
    let thread = thread::Builder::new().name("headgate-heap".to_owned());
    thread.spawn(give_back).map(drop)
}

fn decay() {
    // SAFETY: the name is a C string, and this one neither reads nor writes a value: all else may be null (jemalloc(3),
    // "arena.<i>.decay").
    let failure = unsafe {
        tikv_jemalloc_sys::mallctl(DECAY.as_ptr(), null_mut(), null_mut(), null_mut(), 0)
    };
    debug_assert_eq!(failure, 0, "jemalloc knows this name");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jemalloc_knows_how_to_give_back() {
        decay();
        give_back_when_idle().unwrap();
    }
}
