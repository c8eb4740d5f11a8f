//! The content coding of a request's body.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::GzEncoder;

use super::encode::Pieces;
use crate::config::Compression;
use crate::lifecycle::blocking;

/// What is longer is compressed beside the runtime: at some 200 MB/s it would hold up everything else on its thread for
/// longer than the change of threads costs.
const LARGE: u64 = 32 * 1024;

/// The fastest levels. Log events repeat themselves so much that these take off nearly as much as the usual ones: gzip
/// leaves 16 % of a batch of the benchmark's events where level 6 leaves 13 % in three times the time.
const GZIP_LEVEL: flate2::Compression = flate2::Compression::new(1);
const ZSTD_LEVEL: i32 = 1;

/// The body as it is sent.
pub(super) async fn compress(body: Pieces, compression: Compression) -> Pieces {
    let code = match compression {
        Compression::None => return body,
        Compression::Gzip => gzip,
        Compression::Zstd => zstd,
    };
    let coded = if body.bytes() <= LARGE {
        code(&body)
    } else {
        blocking(move || code(&body)).await
    };
    Pieces::from(Bytes::from(coded.expect("writing to memory cannot fail")))
}

fn gzip(body: &Pieces) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), GZIP_LEVEL);
    for piece in body.pieces() {
        encoder.write_all(piece)?;
    }
    encoder.finish()
}

fn zstd(body: &Pieces) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
    // Told the length, it takes no more memory than the body needs.
    encoder.set_pledged_src_size(Some(body.bytes()))?;
    for piece in body.pieces() {
        encoder.write_all(piece)?;
    }
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::io::Read;

    use super::*;

    #[tokio::test]
    async fn what_is_compressed_inflates_to_the_same_bytes() {
        let line = Bytes::from_static(b"{\"message\":\"order accepted\"},\n");
        for pieces in [1, 3, 10_000] {
            let body = Pieces::from(VecDeque::from(vec![line.clone(); pieces]));
            let plain: Vec<u8> = body.pieces().flatten().copied().collect();
            for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let sent = compress(body.clone(), compression).await;
                let sent: Vec<u8> = sent.pieces().flatten().copied().collect();
                let mut inflated = Vec::new();
                match compression {
                    Compression::None => inflated.clone_from(&sent),
                    Compression::Gzip => {
                        let mut decoder = flate2::read::GzDecoder::new(&sent[..]);
                        decoder.read_to_end(&mut inflated).unwrap();
                    }
                    Compression::Zstd => inflated = zstd::decode_all(&sent[..]).unwrap(),
                }
                assert!(inflated == plain, "{compression:?}, {pieces} pieces");
            }
        }
    }
}
