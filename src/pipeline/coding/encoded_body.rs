//! A body as it came, and inflated as far as that is short work. Pure.

use bytes::Bytes;

use super::{ContentCodings, InflationLimit, inflate};
use crate::budget::Reservation;
use crate::pipeline::DecodeError;

/// A body as it came.
#[derive(Clone, Debug, Default)]
pub struct EncodedBody {
    /// Its bytes.
    pub bytes: Bytes,
    /// What is to be undone before it can be read.
    pub(in crate::pipeline) codings: ContentCodings,
}

impl EncodedBody {
    /// A body in these codings.
    pub fn new(bytes: Bytes, codings: ContentCodings) -> Self {
        // Who sends nothing has packed nothing, whatever a header of every request of its says: as with Logstash it is an
        // empty body.
        let codings = if bytes.is_empty() {
            ContentCodings::default()
        } else {
            codings
        };
        Self { bytes, codings }
    }

    /// Whether it has a content coding.
    pub fn is_packed(&self) -> bool {
        !self.codings.is_empty()
    }

    /// The body inflated, where it has one coding and becomes no longer than this; else as it came. `reservation` counts
    /// what it is.
    ///
    /// # Errors
    /// As [`Pipeline::decode`](crate::pipeline::Pipeline::decode), but for the limits on how long a body may become.
    pub fn inflated_within(
        self,
        max_bytes: usize,
        reservation: &mut Reservation,
    ) -> Result<Self, DecodeError> {
        let &[coding] = self.codings.0.as_slice() else {
            return Ok(self);
        };
        let limit = InflationLimit::Bytes(max_bytes);
        match inflate(coding, &self.bytes, limit, reservation) {
            Ok(inflated) => {
                reservation.shrink(self.bytes.len());
                Ok(Self::new(inflated.into(), ContentCodings::default()))
            }
            Err(DecodeError::BodyTooLarge { .. }) => Ok(self),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Coding;
    use super::*;
    use crate::budget::ByteBudget;

    fn zstd(data: &[u8]) -> Vec<u8> {
        zstd::encode_all(data, 1).unwrap()
    }

    #[test]
    fn a_body_that_becomes_too_long_and_one_with_two_codings_stay_as_they_came() {
        let budget = ByteBudget::new(1 << 24);
        let data = b"hello ".repeat(50_000);
        let (once, twice) = ([Coding::Zstd], [Coding::Zstd; 2]);
        for (bytes, codings, max_bytes, is_inflated) in [
            (zstd(&data), &once[..], data.len(), true),
            (zstd(&data), &once, data.len() - 1, false),
            (zstd(&zstd(&data)), &twice, data.len(), false),
            (data.clone(), &[], data.len(), false),
        ] {
            let came = EncodedBody::new(bytes.into(), ContentCodings(codings.to_vec()));
            let mut reservation = budget.reservation();
            reservation.grow(came.bytes.len()).unwrap();
            let body = came.clone().inflated_within(max_bytes, &mut reservation);
            let (body, reserved) = (body.unwrap(), reservation.bytes());
            if is_inflated {
                assert_eq!((&body.bytes[..], &body.codings.0[..]), (&data[..], &[][..]));
                let buffer = data.len()..2 * data.len();
                assert!(buffer.contains(&reserved), "{reserved}");
            } else {
                assert_eq!((&body.bytes, &body.codings), (&came.bytes, &came.codings));
                assert_eq!(reserved, came.bytes.len());
            }
        }
    }

    #[test]
    fn a_broken_one_is_told_and_holds_no_more_than_it_did() {
        let mut reservation = ByteBudget::new(1 << 20).reservation();
        let codings = ContentCodings(vec![Coding::Zstd]);
        let body = EncodedBody::new(Bytes::from_static(b"no zstd"), codings);
        let told = body.inflated_within(1000, &mut reservation).unwrap_err();
        assert_eq!((told, reservation.bytes()), (DecodeError::BadCoding, 0));
    }
}
