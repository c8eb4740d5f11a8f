//! What the spool on disk promises, step by step.
