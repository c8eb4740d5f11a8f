//! What bodies become, by table.
