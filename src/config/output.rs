//! `[output]`: where events go. Plain data.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use validator::Validate as _;

use crate::config::{checks, unset};
use crate::units::ByteSize;

/// Where events go.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The kind that was asked for; [`Config::output_type`](crate::config::Config::output_type) says what it comes to.
    #[serde(rename = "type", with = "unset")]
    pub kind: Option<OutputType>,
    /// `[output.file]`.
    #[validate(nested)]
    pub file: FileOutput,
}

/// A kind of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputType {
    /// To the Brokers, over HTTP.
    Http,
    /// To files, one an hour.
    File,
    /// To standard output, one event a line.
    Stdout,
}

impl OutputType {
    /// The word of the configuration and of the metrics' label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::File => "file",
            Self::Stdout => "stdout",
        }
    }
}

/// `[output.file]`: the file output.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize, validator::Validate)]
#[serde(deny_unknown_fields)]
pub struct FileOutput {
    /// The folder of the files.
    #[validate(custom(function = checks::folder))]
    pub dir: PathBuf,
    /// The most that the files may take; `None` (written `""`): until the disk is full.
    #[serde(with = "unset")]
    #[validate(custom(function = checks::size_limit))]
    pub max_bytes: Option<ByteSize>,
}
