//! What can be wrong with the bytes of a request's head, before there is a request to look at (RFC 9112): the closed
//! list, with what clients are told of each. Finding it is the host's, which sees the bytes.
//!
//! A fault that core finds itself on hosts that hand it fields has the same code here.

use http::StatusCode;

/// Why bytes are no request that everybody reads alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// More than one empty line before the request (RFC 9112 §2.2 lets one by).
    EmptyLines,
    /// A line that ends by LF alone, or not at all (§2.2).
    LineEnd,
    /// A control character, CR among them, where none may be.
    Control,
    /// The first line is not a method, a target and a version, one space apart (§3).
    RequestLine,
    /// The target is in none of the forms that its method can have (§3.2), or holds what must be encoded.
    Target,
    /// The target is longer than any that can be read.
    TargetTooLong,
    /// A version that is not spoken here.
    Version,
    /// A line that begins with white space: before the first field (§2.2), or a folded one (§5.2).
    Folded,
    /// A field without a name, with white space before its colon (§5.1), or without a colon.
    Field,
    /// A field that can stand only once and does not.
    Repeated,
    /// `Content-Length` is not one number in plain digits (§6.3).
    Length,
    /// `Transfer-Encoding` does not end in `chunked`, or stands in HTTP/1.0 (§6.1).
    Coding,
    /// Codings besides `chunked` (§6.1).
    UnknownCoding,
    /// `Content-Length` beside `Transfer-Encoding` (§6.3).
    Framing,
    /// A field whose name reads like that of one by which requests are framed, with `_` for `-`.
    Alike,
    /// `Connection` names a field that is not for the connection alone.
    Connection,
    /// Content where a method has none (`TRACE`, `CONNECT`).
    Content,
    /// More fields, or larger ones, than are read.
    TooLarge,
}

impl Fault {
    /// Status, code, and what the client is told.
    pub(crate) const fn parts(self) -> (StatusCode, &'static str, &'static str) {
        const MALFORMED: &str = "request.malformed";
        const FRAMING: &str = "request.bad_framing";
        let (code, detail) = match self {
            Self::EmptyLines => (MALFORMED, "The request begins with empty lines."),
            Self::LineEnd => (MALFORMED, "A line of the request does not end with CR and LF."),
            Self::Control => (MALFORMED, "The request's head holds a control character."),
            Self::RequestLine => {
                (MALFORMED, "The request does not begin with method, target and version, one space apart.")
            }
            Self::Target => (MALFORMED, "The request's target is malformed."),
            Self::Folded => (MALFORMED, "A line of the request's head begins with white space."),
            Self::Field => (MALFORMED, "A header field has no proper name."),
            Self::Repeated => (MALFORMED, "A header field that can stand once stands there several times."),
            Self::Length => (FRAMING, "Content-Length is not one number."),
            Self::Coding => (FRAMING, "Transfer-Encoding is not `chunked`."),
            Self::Framing => (FRAMING, "It is unclear where the request ends."),
            Self::Alike => (FRAMING, "A header field could be taken for one that frames the request."),
            Self::Connection => (FRAMING, "Connection names a field that is not for the connection."),
            Self::Content => (FRAMING, "A request with this method has no content."),
            Self::UnknownCoding => {
                let detail = "Transfer-Encoding names a coding that is not understood here.";
                return (StatusCode::NOT_IMPLEMENTED, "request.unknown_coding", detail);
            }
            Self::Version => {
                let detail = "HTTP/1.1 is spoken here.";
                return (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "request.bad_version", detail);
            }
            Self::TargetTooLong => {
                return (StatusCode::URI_TOO_LONG, "request.target_too_long", "The URL is too long.");
            }
            Self::TooLarge => {
                let detail = "The header fields are too large.";
                return (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "request.headers_too_large", detail);
            }
        };
        (StatusCode::BAD_REQUEST, code, detail)
    }

    /// The answer's status.
    pub const fn status(self) -> StatusCode {
        self.parts().0
    }
}
