//! Content codings: from the body as it came to the body as it was meant. Bounded while it inflates, so
//! that no bomb grows beyond its limit. Pure.

mod brotli_reader;
mod encoded_body;
mod limit;
mod zlib_reader;

use std::io::Read;

use flate2::bufread::{DeflateDecoder, MultiGzDecoder};
use http::{HeaderMap, header};

use super::DecodeError;
use crate::budget::Reservation;
use brotli_reader::BrotliReader;
pub use encoded_body::EncodedBody;
pub(super) use limit::{InflationLimit, InflationLimits};
use zlib_reader::{ZlibReader, has_header};

/// Log2 of the largest zstd window that is decoded: 8 MiB, what RFC 8878 asks every decoder to take. A frame
/// may ask for 2 GiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// Inflated bytes are read, and their room reserved, in steps of this many.
const STEP: usize = 64 * 1024;

/// More codings than anybody applies on purpose; each takes a pass over the body.
pub(super) const MAX_CODINGS: usize = 4;

/// The content codings of a body, in the order in which they were applied (RFC 9110, 8.4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContentCodings(Vec<Coding>);

/// One content coding (RFC 9110, 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Zstd,
    Brotli,
}

impl ContentCodings {
    /// Those that a request's headers name.
    ///
    /// # Errors
    /// [`DecodeError::UnsupportedCoding`] for one that is not known, [`DecodeError::TooManyCodings`].
    pub fn of(headers: &HeaderMap) -> Result<Self, DecodeError> {
        let values = headers.get_all(header::CONTENT_ENCODING).iter();
        let mut codings = Vec::new();
        for name in values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')) {
            let coding = match name.trim_ascii().to_ascii_lowercase().as_slice() {
                b"gzip" | b"x-gzip" => Coding::Gzip,
                b"deflate" => Coding::Deflate,
                b"zstd" => Coding::Zstd,
                b"br" => Coding::Brotli,
                b"identity" | b"" => continue,
                _ => return Err(DecodeError::UnsupportedCoding),
            };
            codings.push(coding);
        }
        if codings.len() > MAX_CODINGS {
            return Err(DecodeError::TooManyCodings);
        }
        Ok(Self(codings))
    }

    /// Whether the body is as it was meant.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last one first, as they are undone.
    pub(super) fn to_undo(&self) -> impl Iterator<Item = Coding> {
        self.0.iter().rev().copied()
    }
}

/// Undoes one coding. The result's capacity is reserved in `reservation`.
///
/// # Errors
/// [`DecodeError::BadCoding`] when the body is not what the coding says, [`DecodeError::BodyTooLarge`] or
/// [`DecodeError::InflatesTooMuch`] above `limit`, [`DecodeError::NoRoom`] or [`DecodeError::NeverRoom`] when
/// the budget is used up.
pub(super) fn inflate(
    coding: Coding,
    body: &[u8],
    limit: InflationLimit,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, DecodeError> {
    match coding {
        Coding::Gzip => read_all(MultiGzDecoder::new(body), limit, reservation),
        Coding::Deflate => inflate_deflate(body, limit, reservation),
        Coding::Zstd => {
            let mut decoder =
                zstd::Decoder::with_buffer(body).map_err(|_| DecodeError::BadCoding)?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG_MAX)
                .map_err(|_| DecodeError::BadCoding)?;
            read_all(decoder, limit, reservation)
        }
        Coding::Brotli => read_all(BrotliReader::new(body), limit, reservation),
    }
}

/// `deflate` means zlib (RFC 9110, 8.4.1.2), but many senders leave the zlib header out.
fn inflate_deflate(
    body: &[u8],
    limit: InflationLimit,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, DecodeError> {
    if has_header(body) {
        let mut decoder = ZlibReader::new(body);
        let inflated = read_all(&mut decoder, limit, reservation);
        if inflated != Err(DecodeError::BadCoding) {
            return whole(inflated?, decoder.into_rest());
        }
    }
    let mut decoder = DeflateDecoder::new(body);
    let inflated = read_all(&mut decoder, limit, reservation)?;
    whole(inflated, decoder.into_inner())
}

fn whole(inflated: Vec<u8>, rest: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if rest.is_empty() {
        Ok(inflated)
    } else {
        Err(DecodeError::BadCoding)
    }
}

fn read_all(
    mut decoder: impl Read,
    limit: InflationLimit,
    reservation: &mut Reservation,
) -> Result<Vec<u8>, DecodeError> {
    let mut inflated = Vec::new();
    let reserved_before = reservation.bytes();
    let outcome = loop {
        if let Err(error) = make_room(&mut inflated, reservation) {
            break Err(error);
        }
        let step = (inflated.capacity() - inflated.len()) as u64;
        match decoder.by_ref().take(step).read_to_end(&mut inflated) {
            Ok(0) => break Ok(()),
            Ok(_) => {
                if let Err(error) = limit.check(inflated.len()) {
                    break Err(error);
                }
            }
            Err(_) => break Err(DecodeError::BadCoding),
        }
    };
    match outcome {
        Ok(()) => Ok(inflated),
        Err(error) => {
            reservation.shrink(reservation.bytes() - reserved_before);
            Err(error)
        }
    }
}

/// Grows a full buffer, by doubling or by less where there is no room for that, and reserves what it grows by.
fn make_room(buffer: &mut Vec<u8>, reservation: &mut Reservation) -> Result<(), DecodeError> {
    if buffer.len() < buffer.capacity() {
        return Ok(());
    }
    let capacity = buffer.capacity();
    let doubling = capacity.max(STEP);
    let mut enlarge = |more| reservation.enlarge(buffer, capacity + more);
    enlarge(doubling).or_else(|_| enlarge((doubling / 8).max(STEP)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::budget::ByteBudget;

    fn inflate_with(coding: Coding, body: &[u8], max: usize) -> Result<Vec<u8>, DecodeError> {
        inflate(
            coding,
            body,
            InflationLimit::Bytes(max),
            &mut ByteBudget::new(1 << 24).reservation(),
        )
    }

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn brotli(data: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        brotli::CompressorWriter::new(&mut packed, 4096, 5, 20)
            .write_all(data)
            .unwrap();
        packed
    }

    fn deflate(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::DeflateEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(vec![], flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_coding_gives_back_what_was_put_in() {
        let data = b"hello hello hello".repeat(9000);
        let zstd = zstd::encode_all(&data[..], 3).unwrap();
        for (coding, packed) in [
            (Coding::Gzip, gzip(&data)),
            (Coding::Deflate, zlib(&data)),
            (Coding::Deflate, deflate(&data)),
            (Coding::Zstd, zstd),
            (Coding::Brotli, brotli(&data)),
        ] {
            assert_eq!(
                inflate_with(coding, &packed, 1 << 20).unwrap(),
                data,
                "{coding:?}"
            );
            let cut = &packed[..packed.len() - 3];
            assert_eq!(
                inflate_with(coding, cut, 1 << 20),
                Err(DecodeError::BadCoding),
                "{coding:?} cut"
            );
            let too_large = DecodeError::BodyTooLarge { max_bytes: 1000 };
            assert_eq!(
                inflate_with(coding, &packed, 1000),
                Err(too_large),
                "{coding:?} limit"
            );
            let mut tiny = ByteBudget::new(1000).reservation();
            assert_eq!(
                inflate(coding, &packed, InflationLimit::Bytes(1 << 20), &mut tiny),
                Err(DecodeError::NeverRoom)
            );
        }
    }

    #[test]
    fn beyond_its_ratio_a_body_is_refused_and_its_room_given_back() {
        let zeros = vec![0; 300_000];
        let max_ratio = 250;
        for (coding, packed) in [
            (Coding::Gzip, gzip(&zeros)),
            (Coding::Deflate, zlib(&zeros)),
            (Coding::Zstd, zstd::encode_all(&zeros[..], 3).unwrap()),
            (Coding::Brotli, brotli(&zeros)),
        ] {
            let limit = |max_bytes| InflationLimit::Ratio {
                max_bytes,
                max_ratio,
            };
            let budget = ByteBudget::new(1 << 24);
            let mut reservation = budget.reservation();
            assert_eq!(
                inflate(coding, &packed, limit(299_999), &mut reservation),
                Err(DecodeError::InflatesTooMuch { max_ratio }),
                "{coding:?}"
            );
            assert_eq!(budget.used(), 0);
            let whole = inflate(coding, &packed, limit(300_000), &mut reservation);
            assert_eq!(whole.unwrap(), zeros, "{coding:?}");
        }
    }

    #[test]
    fn a_body_that_just_fits_into_the_budget_is_inflated() {
        let zeros = vec![0; 900_000];
        let packed = gzip(&zeros);
        let mut reservation = ByteBudget::new(1_000_000).reservation();
        let limit = InflationLimit::Bytes(1 << 20);
        let inflated = inflate(Coding::Gzip, &packed, limit, &mut reservation).unwrap();
        assert_eq!(inflated, zeros);
        assert_eq!(reservation.bytes(), inflated.capacity());
    }

    #[test]
    fn members_follow_each_other_but_garbage_does_not() {
        for (coding, member) in [
            (Coding::Gzip, gzip(b"a")),
            (Coding::Deflate, zlib(b"a")),
            (Coding::Zstd, zstd::encode_all(&b"a"[..], 1).unwrap()),
            (Coding::Brotli, brotli(b"a")),
        ] {
            let twice = [&member[..], &member].concat();
            assert_eq!(
                inflate_with(coding, &twice, 100).unwrap(),
                b"aa",
                "{coding:?}"
            );
            let garbage = [&member[..], b"\xff\xff\xff\xff"].concat();
            assert_eq!(
                inflate_with(coding, &garbage, 100),
                Err(DecodeError::BadCoding),
                "{coding:?}"
            );
        }
        // Without a header, where a second one begins is anybody's guess.
        let bare = deflate(b"a");
        for behind in [b"\xff\xff\xff\xff", &bare[..]] {
            let garbage = [&bare[..], behind].concat();
            assert_eq!(
                inflate_with(Coding::Deflate, &garbage, 100),
                Err(DecodeError::BadCoding)
            );
        }
        let cut = [&zlib(b"a")[..], &zlib(b"b")[..7]].concat();
        assert_eq!(
            inflate_with(Coding::Deflate, &cut, 100),
            Err(DecodeError::BadCoding)
        );
    }

    #[test]
    fn names_are_read_in_any_case_and_number() {
        let parse = |value: &'static str| {
            let value = http::HeaderValue::from_static(value);
            ContentCodings::of(&HeaderMap::from_iter([(header::CONTENT_ENCODING, value)]))
        };
        let two = ContentCodings(vec![Coding::Gzip, Coding::Brotli]);
        assert_eq!(parse("GZip, br"), Ok(two));
        assert!(parse("identity").unwrap().is_empty());
        assert_eq!(parse("x-gzip,zstd , deflate").unwrap().0.len(), 3);
        assert_eq!(parse("lzma"), Err(DecodeError::UnsupportedCoding));
        assert_eq!(
            parse("gzip,gzip,gzip,gzip,gzip"),
            Err(DecodeError::TooManyCodings)
        );
    }
}
