//! One field line (RFC 9112 §5): a name, a colon directly after it, and a value. What values mean is not known here.

use tollgate_core::malformed::Fault;

/// What a name is made of (`tchar`, RFC 9110 §5.6.2).
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "it is below 256")]
        let char = byte as u8;
        table[byte] = char.is_ascii_alphanumeric()
            || matches!(
                char,
                b'!' | b'#'
                    | b'$'
                    | b'%'
                    | b'&'
                    | b'\''
                    | b'*'
                    | b'+'
                    | b'-'
                    | b'.'
                    | b'^'
                    | b'_'
                    | b'`'
                    | b'|'
                    | b'~'
            );
        byte += 1;
    }
    table
};

/// Whether this is a token, which is at least one character.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| TOKEN[usize::from(byte)])
}

/// Splits a line, which holds no control character, into a name and its value. White space around the value is left.
#[inline]
pub(super) fn split(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    let end = line.iter().position(|&byte| !TOKEN[usize::from(byte)]);
    match end {
        Some(0) if matches!(line.first(), Some(b' ' | b'\t')) => Err(Fault::Folded),
        Some(end) if end > 0 && line.get(end) == Some(&b':') => Ok((&line[..end], &line[end + 1..])),
        _ => Err(Fault::Field),
    }
}

/// The value without the spaces around it. HTAB may stand there too (`OWS`), but not where a difference would matter.
pub(super) fn trim_spaces(mut value: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = value {
        value = rest;
    }
    value
}

/// The members of a list, without white space around them.
pub(super) fn members(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether `name` is `wanted`, which is in lower case.
#[inline]
pub(super) fn is(name: &[u8], wanted: &[u8]) -> bool {
    name.eq_ignore_ascii_case(wanted)
}

/// Whether `name` is `wanted` for those who take `_` for `-`.
pub(super) fn is_alike(name: &[u8], wanted: &[u8]) -> bool {
    let plain = |byte: &u8| if *byte == b'_' { b'-' } else { byte.to_ascii_lowercase() };
    name.len() == wanted.len() && name.iter().map(plain).eq(wanted.iter().copied())
}
