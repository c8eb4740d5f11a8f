//! How long a body may become when it inflates: as long as any body, and not too many times its length. Pure.

use crate::config::Ingest;
use crate::pipeline::DecodeError;

/// How long bodies may become.
#[derive(Clone, Copy, Debug)]
pub(in crate::pipeline) struct InflationLimits {
    max_bytes: usize,
    max_ratio: usize,
}

/// How long one body may become, whatever codings it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pipeline) enum InflationLimit {
    /// As long as any.
    Bytes(usize),
    /// Less, because it came so short.
    Ratio {
        /// What that comes to.
        max_bytes: usize,
        /// The limit.
        max_ratio: usize,
    },
}

impl InflationLimits {
    pub(in crate::pipeline) fn new(ingest: &Ingest) -> Self {
        Self {
            max_bytes: ingest.max_content_length.as_usize(),
            max_ratio: ingest.max_inflation_ratio,
        }
    }

    /// Those of a body that came in so many bytes.
    pub(in crate::pipeline) fn of(self, wire_bytes: usize) -> InflationLimit {
        let Self {
            max_bytes,
            max_ratio,
        } = self;
        let by_ratio = wire_bytes
            .saturating_mul(max_ratio)
            .max(Ingest::FREE_INFLATION);
        if by_ratio < max_bytes {
            InflationLimit::Ratio {
                max_bytes: by_ratio,
                max_ratio,
            }
        } else {
            InflationLimit::Bytes(max_bytes)
        }
    }
}

impl InflationLimit {
    /// Fails when a body has become longer.
    pub(super) fn check(self, bytes: usize) -> Result<(), DecodeError> {
        match self {
            Self::Bytes(max_bytes) if bytes > max_bytes => {
                Err(DecodeError::BodyTooLarge { max_bytes })
            }
            Self::Ratio {
                max_bytes,
                max_ratio,
            } if bytes > max_bytes => Err(DecodeError::InflatesTooMuch { max_ratio }),
            Self::Bytes(_) | Self::Ratio { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_body_becomes_as_long_as_its_ratio_allows() {
        let limits = InflationLimits {
            max_bytes: 100 << 20,
            max_ratio: 250,
        };
        let ratio = |max_bytes| InflationLimit::Ratio {
            max_bytes,
            max_ratio: 250,
        };
        assert_eq!(limits.of(0), ratio(8 << 20));
        assert_eq!(limits.of(1000), ratio(8 << 20));
        assert_eq!(limits.of(100_000), ratio(25_000_000));
        assert_eq!(limits.of(1 << 20), InflationLimit::Bytes(100 << 20));
        assert_eq!(limits.of(usize::MAX), InflationLimit::Bytes(100 << 20));
        let small = InflationLimits {
            max_bytes: 1000,
            ..limits
        };
        assert_eq!(small.of(1), InflationLimit::Bytes(1000));
    }
}
