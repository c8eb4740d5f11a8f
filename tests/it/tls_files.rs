//! The files of `[server.tls]`: what is wrong with them is told at once, and what becomes of them while the server runs.
