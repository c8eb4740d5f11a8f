//! Where a body ends: transfer encodings and lengths, alone and together.

use super::{Case, HIDDEN, play, post};

#[tokio::test]
async fn transfer_encodings_that_hide_are_refused() {
    let lines = [
        ("space before the colon", "Transfer-Encoding : chunked\r\n"),
        ("tab before the colon", "Transfer-Encoding\t: chunked\r\n"),
        ("space before the name", " Transfer-Encoding: chunked\r\n"),
        ("vertical tab before", "Transfer-Encoding: \x0bchunked\r\n"),
        ("vertical tab behind", "Transfer-Encoding: chunked\x0b\r\n"),
        ("form feed", "Transfer-Encoding:\x0cchunked\r\n"),
        ("NUL behind", "Transfer-Encoding: chunked\0\r\n"),
        ("line feed before", "Transfer-Encoding:\n chunked\r\n"),
        ("folded", "Transfer-Encoding:\r\n chunked\r\n"),
        ("folded with a tab", "Transfer-Encoding:\r\n\tchunked\r\n"),
        (
            "folded into another",
            "X: a\r\n Transfer-Encoding: chunked\r\n",
        ),
        ("carriage return", "X: a\rTransfer-Encoding: chunked\r\n"),
        ("carriage return behind", "Transfer-Encoding: chunked\r\r\n"),
        (
            "identity behind",
            "Transfer-Encoding: chunked, identity\r\n",
        ),
        (
            "identity before",
            "Transfer-Encoding: identity, chunked\r\n",
        ),
        ("identity alone", "Transfer-Encoding: identity\r\n"),
        ("empty", "Transfer-Encoding: \r\n"),
        ("comma behind", "Transfer-Encoding: chunked,\r\n"),
        ("comma before", "Transfer-Encoding: ,chunked\r\n"),
        ("parameter", "Transfer-Encoding: chunked;q=1\r\n"),
        ("quoted", "Transfer-Encoding: \"chunked\"\r\n"),
        ("bracketed", "Transfer-Encoding: [chunked]\r\n"),
        ("cut", "Transfer-Encoding: chunke\r\n"),
        ("prefixed with a dash", "Transfer-Encoding: -chunked\r\n"),
        ("two words", "Transfer-Encoding: chunked chunked\r\n"),
        ("not ASCII", "Transfer-Encoding: chun\u{212a}ed\r\n"),
        (
            "twice",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "twice, the first unknown",
            "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
        ),
        (
            "twice, one in other letters",
            "Transfer-Encoding: chunked\r\nTRANSFER-ENCODING: cow\r\n",
        ),
        (
            "hidden from a length",
            "Content-Length: 5\r\nTransfer-Encoding: xchunked\r\n",
        ),
    ];
    let cases = lines.map(|(name, lines)| {
        let sent = post(lines, &format!("0\r\n\r\n{HIDDEN}"));
        Case::refused(name, sent)
    });
    play("", cases.into()).await;
}

#[tokio::test]
async fn what_is_no_transfer_encoding_is_none() {
    let known = [
        "Chunked",
        "CHUNKED",
        "  chunked  ",
        "\tchunked\t",
        "chunked",
    ];
    let mut cases: Vec<Case> = known
        .into_iter()
        .map(|value| {
            let lines = format!("Transfer-Encoding:{value}\r\n");
            Case::taken(value, post(&lines, "2\r\nhi\r\n0\r\n\r\n"), "hi")
        })
        .collect();
    // Another header: the request has no body, and what follows is no request.
    cases.push(Case {
        statuses: vec![200, 400],
        ..Case::taken(
            "underscore",
            post(
                "Transfer_Encoding: chunked\r\n",
                &format!("0\r\n\r\n{HIDDEN}"),
            ),
            "",
        )
        .and_closed()
    });
    play("", cases).await;
}

#[tokio::test]
async fn lengths_that_two_servers_could_read_differently() {
    let refused = [
        ("a list of equals", "Content-Length: 5, 5\r\n"),
        ("a comma", "Content-Length: 5,\r\n"),
        ("a point", "Content-Length: 5.0\r\n"),
        ("an exponent", "Content-Length: 5e0\r\n"),
        ("an underscore", "Content-Length: 5_0\r\n"),
        ("hexadecimal", "Content-Length: a\r\n"),
        ("octal", "Content-Length: 0o5\r\n"),
        ("another script", "Content-Length: \u{0665}\r\n"),
        ("minus zero", "Content-Length: -0\r\n"),
        ("vertical tab", "Content-Length: \x0b5\r\n"),
        ("a tab before the colon", "Content-Length\t: 5\r\n"),
        ("a number cut by NUL", "Content-Length: 5\x005\r\n"),
        ("a carriage return", "X: a\rContent-Length: 5\r\n"),
        (
            "differing in letters",
            "content-length: 5\r\nCONTENT-LENGTH: 0\r\n",
        ),
        (
            "one good, one bad",
            "Content-Length: 5\r\nContent-Length: x\r\n",
        ),
    ];
    let mut cases: Vec<Case> = refused
        .into_iter()
        .map(|(name, lines)| Case::refused(name, post(lines, &format!("hello{HIDDEN}"))))
        .collect();
    for (name, lines) in [
        ("spaces around", "Content-Length:  5 \t\r\n"),
        (
            "leading zeros",
            "Content-Length: 0000000000000000000000005\r\n",
        ),
        (
            "twice the same",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
        ),
    ] {
        cases.push(Case::taken(name, post(lines, "hello"), "hello"));
    }
    play("", cases).await;
}

#[tokio::test]
async fn with_both_framings_the_chunks_count_and_nothing_behind_them() {
    let chunks = format!("3\r\nabc\r\n0\r\n\r\n{HIDDEN}");
    let cases = [
        "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 3\r\nTransfer-Encoding: Chunked\r\nContent-Length: 3\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3, 4\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 3\r\nConnection: keep-alive\r\n",
        "Content-Length: 999\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n",
    ];
    let cases = cases.map(|lines| Case::taken(lines, post(lines, &chunks), "abc").and_closed());
    play("", cases.into()).await;
}
