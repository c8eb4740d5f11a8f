//! Values as people read them, and as HTML takes them. Pure.

use std::borrow::Cow;

/// Text that HTML takes as text, also within quotes.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            '\'' => html += "&#39;",
            _ => html.push(letter),
        }
    }
    html
}

/// A number, its digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A size in the largest unit that it fills.
pub(super) fn bytes(bytes: usize) -> String {
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in ["KiB", "MiB", "GiB", "TiB"] {
        if size < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    let decimals = usize::from(unit != "B" && size < 100.0);
    format!("{size:.decimals$} {unit}")
}

/// A time as `/status` has it, to the second.
pub(super) fn utc(time: &str) -> String {
    let seconds = time.split('.').next().unwrap_or(time);
    format!("{} UTC", seconds.replace('T', " "))
}

/// A time in the two largest units that it fills.
pub(super) fn age(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds as u64;
    let (minutes, hours, days) = (whole / 60, whole / 3600, whole / 86400);
    let rest = |count: u64, unit: &str| -> Cow<'static, str> {
        match count {
            0 => Cow::Borrowed(""),
            _ => format!(" {count} {unit}").into(),
        }
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{whole} s"),
        (0, 0, _) => format!("{minutes} min{}", rest(whole % 60, "s")),
        (0, _, _) => format!("{hours} h{}", rest(minutes % 60, "min")),
        _ => format!("{days} d{}", rest(hours % 24, "h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sizes_and_times_are_short() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        for (size, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (200 << 20, "200 MiB"),
            (3 << 40, "3.0 TiB"),
            (3 << 52, "12288 TiB"),
        ] {
            assert_eq!(bytes(size), text);
        }
        for (seconds, text) in [
            (0.0, "0.0 s"),
            (0.44, "0.4 s"),
            (59.9, "59 s"),
            (60.0, "1 min"),
            (61.0, "1 min 1 s"),
            (7260.0, "2 h 1 min"),
            (90_000.0, "1 d 1 h"),
        ] {
            assert_eq!(age(seconds), text);
        }
        assert_eq!(utc("2026-01-02T03:04:05.678Z"), "2026-01-02 03:04:05 UTC");
    }

    #[test]
    fn nothing_in_a_text_is_taken_for_html() {
        assert_eq!(
            escaped(r#"<a href="x" title='y'>&amp;</a>"#),
            "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;"
        );
    }
}
