//! Generated content, for bodies too large to write down: every 16 bytes tell their own offset, so a piece
//! that is lost, doubled or out of order shows.

use bytes::Bytes;

/// Content of just so many bytes.
pub fn content(size: usize) -> Bytes {
    let mut out = Vec::with_capacity(size + 16);
    while out.len() < size {
        out.extend_from_slice(format!("{:015x}\n", out.len()).as_bytes());
    }
    out.truncate(size);
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_tells_its_offset() {
        assert_eq!(content(20), "000000000000000\n0000");
        assert_eq!(content(16 * 17)[256..], *b"000000000000100\n");
    }
}
