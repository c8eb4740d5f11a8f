//! `headgate keys`: makes API keys. The key is shown once; the configuration holds its hash only.

use std::io::Read;
use std::process::ExitCode;

use clap::Subcommand;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{fault, printed};
use crate::config::ApiKey;

/// 256 bits: a key needs no slow hash, for nobody guesses it.
const KEY_BYTES: usize = 32;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a key and print it once, with the lines for the configuration
    New {
        /// Who the key is for: the user name with HTTP Basic
        #[arg(long, value_parser = ApiKey::check_name)]
        name: String,
    },
}

impl Keys {
    pub(super) fn run(self) -> ExitCode {
        let Self::New { name } = self;
        match new_key() {
            Ok(key) => printed(&announcement(&name, &key)),
            Err(error) => fault(&anyhow::Error::new(error).context("no randomness to be had")),
        }
    }
}

/// A random key, `hg_` and hexadecimal digits: the prefix lets scanners of leaked secrets know it.
fn new_key() -> std::io::Result<String> {
    let mut bytes = [0; KEY_BYTES];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("hg_{}", HEXLOWER.encode(&bytes)))
}

fn announcement(name: &str, key: &str) -> String {
    let hash = HEXLOWER.encode(&Sha256::digest(key.as_bytes()));
    let name = toml::Value::from(name);
    format!(
        "Key (shown only now):\n\n    {key}\n\nFor the configuration:\n\n    [[auth.keys]]\n    name = {name}\n    hash = \"sha256:{hash}\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_a_key_of_the_configuration() {
        let key = new_key().unwrap();
        let text = announcement("web \"1\"", &key);
        let toml = text.split("configuration:").nth(1).unwrap();
        let table: toml::Table = toml.parse().unwrap();
        let entry = table["auth"]["keys"][0].clone();
        assert_eq!(entry["name"].as_str(), Some("web \"1\""));
        let hash: crate::config::KeyHash = entry["hash"].as_str().unwrap().parse().unwrap();
        assert_eq!(hash.as_bytes()[..], Sha256::digest(&key)[..]);
        assert!(!toml.contains(&key));
    }

    #[test]
    fn a_name_that_the_configuration_would_refuse_is_refused_at_once() {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(subcommand)]
            keys: Keys,
        }
        let parse = |name| <Line as clap::Parser>::try_parse_from(["keys", "new", "--name", name]);
        assert!(parse("web \"1\"").is_ok());
        for name in ["a:b", "", "a\nb"] {
            let error = parse(name).unwrap_err().to_string();
            assert!(error.contains("a name without colons"), "{error}");
        }
    }
}
