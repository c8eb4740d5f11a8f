//! The status page: what `/status` shows, for eyes. It is rendered here alone; its script fetches it again and puts the
//! new parts in the place of the old ones, so that what a browser shows is what the tests see.

mod text;
mod verdict;

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use data_encoding::BASE64;
use http::header;
use sha2::{Digest, Sha256};

use super::Status;
use text::{age, bytes, escaped, grouped, utc};
use verdict::Verdict;

/// One file with its style and script, and a `{{name}}` in the place of each value.
const TEMPLATE: &str = include_str!("status.html");

/// Nothing is run or loaded but what the page itself brings.
static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = |tag| {
        let digest = Sha256::digest(element(tag).unwrap_or_default());
        format!("'sha256-{}'", BASE64.encode(&digest))
    };
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash("script"),
        hash("style")
    )
});

/// The page as it is now.
pub(super) fn answer(status: &Status) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CONTENT_SECURITY_POLICY, &CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    (headers, render(status)).into_response()
}

/// What stands in the one element with this name.
fn element(tag: &str) -> Option<&'static str> {
    let (_, rest) = TEMPLATE.split_once(&format!("<{tag}>"))?;
    Some(rest.split_once(&format!("</{tag}>"))?.0)
}

/// The template with its values. What they hold is not looked at again.
fn render(status: &Status) -> String {
    let verdict = Verdict::on(status);
    let mut page = String::with_capacity(2 * TEMPLATE.len());
    let mut rest = TEMPLATE;
    while let Some((before, (name, after))) = next_value(rest) {
        page += before;
        page += &value(name, status, &verdict);
        rest = after;
    }
    page + rest
}

fn next_value(template: &str) -> Option<(&str, (&str, &str))> {
    let (before, rest) = template.split_once("{{")?;
    Some((before, rest.split_once("}}")?))
}

/// One value, as HTML.
fn value(name: &str, status: &Status, verdict: &Verdict) -> String {
    let (spool, books) = (&status.spool, &status.books);
    let counts = &books.counts;
    match name {
        "title" => format!("Headgate: {}", verdict.title()),
        "severity" => verdict.severity().to_owned(),
        "verdict" => verdict.as_html(),
        "phase" => status.phase.as_str().to_owned(),
        "uptime" => age(status.uptime_seconds as f64),
        "spooled" => grouped(books.spooled),
        "spool_bytes" => bytes(spool.bytes),
        "oldest" if spool.events == 0 => "–".to_owned(),
        "oldest" => age(spool.oldest_event_age_seconds),
        "spool_state" if spool.events == 0 => "nothing waits".to_owned(),
        "spool_state" => "since it was accepted".to_owned(),
        "brokers" => brokers(status),
        "listeners" => listeners(status),
        "accepted" => grouped(counts.accepted),
        "rejected" => grouped(counts.rejected),
        "received" => grouped(counts.received),
        "received_exact" => counts.received.to_string(),
        "delivered" => grouped(counts.delivered),
        "delivered_exact" => counts.delivered.to_string(),
        "dead_lettered" => grouped(counts.dead_lettered),
        "lost" => grouped(counts.lost),
        "at_start" => grouped(counts.spooled_at_start),
        "accounted_for" => {
            grouped(counts.delivered + counts.dead_lettered + books.spooled + counts.lost)
        }
        "to_account_for" => grouped(counts.accepted + counts.spooled_at_start),
        "balance" if books.balanced => "The books balance: no event is unaccounted for.".to_owned(),
        "balance" => {
            "Events are under way, so the sums differ for a moment. At rest they must not."
                .to_owned()
        }
        "config_loaded" => escaped(&utc(&status.config.loaded_at)),
        "version" => escaped(status.version),
        unknown => unreachable!("the tests render every value, and there is no {unknown}"),
    }
}

fn brokers(status: &Status) -> String {
    if status.brokers.is_empty() {
        return "<tr><td colspan=\"3\">A local output: files, or standard output</td></tr>"
            .to_owned();
    }
    let row = |broker: &super::BrokerSummary| {
        let state = if broker.up { "up" } else { "down" };
        format!(
            "<tr><th scope=\"row\">{}</th><td class=\"{state}\">{state}</td><td class=\"n\">{}</td></tr>",
            escaped(&broker.url),
            broker.in_flight
        )
    };
    status.brokers.iter().map(row).collect()
}

fn listeners(status: &Status) -> String {
    let row = |listener: &super::ListenerStatus| {
        format!(
            "<tr><th scope=\"row\">Listener, {}</th><td>{}</td></tr>",
            escaped(listener.name),
            escaped(&listener.address)
        )
    };
    status.listeners.iter().map(row).collect()
}

#[cfg(test)]
mod tests;
