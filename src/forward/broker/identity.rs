//! How one Broker is told from the others: in metrics, logs, dead letters and the status.

use url::Url;

/// What names a Broker.
pub(in crate::forward) struct Identity {
    /// Its place among the others in `broker.urls`.
    pub(in crate::forward) index: usize,
    /// How it is called in metrics, logs and dead letters; no other has the same.
    pub(in crate::forward) label: String,
    /// Where it is sent to.
    pub(in crate::forward) url: Url,
}

impl Identity {
    /// For the operator's eyes: the query may hold a secret.
    pub(super) fn url_without_query(&self) -> String {
        let mut url = self.url.clone();
        url.set_query(None);
        url.to_string()
    }
}

/// The Brokers of these URLs.
pub(in crate::forward) fn identities(urls: &[Url]) -> Vec<Identity> {
    std::iter::zip(urls, labels(urls))
        .enumerate()
        .map(|(index, (url, label))| Identity {
            index,
            label,
            url: url.clone(),
        })
        .collect()
}

/// How each of these is called: by its address, and by its path too where another has the same address. Never by its
/// query, which may hold a secret: those that differ in nothing else are numbered.
fn labels(urls: &[Url]) -> Vec<String> {
    let addresses: Vec<String> = urls.iter().map(address).collect();
    let label = |(url, address): (&Url, &String)| {
        let are_several = addresses.iter().filter(|other| *other == address).count() > 1;
        let path = if are_several { url.path() } else { "" };
        format!("{address}{path}")
    };
    let labels: Vec<String> = std::iter::zip(urls, &addresses).map(label).collect();
    let numbered = |(index, label): (usize, &String)| {
        let before = labels[..index].iter().filter(|other| *other == label);
        match before.count() {
            0 => label.clone(),
            earlier => format!("{label}#{}", earlier + 1),
        }
    };
    labels.iter().enumerate().map(numbered).collect()
}

/// Host and port.
fn address(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    format!("{host}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_tells_brokers_with_one_address_apart() {
        let labels = |urls: &[&str]| {
            let urls: Vec<Url> = urls.iter().map(|url| url.parse().unwrap()).collect();
            labels(&urls)
        };
        assert_eq!(
            labels(&[
                "http://lb:8080/a?secret=x",
                "http://lb:8080/b",
                "http://lb/a"
            ]),
            ["lb:8080/a", "lb:8080/b", "lb:80"]
        );
        assert_eq!(
            labels(&["https://lb", "http://lb:443/b", "http://lb"]),
            ["lb:443/", "lb:443/b", "lb:80"]
        );
        assert_eq!(
            labels(&[
                "http://lb/in?shard=1",
                "http://lb/in?shard=2",
                "http://lb/",
                "http://lb/in?shard=3"
            ]),
            ["lb:80/in", "lb:80/in#2", "lb:80/", "lb:80/in#3"]
        );
    }
}
