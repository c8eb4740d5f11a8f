//! The Prometheus text, read back (<https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>).

use std::collections::BTreeMap;

/// Everything that was scraped.
#[derive(Debug, Default)]
pub(crate) struct Samples {
    /// Types by the name of the metric.
    pub(crate) types: BTreeMap<String, String>,
    /// Help texts by the name of the metric.
    pub(crate) help: BTreeMap<String, String>,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Samples {
    pub(crate) fn parse(text: &str) -> Self {
        let mut all = Self::default();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                let before = all.types.insert(name.into(), kind.into());
                assert!(before.is_none(), "two types of {name}");
            } else if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap();
                all.help.insert(name.into(), help.into());
            } else {
                all.samples.push(Sample::parse(line));
            }
        }
        all
    }

    /// The value of the sample with exactly these labels.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let labels: BTreeMap<String, String> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let mut found = self
            .samples
            .iter()
            .filter(|sample| sample.name == name && sample.labels == labels);
        let value = found.next().map(|sample| sample.value);
        assert!(found.next().is_none(), "{name} {labels:?} twice");
        value
    }

    /// The labels of every sample of this name.
    pub(crate) fn labels(&self, name: &str) -> Vec<&BTreeMap<String, String>> {
        let of_name = self.samples.iter().filter(|sample| sample.name == name);
        of_name.map(|sample| &sample.labels).collect()
    }

    /// Names of samples, those of a histogram's parts too.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.samples.iter().map(|sample| sample.name.as_str())
    }
}

impl Sample {
    /// `name{label="value",…} value`; the tests use no label values with quotes or commas.
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}').unwrap()),
            None => (series, ""),
        };
        let labels = labels
            .split(',')
            .filter(|label| !label.is_empty())
            .map(|label| {
                let (name, value) = label.split_once('=').unwrap();
                (name.to_owned(), value.trim_matches('"').to_owned())
            });
        Self {
            name: name.to_owned(),
            labels: labels.collect(),
            value: value.parse().unwrap(),
        }
    }
}
