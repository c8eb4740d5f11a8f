//! The memory allocator: jemalloc, set up to give back soon what is not used. A program that links this crate allocates with
//! it.
//!
//! Requests come and go with buffers of up to megabytes, made on one thread and freed on another. The system's allocator
//! either maps such buffers anew each time, which takes half of the CPU of large requests, or is left with heaps full of
//! holes: see docs/PERFORMANCE.md for what was measured.

use std::ffi::{CStr, c_char};

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static HEAP: Jemalloc = Jemalloc;

/// Pages that nobody has used for a fifth of a second go back to the system, at once for good; blocks from a mebibyte on go
/// back when they are freed. By default pages stay for ten seconds, and what a burst took would count against the node's memory
/// for as long. A thread of its own sees to it: else pages go back only while memory is asked for, and what the last burst
/// before a quiet night took would stay until the morning.
const SETTINGS: &CStr = c"background_thread:true,max_background_threads:1,dirty_decay_ms:200,muzzy_decay_ms:0,oversize_threshold:1048576";

/// What jemalloc reads its settings from when the first block is asked for: a pointer to a C string, by this name
/// (jemalloc(3), "TUNING"). The environment variable `_RJEM_MALLOC_CONF` comes after it and can change them.
// SAFETY: the name is the one that jemalloc was built to look for, and the type the one that it expects there: a pointer,
// which a reference in an `Option` is (std::option, "Representation"), to a text that ends with a zero and never goes away.
#[unsafe(export_name = "_rjem_malloc_conf")]
pub static MALLOC_CONF: Option<&'static c_char> = first_byte(SETTINGS);

const fn first_byte(text: &'static CStr) -> Option<&'static c_char> {
    // SAFETY: a C string has at least the byte that ends it.
    Some(unsafe { &*text.as_ptr() })
}
