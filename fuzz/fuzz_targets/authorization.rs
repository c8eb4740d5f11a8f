//! Credentials of any bytes in Authorization and X-Api-Key: no panic, and none of them is let in, for the secrets here
//! are longer than anything that is tried.

#![no_main]

use std::sync::OnceLock;

use headgate::config::Config;
use headgate::ingress::fuzzing::Credentials;
use http::{HeaderValue, Request, header};
use libfuzzer_sys::fuzz_target;

/// No input is as long.
const SECRET_BYTES: usize = 8192;

fn credentials() -> &'static Credentials {
    static CREDENTIALS: OnceLock<Credentials> = OnceLock::new();
    CREDENTIALS.get_or_init(|| {
        let password = "x".repeat(SECRET_BYTES);
        // Of no key that anybody knows.
        let hash = format!("sha256:{}", "0f".repeat(32));
        let text = format!("[auth]\nuser = \"u\"\npassword = \"{password}\"\n[[auth.keys]]\nname = \"k\"\nhash = \"{hash}\"\n");
        let folder = std::env::temp_dir().join(format!("headgate-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let file = folder.join("headgate.toml");
        std::fs::write(&file, text).expect("the temporary folder can be written");
        let loaded = Config::load_with(Some(&file), std::iter::empty());
        Credentials::new(&loaded.expect("the configuration here is right").config.auth)
    })
}

fuzz_target!(|input: &[u8]| {
    if input.len() >= SECRET_BYTES {
        return;
    }
    let (mut head, ()) = Request::new(()).into_parts();
    for (number, line) in input.split(|&byte| byte == b'\n').enumerate() {
        let Ok(value) = HeaderValue::from_bytes(line) else {
            continue;
        };
        if number % 2 == 0 {
            head.headers.append(header::AUTHORIZATION, value);
        } else {
            head.headers.append("x-api-key", value);
        }
    }
    assert!(!credentials().let_in(&head));
});
