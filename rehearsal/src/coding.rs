//! Content codings, both ways: what upstreams of cases send encoded, and what clients of cases decode.
//!
//! Whole contents only. That a gateway compresses while it streams is shown elsewhere.

use std::io::{self, Read, Write};

use bytes::Bytes;
use tollgate_core::body::Coding;

/// The coding that `Content-Encoding` names; none for those not known here.
pub fn named(token: &str) -> Option<Coding> {
    [Coding::Gzip, Coding::Brotli, Coding::Zstd].into_iter().find(|coding| coding.token() == token)
}

/// `content` in `coding`.
pub fn encode(coding: Coding, content: &[u8]) -> io::Result<Bytes> {
    Ok(match coding {
        Coding::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(content)?;
            encoder.finish()?
        }
        Coding::Brotli => {
            let mut encoder = brotli::CompressorWriter::new(Vec::new(), 4096, 4, 19);
            encoder.write_all(content)?;
            encoder.into_inner()
        }
        Coding::Zstd => zstd::encode_all(content, 1)?,
    }
    .into())
}

/// What `content` in `coding` was before.
pub fn decode(coding: Coding, content: &[u8]) -> io::Result<Bytes> {
    let mut out = Vec::new();
    match coding {
        Coding::Gzip => flate2::read::MultiGzDecoder::new(content).read_to_end(&mut out)?,
        Coding::Brotli => brotli::Decompressor::new(content, 4096).read_to_end(&mut out)?,
        Coding::Zstd => zstd::Decoder::new(content)?.read_to_end(&mut out)?,
    };
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_can_be_decoded() {
        for coding in [Coding::Gzip, Coding::Brotli, Coding::Zstd] {
            let encoded = encode(coding, b"toll and gate and toll").unwrap();
            assert_eq!(decode(coding, &encoded).unwrap(), "toll and gate and toll");
            assert!(decode(coding, b"no such thing").is_err());
        }
    }
}
