//! Chunks and the trailers behind them.

use super::{Case, HIDDEN, chunked, play};

#[tokio::test]
async fn chunks_that_two_servers_could_read_differently() {
    let end = format!("0\r\n\r\n{HIDDEN}");
    let long = "x".repeat(64 * 1024);
    let refused = [
        ("a plus", "+2\r\nhi\r\n".to_owned()),
        ("0x", "0x2\r\nhi\r\n".to_owned()),
        ("an underscore", "0_2\r\nhi\r\n".to_owned()),
        ("no size", "\r\nhi\r\n".to_owned()),
        ("only an extension", ";a=b\r\nhi\r\n".to_owned()),
        ("NUL behind", "2\0\r\nhi\r\n".to_owned()),
        ("vertical tab", "\x0b2\r\nhi\r\n".to_owned()),
        ("a space before", " 2\r\nhi\r\n".to_owned()),
        ("two numbers", "2 2\r\nhi\r\n".to_owned()),
        ("LF behind the size", "2\nhi\r\n".to_owned()),
        ("CR behind the size", "2\rhi\r\n".to_owned()),
        ("LF in an extension", "2;a\nhi\r\n".to_owned()),
        ("CR in an extension", "2;a\rb\r\nhi\r\n".to_owned()),
        ("LF behind the data", "2\r\nhi\n".to_owned()),
        ("nothing behind the data", "2\r\nhi".to_owned()),
        ("longer than its size", "2\r\nhii\r\n".to_owned()),
        ("2 to the 64", "10000000000000000\r\nhi\r\n".to_owned()),
        (
            "2 to the 64 and 2",
            "10000000000000002\r\nhi\r\n".to_owned(),
        ),
        ("a huge extension", format!("2;{long}\r\nhi\r\n")),
        (
            "many extensions",
            "1;aaaaaaaaaaaaaaaaaaaa\r\nx\r\n".repeat(2000),
        ),
    ];
    let mut cases: Vec<Case> = refused
        .into_iter()
        .map(|(name, chunk)| Case::refused(name, chunked(&format!("{chunk}{end}"))))
        .collect();
    for (name, chunks) in [
        (
            "upper and lower case",
            "A\r\n0123456789\r\na\r\n0123456789\r\n",
        ),
        (
            "leading zeros",
            "000A\r\n0123456789\r\n00a\r\n0123456789\r\n",
        ),
        (
            "a space behind",
            "A \r\n0123456789\r\na\t\r\n0123456789\r\n",
        ),
        (
            "extensions",
            "A;x\r\n0123456789\r\na;y=\"\\\"\"\r\n0123456789\r\n",
        ),
    ] {
        let sent = chunked(&format!("{chunks}0\r\n\r\n"));
        cases.push(Case::taken(name, sent, "01234567890123456789"));
    }
    play("", cases).await;
}

#[tokio::test]
async fn trailers_change_nothing() {
    let long = "x".repeat(128 * 1024);
    let mut cases = Vec::new();
    for trailer in [
        "Content-Length: 500",
        "Transfer-Encoding: chunked",
        "Content-Encoding: gzip",
        "Content-Type: application/json",
        "Host: y",
        "Authorization: Basic eDp5",
        "X-Api-Key: hg_x",
        "Expect: 100-continue",
        "Connection: close",
    ] {
        let sent = chunked(&format!("2\r\nhi\r\n0\r\n{trailer}\r\n\r\n"));
        cases.push(Case::taken(trailer, sent, "hi"));
    }
    for (name, trailer) in [
        ("a request line", "POST /hidden HTTP/1.1".to_owned()),
        ("folded", "X: a\r\n b".to_owned()),
        ("space before the colon", "X : a".to_owned()),
        ("NUL", "X: a\0b".to_owned()),
        ("a long one", format!("X: {long}")),
        ("many", "X: a\r\n".repeat(5000) + "X: a"),
    ] {
        let sent = chunked(&format!("2\r\nhi\r\n0\r\n{trailer}\r\n\r\n{HIDDEN}"));
        cases.push(Case::refused(name, sent));
    }
    play("", cases).await;
}
