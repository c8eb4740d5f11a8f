//! The trace that a request belongs to, by its headers. Pure.

use http::{HeaderMap, HeaderName};

/// W3C Trace Context, which a client begins and every hop hands on.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// AWS X-Ray. A load balancer of AWS adds one to every request, so it only counts where there is no other.
const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// The trace's id as it stands in `traceparent`, else in `X-Amzn-Trace-Id`; none where neither is valid.
pub(super) fn id(headers: &HeaderMap) -> Option<&str> {
    let parent = only(headers, &TRACEPARENT).and_then(trace_of_parent);
    parent.or_else(|| only(headers, &X_AMZN_TRACE_ID).and_then(root))
}

/// The value of a header that is there once. Of several nobody knows which is the right one.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

/// `version-trace-parent-flags`, all in lower-case hexadecimal; later versions may have more behind it.
fn trace_of_parent(value: &str) -> Option<&str> {
    let mut parts = value.trim_ascii().split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let (parent, flags) = (parts.next()?, parts.next()?);
    let is_whole = match version {
        "ff" => false,
        "00" => parts.next().is_none(),
        _ => true,
    };
    let is_valid = is_whole
        && is_lower_hex(version, 2)
        && is_id(trace, 32)
        && is_id(parent, 16)
        && is_lower_hex(flags, 2);
    is_valid.then_some(trace)
}

/// The `Root` among fields such as `Self=…;Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1`.
fn root(value: &str) -> Option<&str> {
    let mut fields = value.split(';').map(str::trim_ascii);
    let root = fields.find_map(|field| field.strip_prefix("Root="))?;
    let mut parts = root.split('-');
    let mut has = |form: fn(&str) -> bool| parts.next().is_some_and(form);
    let is_valid = has(|version| version == "1")
        && has(|time| is_hex(time, 8))
        && has(|unique| is_hex(unique, 24));
    (is_valid && parts.next().is_none()).then_some(root)
}

/// Not all zero, which means that there is none.
fn is_id(text: &str, digits: usize) -> bool {
    is_lower_hex(text, digits) && text.bytes().any(|digit| digit != b'0')
}

fn is_lower_hex(text: &str, digits: usize) -> bool {
    is_hex(text, digits) && !text.bytes().any(|digit| digit.is_ascii_uppercase())
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";

    fn id_of(lines: &[(&HeaderName, &str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        id(&headers).map(str::to_owned)
    }

    #[test]
    fn a_traceparent_is_read_by_its_specification() {
        for (value, is_valid) in [
            (format!("00-{TRACE}-00f067aa0ba902b7-01"), true),
            (format!("00-{TRACE}-00f067aa0ba902b7-00"), true),
            (format!("cc-{TRACE}-00f067aa0ba902b7-01"), true),
            (
                format!("cc-{TRACE}-00f067aa0ba902b7-01-what-the-future-brings"),
                true,
            ),
            (format!("00-{TRACE}-00f067aa0ba902b7-01-more"), false),
            (format!("00-{TRACE}-00f067aa0ba902b7-01-"), false),
            (format!("cc-{TRACE}-00f067aa0ba902b7-01.more"), false),
            (format!("ff-{TRACE}-00f067aa0ba902b7-01"), false),
            (format!("00-{TRACE}-0000000000000000-01"), false),
            (format!("00-{TRACE}-00f067aa0ba902b7"), false),
            (format!("0-{TRACE}-00f067aa0ba902b7-01"), false),
            (format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)), false),
            (format!("00-{}-00f067aa0ba902b7-01", &TRACE[1..]), false),
            (
                format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
                false,
            ),
            (format!("00-{}-00f067aa0ba902b7-01", "x".repeat(32)), false),
            (format!("00-{TRACE}-00f067aa0ba902b7-0x"), false),
            (String::new(), false),
        ] {
            let expected = is_valid.then(|| TRACE.to_owned());
            assert_eq!(id_of(&[(&TRACEPARENT, &value)]), expected, "{value}");
        }
    }

    #[test]
    fn the_root_is_taken_as_it_stands() {
        for (value, is_valid) in [
            (format!("Root={ROOT}"), true),
            (
                format!("Self=1-67891234-12456789abcdef012345678;Root={ROOT}"),
                true,
            ),
            (
                format!("Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1"),
                true,
            ),
            (format!("Sampled=0; Root={ROOT} ;CalledFrom=app"), true),
            (format!("Self={ROOT}"), false),
            (format!("Root=2{}", &ROOT[1..]), false),
            (format!("Root={ROOT}-1"), false),
            (format!("Root={}", &ROOT[..34]), false),
            (format!("root={ROOT}"), false),
            ("Root=".to_owned(), false),
            (ROOT.to_owned(), false),
        ] {
            let expected = is_valid.then(|| ROOT.to_owned());
            assert_eq!(id_of(&[(&X_AMZN_TRACE_ID, &value)]), expected, "{value}");
        }
    }

    #[test]
    fn the_traceparent_comes_first_and_what_is_there_twice_does_not_count() {
        let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let other = format!("00-{}-00f067aa0ba902b7-01", "1".repeat(32));
        let amazon = format!("Root={ROOT}");
        let amazon = (&X_AMZN_TRACE_ID, amazon.as_str());
        for (lines, expected) in [
            (vec![amazon, (&TRACEPARENT, &parent)], Some(TRACE)),
            (vec![amazon, (&TRACEPARENT, "broken")], Some(ROOT)),
            (vec![(&TRACEPARENT, &parent), (&TRACEPARENT, &other)], None),
            (vec![amazon, amazon], None),
            (vec![], None),
        ] {
            assert_eq!(id_of(&lines).as_deref(), expected, "{lines:?}");
        }
    }
}
