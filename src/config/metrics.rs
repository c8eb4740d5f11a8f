//! `[metrics]`: which sources are told apart. Plain data.

use serde::{Deserialize, Serialize};

use crate::units::FieldReference;

/// Which sources are told apart in the metrics.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Fields of an event whose values become labels.
    pub source_fields: Vec<FieldReference>,
    /// Sources counted by name; further ones are counted together.
    #[validate(range(min = 1, max = 1_000_000))]
    pub max_sources: usize,
}

impl Metrics {
    /// The label of each of `source_fields`: its names in lower case, joined with `_`; what a Prometheus
    /// label name cannot hold becomes `_` too.
    pub fn source_labels(&self) -> Vec<String> {
        self.source_fields.iter().map(label).collect()
    }
}

/// Label names match `[a-zA-Z_][a-zA-Z0-9_]*`, and those with two leading underscores are Prometheus' own
/// (<https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels>).
fn label(field: &FieldReference) -> String {
    let label: String = field
        .path()
        .join("_")
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    if label.starts_with("__") || label.starts_with(|c: char| c.is_ascii_digit()) {
        format!("field_{}", label.trim_start_matches('_'))
    } else {
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_what_prometheus_takes() {
        for (field, expected) in [
            ("Application", "application"),
            ("[cloud][region]", "cloud_region"),
            ("log.level", "log_level"),
            ("log-level", "log_level"),
            ("@type", "_type"),
            ("__name__", "field_name__"),
            ("2nd", "field_2nd"),
        ] {
            assert_eq!(label(&field.parse().unwrap()), expected);
        }
    }
}
