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

    /// What is wrong between counters that are to tell the same, whatever was done: each event accepted has a source, each
    /// answer that is an error is a refusal, and each refusal for a limit has its limit.
    pub(crate) fn contradictions(&self) -> Vec<String> {
        let all = |_: &Sample| true;
        let is_refusal = |sample: &Sample| {
            let status = sample.labels["status"].as_str();
            let is_answer = status >= "400" && status != "499";
            // An answer about health is none, whatever it says.
            is_answer && (sample.labels["route"].as_str(), status) != ("health", "503")
        };
        let is_of_a_limit = |sample: &Sample| sample.labels["code"] == "rate_limited";
        let equal = [
            (
                self.sum("headgate_source_events_total", all),
                self.sum("headgate_events_accepted_total", all),
                "events by source, and accepted",
            ),
            (
                self.sum("headgate_requests_total", is_refusal),
                self.sum("headgate_requests_refused_total", all),
                "errors answered, and refusals",
            ),
            (
                self.sum("headgate_requests_rate_limited_total", all),
                self.sum("headgate_requests_refused_total", is_of_a_limit),
                "refusals by limit, and for one",
            ),
        ];
        let wrong = equal.into_iter().filter(|(one, other, _)| one != other);
        wrong
            .map(|(one, other, what)| format!("{what}: {one} and {other}"))
            .collect()
    }

    fn sum(&self, name: &str, counts: impl Fn(&Sample) -> bool) -> f64 {
        let of_name = self.samples.iter().filter(|sample| sample.name == name);
        let counted = of_name.filter(|sample| counts(sample));
        counted.map(|sample| sample.value).sum()
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
