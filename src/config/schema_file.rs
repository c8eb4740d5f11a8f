//! `validate.schema`: a JSON Schema file. Data, and the reading of the file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ReferencingError, ValidationError, Validator};
use seglog::is_out_of_handles;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// A JSON Schema file: its path, and what stood in it when the configuration was loaded.
#[derive(Debug, Clone)]
pub struct SchemaFile {
    path: PathBuf,
    compiled: Option<Arc<Compiled>>,
}

#[derive(Debug)]
struct Compiled {
    document: serde_json::Value,
    validator: Validator,
}

/// A schema file is not what it must be.
#[derive(Debug, Error)]
#[error("the path of a JSON Schema file: this one {0}")]
pub(crate) struct SchemaProblem(Fault);

impl SchemaProblem {
    /// Whether it is no fault of the file's: no further one can be open now.
    pub(super) fn is_out_of_handles(&self) -> bool {
        matches!(&self.0, Fault::Unreadable(error) if is_out_of_handles(error))
    }
}

#[derive(Debug, Error)]
enum Fault {
    #[error("cannot be read ({0})")]
    Unreadable(std::io::Error),
    #[error("is no JSON ({0})")]
    NotJson(serde_json::Error),
    #[error("refers to {0}, which is not in it: put what is meant into its `$defs`")]
    Elsewhere(String),
    #[error("is no valid schema ({0})")]
    Reference(ReferencingError),
    #[error(
        "is no valid schema: at #{0} stands no pattern that can be matched in linear time, without look-around and back-references"
    )]
    Pattern(String),
    #[error("is no valid schema: at #{place}, {message}")]
    Invalid { place: String, message: String },
}

impl SchemaFile {
    /// The deepest nesting of an event that can be checked: as deep as the library reads JSON.
    pub(super) const MAX_DEPTH: usize = 127;

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The schema, ready to be applied.
    ///
    /// # Panics
    /// Where the configuration was not made by [`Config::load`](crate::config::Config::load).
    pub fn validator(&self) -> &Validator {
        let compiled = self.compiled.as_ref();
        &compiled
            .expect("loading a configuration reads the schema")
            .validator
    }

    /// Reads and compiles the file.
    ///
    /// # Errors
    /// A file that is not what it must be.
    pub(crate) fn read(&mut self) -> Result<(), SchemaProblem> {
        let compiled = compile(&self.path).map_err(SchemaProblem)?;
        self.compiled = Some(Arc::new(compiled));
        Ok(())
    }
}

fn compile(path: &Path) -> Result<Compiled, Fault> {
    let bytes = std::fs::read(path).map_err(Fault::Unreadable)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let document = serde_json::from_slice(text).map_err(Fault::NotJson)?;
    let validator = jsonschema::options()
        // Backtracking would let a client choose a text that takes for ever.
        .with_pattern_options(PatternOptions::regex())
        .offline()
        .build(&document)
        .map_err(fault)?;
    Ok(Compiled {
        document,
        validator,
    })
}

fn fault(error: ValidationError<'static>) -> Fault {
    let message = error.masked_with("the value").to_string();
    let place = error.instance_path().to_string();
    match error.into_parts().kind {
        ValidationErrorKind::Referencing(ReferencingError::Unretrievable { uri, .. }) => {
            Fault::Elsewhere(uri)
        }
        ValidationErrorKind::Referencing(error) => Fault::Reference(error),
        ValidationErrorKind::Format { format } if format == "regex" => Fault::Pattern(place),
        _ => Fault::Invalid { place, message },
    }
}

/// Two are the same where their files say the same.
impl PartialEq for SchemaFile {
    fn eq(&self, other: &Self) -> bool {
        let documents = [self, other].map(|file| Some(&file.compiled.as_ref()?.document));
        self.path == other.path && documents[0] == documents[1]
    }
}

impl Serialize for SchemaFile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.path.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SchemaFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self {
            path: PathBuf::deserialize(deserializer)?,
            compiled: None,
        })
    }
}
