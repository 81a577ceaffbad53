//! The cases: bytes, and what must come of them. In many stands a request, hidden where it is none; no service may ever
//! see it as one.

/// Bytes, and what must come of them.
#[derive(Debug, Clone)]
pub struct Case {
    /// The claim.
    pub name: String,
    /// What is sent.
    pub bytes: Vec<u8>,
    /// What comes of it.
    pub wish: Wish,
}

/// What must come of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// This status; the connection ends, and the service has seen nothing.
    Refused(u16),
    /// This status, and the service has seen nothing; the connection goes on.
    Answered(u16),
    /// The content breaks off: 400 or the end, and the service has seen no whole request.
    Broken,
    /// The service has seen this: method, target, content.
    Forwarded(&'static str, &'static str, &'static str),
}

use Wish::{Answered, Broken, Forwarded, Refused};

/// What stands in the place of content and of values, and is no request there.
pub const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: gateway.test\r\n\r\n";
const PLAIN: Wish = Forwarded("GET", "/x", "");
const POSTED: Wish = Forwarded("POST", "/x", "hello");

/// All of them.
pub fn all() -> Vec<Case> {
    let mut cases = Cases(Vec::new());
    lines(&mut cases);
    first_line(&mut cases);
    targets(&mut cases);
    fields(&mut cases);
    hosts(&mut cases);
    lengths(&mut cases);
    codings(&mut cases);
    chunks(&mut cases);
    trailers(&mut cases);
    connections(&mut cases);
    sizes(&mut cases);
    cases.0
}

struct Cases(Vec<Case>);

impl Cases {
    fn raw(&mut self, name: &str, bytes: impl AsRef<[u8]>, wish: Wish) {
        self.0.push(Case { name: name.to_owned(), bytes: bytes.as_ref().to_vec(), wish });
    }

    /// A request whose first line is this.
    fn line(&mut self, name: &str, line: &str, wish: Wish) {
        self.raw(name, format!("{line}\r\nHost: gateway.test\r\n\r\n"), wish);
    }

    /// A request with these lines after that of its host.
    fn head(&mut self, name: &str, lines: &str, wish: Wish) {
        self.raw(name, format!("GET /x HTTP/1.1\r\nHost: gateway.test\r\n{lines}\r\n"), wish);
    }

    /// One with content.
    fn post(&mut self, name: &str, lines: &str, content: &str, wish: Wish) {
        self.raw(name, format!("POST /x HTTP/1.1\r\nHost: gateway.test\r\n{lines}\r\n{content}"), wish);
    }

    /// One with chunks.
    fn chunked(&mut self, name: &str, content: &str, wish: Wish) {
        self.post(name, "Transfer-Encoding: chunked\r\n", content, wish);
    }
}

fn lines(cases: &mut Cases) {
    cases.raw("lf_alone_after_the_first_line", "GET /x HTTP/1.1\nHost: gateway.test\r\n\r\n", Refused(400));
    cases.raw("lf_alone_after_a_field", "GET /x HTTP/1.1\r\nHost: gateway.test\n\r\n", Refused(400));
    cases.raw("lf_alone_at_the_end", "GET /x HTTP/1.1\r\nHost: gateway.test\r\n\n", Refused(400));
    cases.raw("lf_alone_everywhere", "GET /x HTTP/1.1\nHost: gateway.test\n\n", Refused(400));
    cases.head("cr_alone_in_a_value", "X-A: a\rb\r\n", Refused(400));
    cases.head("cr_alone_before_a_framing_field", "X-A: a\rTransfer-Encoding: chunked\r\n", Refused(400));
    cases.head("cr_twice_before_lf", "X-A: a\r\r\n", Refused(400));
    cases.raw("cr_alone_after_the_first_line", "GET /x HTTP/1.1\rHost: gateway.test\r\n\r\n", Refused(400));
    cases.raw("lf_before_cr", "GET /x HTTP/1.1\n\rHost: gateway.test\n\r\n\r", Refused(400));
    cases.head("a_request_after_lf_in_a_value", &format!("X-A: a\n\n{HIDDEN}"), Refused(400));
    cases.head("a_request_after_cr_in_a_value", &format!("X-A: a\r\r{HIDDEN}"), Refused(400));
    for (name, byte) in [
        ("nul", '\0'),
        ("backspace", '\u{8}'),
        ("vertical_tab", '\u{b}'),
        ("form_feed", '\u{c}'),
        ("escape", '\u{1b}'),
        ("del", '\u{7f}'),
    ] {
        cases.head(&format!("{name}_in_a_value"), &format!("X-A: a{byte}b\r\n"), Refused(400));
    }
    cases.head("nul_in_a_name", "X\0A: b\r\n", Refused(400));
    cases.line("nul_in_the_target", "GET /x\0y HTTP/1.1", Refused(400));
    cases.line("nul_in_the_method", "G\0T /x HTTP/1.1", Refused(400));
    cases.raw("an_empty_line_first", "\r\nGET /x HTTP/1.1\r\nHost: gateway.test\r\n\r\n", PLAIN);
    cases.raw("two_empty_lines_first", "\r\n\r\nGET /x HTTP/1.1\r\nHost: gateway.test\r\n\r\n", Refused(400));
    cases.raw("lf_first", "\nGET /x HTTP/1.1\r\nHost: gateway.test\r\n\r\n", Refused(400));
    cases.raw("cr_first", "\rGET /x HTTP/1.1\r\nHost: gateway.test\r\n\r\n", Refused(400));
    cases.raw("what_is_tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Refused(400));
    cases.raw("another_protocol", "SSH-2.0-OpenSSH_9.2\r\n", Refused(400));
}

fn first_line(cases: &mut Cases) {
    for (name, line, wish) in [
        ("two_spaces_before_the_target", "GET  /x HTTP/1.1", Refused(400)),
        ("two_spaces_before_the_version", "GET /x  HTTP/1.1", Refused(400)),
        ("a_space_after_the_version", "GET /x HTTP/1.1 ", Refused(400)),
        ("a_space_before_the_method", " GET /x HTTP/1.1", Refused(400)),
        ("a_tab_before_the_target", "GET\t/x HTTP/1.1", Refused(400)),
        ("a_tab_before_the_version", "GET /x\tHTTP/1.1", Refused(400)),
        ("a_space_in_the_target", "GET /x y HTTP/1.1", Refused(400)),
        ("a_version_in_the_target", "GET /x HTTP/1.1 HTTP/1.1", Refused(400)),
        ("no_version", "GET /x", Refused(400)),
        ("no_target", "GET HTTP/1.1", Refused(400)),
        ("no_method", " /x HTTP/1.1", Refused(400)),
        ("http_0_9", "GET /x HTTP/0.9", Refused(505)),
        ("http_1_2", "GET /x HTTP/1.2", Refused(505)),
        ("http_2_0", "GET /x HTTP/2.0", Refused(505)),
        ("http_3_1", "GET /x HTTP/3.1", Refused(505)),
        ("http_1_10", "GET /x HTTP/1.10", Refused(400)),
        ("http_01_1", "GET /x HTTP/01.1", Refused(400)),
        ("http_11", "GET /x HTTP/11", Refused(400)),
        ("http_1_x", "GET /x HTTP/1.x", Refused(400)),
        ("http_in_small_letters", "GET /x http/1.1", Refused(400)),
        ("http_that_is_not", "GET /x HTTPS/1.1", Refused(400)),
        ("a_method_in_small_letters", "get /x HTTP/1.1", Refused(400)),
        ("a_method_in_mixed_letters", "Post /x HTTP/1.1", Refused(400)),
        ("a_method_with_a_sign", "GET@ /x HTTP/1.1", Refused(400)),
        ("a_method_that_is_none", "G,T /x HTTP/1.1", Refused(400)),
        ("a_method_in_quotes", "\"GET\" /x HTTP/1.1", Refused(400)),
        ("a_method_that_nobody_knows", "M-SEARCH /x HTTP/1.1", Forwarded("M-SEARCH", "/x", "")),
    ] {
        cases.line(name, line, wish);
    }
    cases.line("a_method_without_end", &format!("{} /x HTTP/1.1", "A".repeat(100)), Refused(400));
    cases.raw("http_1_0", "GET /x HTTP/1.0\r\nHost: gateway.test\r\n\r\n", PLAIN);
    cases.raw("the_preface_of_http_2_in_pieces_of_http_1", "PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n", Refused(505));
}

fn targets(cases: &mut Cases) {
    for (name, target, wish) in [
        ("a_relative_target", "x", Refused(400)),
        ("a_fragment", "/x#/hidden", Refused(400)),
        ("a_backslash_first", "\\x", Refused(400)),
        ("del_in_the_target", "/x\u{7f}", Refused(400)),
        ("angles_in_the_target", "/<x>", Refused(400)),
        ("quotes_in_the_query", "/x?\"", Refused(400)),
        ("absolute_form_becomes_origin_form", "http://gateway.test/x", PLAIN),
        ("absolute_form_in_capital_letters", "HTTP://gateway.test/x", PLAIN),
        ("absolute_form_without_a_path", "http://gateway.test", Forwarded("GET", "/", "")),
        ("absolute_form_with_a_name_and_a_password", "http://u:p@gateway.test/x", Refused(400)),
        ("absolute_form_with_a_name_that_is_a_host", "http://gateway.test@other.test/x", Refused(400)),
        ("absolute_form_of_another_scheme", "ftp://gateway.test/x", Refused(400)),
        ("absolute_form_without_a_host", "http:///x", Refused(400)),
        ("absolute_form_with_a_query_and_no_path", "http://gateway.test?x", Refused(400)),
        ("absolute_form_with_half_a_bracket", "http://[::1/x", Refused(400)),
        ("absolute_form_with_no_address_in_brackets", "http://[x]/x", Refused(400)),
        ("absolute_form_with_a_port_that_is_none", "http://gateway.test:x/x", Refused(400)),
        ("absolute_form_with_one_slash", "http:/gateway.test/x", Refused(400)),
        ("absolute_form_with_a_backslash", "http://gateway.test\\x", Refused(400)),
        ("two_slashes_name_no_host", "//gateway.test/x", Forwarded("GET", "/gateway.test/x", "")),
        ("a_star_for_get", "*", Refused(400)),
        ("an_authority_for_get", "gateway.test:80", Refused(400)),
        ("dots_are_resolved", "/y/../x", PLAIN),
        ("encoded_dots_are_resolved", "/y/%2e%2E/x", PLAIN),
        ("nul_encoded", "/x%00", Answered(400)),
        ("a_line_end_encoded", "/x%0d%0aX-A:%20b", Answered(400)),
        ("half_an_encoding", "/x%2", Answered(400)),
        ("a_backslash", "/y\\..\\x", Answered(400)),
        ("a_line_end_encoded_in_the_query", "/x?a%0d%0ab", Forwarded("GET", "/x?a%0d%0ab", "")),
    ] {
        cases.line(name, &format!("GET {target} HTTP/1.1"), wish);
    }
    cases.line("a_star_for_options", "OPTIONS * HTTP/1.1", Answered(400));
    cases.line("connect", "CONNECT gateway.test:443 HTTP/1.1", Refused(501));
    cases.line("connect_to_a_path", "CONNECT /x HTTP/1.1", Refused(400));
    cases.line("connect_to_a_url", "CONNECT http://gateway.test/x HTTP/1.1", Refused(400));
    cases.raw(
        "a_request_after_connect",
        format!("CONNECT gateway.test:443 HTTP/1.1\r\nHost: gateway.test\r\n\r\n{HIDDEN}"),
        Refused(501),
    );
    cases.raw("what_is_not_utf_8", b"GET /\xff\xfe HTTP/1.1\r\nHost: gateway.test\r\n\r\n", Refused(400));
    cases.raw(
        "what_is_utf_8_is_encoded",
        "GET /caf\u{e9} HTTP/1.1\r\nHost: gateway.test\r\n\r\n",
        Forwarded("GET", "/caf%C3%A9", ""),
    );
}

fn fields(cases: &mut Cases) {
    for (name, lines, wish) in [
        ("a_space_before_the_colon", "X-A : b\r\n", Refused(400)),
        ("a_tab_before_the_colon", "X-A\t: b\r\n", Refused(400)),
        ("a_line_end_before_the_colon", "X-A\r\n: b\r\n", Refused(400)),
        ("no_colon", "X-A\r\n", Refused(400)),
        ("no_name", ": b\r\n", Refused(400)),
        ("a_colon_alone", ":\r\n", Refused(400)),
        ("a_space_in_a_name", "X A: b\r\n", Refused(400)),
        ("a_bracket_in_a_name", "X(A): b\r\n", Refused(400)),
        ("a_slash_in_a_name", "X/A: b\r\n", Refused(400)),
        ("a_letter_that_is_not_ascii_in_a_name", "X-\u{e9}: b\r\n", Refused(400)),
        ("a_folded_line", "X-A: a\r\n b\r\n", Refused(400)),
        ("a_line_folded_by_a_tab", "X-A: a\r\n\tb\r\n", Refused(400)),
        ("a_folded_line_that_is_empty", "X-A: a\r\n \r\n", Refused(400)),
        ("a_framing_field_that_is_folded", "X-A: a\r\n Transfer-Encoding: chunked\r\n", Refused(400)),
        ("a_framing_field_folded_within", "Transfer-Encoding:\r\n chunked\r\n", Refused(400)),
        ("the_type_twice", "Content-Type: text/plain\r\nContent-Type: text/html\r\n", Refused(400)),
        ("a_value_of_nothing", "X-A:\r\n", PLAIN),
        ("tabs_in_a_value", "X-A:\ta\tb\t\r\n", PLAIN),
        ("letters_that_are_not_ascii_in_a_value", "X-A: \u{e9}\r\n", PLAIN),
        ("an_expectation", "Expect: 100-continue\r\n", PLAIN),
        ("another_expectation", "Expect: 200-ok\r\n", Refused(417)),
        ("two_expectations", "Expect: 100-continue\r\nExpect: 100-continue\r\n", Refused(417)),
    ] {
        cases.head(name, lines, wish);
    }
    cases.raw(
        "a_space_before_the_first_field",
        "GET /x HTTP/1.1\r\n Host: gateway.test\r\n\r\n",
        Refused(400),
    );
    cases.raw(
        "a_tab_before_the_first_field",
        "GET /x HTTP/1.1\r\n\tX: y\r\nHost: gateway.test\r\n\r\n",
        Refused(400),
    );
    cases.post(
        "an_expectation_with_content",
        "Expect: 100-continue\r\nContent-Length: 5\r\n",
        "hello",
        POSTED,
    );
}

fn hosts(cases: &mut Cases) {
    let head = |lines: &str| format!("GET /x HTTP/1.1\r\n{lines}\r\n");
    for (name, lines, wish) in [
        ("no_host", "", Refused(400)),
        ("two_hosts", "Host: gateway.test\r\nHost: other.test\r\n", Refused(400)),
        ("the_same_host_twice", "Host: gateway.test\r\nHost: gateway.test\r\n", Refused(400)),
        ("an_empty_host", "Host:\r\n", Refused(400)),
        ("a_space_in_the_host", "Host: gateway.test x\r\n", Refused(400)),
        ("two_hosts_in_one", "Host: gateway.test, other.test\r\n", Refused(400)),
        ("a_name_before_the_host", "Host: u@gateway.test\r\n", Refused(400)),
        ("a_path_after_the_host", "Host: gateway.test/hidden\r\n", Refused(400)),
        ("a_query_after_the_host", "Host: gateway.test?x\r\n", Refused(400)),
        ("a_backslash_in_the_host", "Host: gateway.test\\x\r\n", Refused(400)),
        ("a_port_that_is_none", "Host: gateway.test:x\r\n", Refused(400)),
        ("two_ports", "Host: gateway.test:80:80\r\n", Refused(400)),
        ("a_space_before_the_colon_of_the_host", "Host : gateway.test\r\n", Refused(400)),
        ("a_host_with_a_port", "Host: gateway.test:80\r\n", PLAIN),
    ] {
        cases.raw(name, head(lines), wish);
    }
    cases.raw("no_host_in_http_1_0", "GET /x HTTP/1.0\r\n\r\n", Refused(400));
    cases.raw(
        "two_hosts_with_absolute_form",
        "GET http://gateway.test/x HTTP/1.1\r\nHost: a.test\r\nHost: b.test\r\n\r\n",
        Refused(400),
    );
    cases.raw(
        "another_host_with_absolute_form_does_not_count",
        "GET http://gateway.test/x HTTP/1.1\r\nHost: other.test\r\n\r\n",
        PLAIN,
    );
}

fn lengths(cases: &mut Cases) {
    for (name, lines, wish) in [
        ("a_length", "Content-Length: 5\r\n", POSTED),
        ("a_length_with_spaces_around_it", "Content-Length:   5  \r\n", POSTED),
        ("a_length_with_a_plus", "Content-Length: +5\r\n", Refused(400)),
        ("a_length_below_zero", "Content-Length: -5\r\n", Refused(400)),
        ("a_length_with_a_comma", "Content-Length: 5, 5\r\n", Refused(400)),
        ("a_length_and_nothing_after_the_comma", "Content-Length: 5,\r\n", Refused(400)),
        ("a_length_in_hexadecimal", "Content-Length: 0x5\r\n", Refused(400)),
        ("a_length_in_octal", "Content-Length: 05\r\n", Refused(400)),
        ("two_numbers", "Content-Length: 5 5\r\n", Refused(400)),
        ("a_fraction", "Content-Length: 5.0\r\n", Refused(400)),
        ("an_exponent", "Content-Length: 5e0\r\n", Refused(400)),
        ("a_length_in_quotes", "Content-Length: \"5\"\r\n", Refused(400)),
        ("a_length_with_a_parameter", "Content-Length: 5;a=b\r\n", Refused(400)),
        ("no_length", "Content-Length:\r\n", Refused(400)),
        ("a_length_after_a_tab", "Content-Length:\t5\r\n", Refused(400)),
        ("a_length_in_other_digits", "Content-Length: \u{665}\r\n", Refused(400)),
        ("a_length_beyond_64_bits", "Content-Length: 18446744073709551621\r\n", Refused(400)),
        ("a_length_of_many_digits", "Content-Length: 99999999999999999999999999\r\n", Refused(400)),
        ("a_length_twice", "Content-Length: 5\r\nContent-Length: 5\r\n", Refused(400)),
        ("two_lengths", "Content-Length: 5\r\nContent-Length: 0\r\n", Refused(400)),
        ("two_lengths_the_other_way", "Content-Length: 0\r\nContent-Length: 5\r\n", Refused(400)),
        ("a_length_with_a_line_below", "Content_Length: 5\r\n", Refused(400)),
        ("a_length_before_a_space", "Content-Length : 5\r\n", Refused(400)),
    ] {
        cases.post(name, lines, "hello", wish);
    }
    let hidden = format!("Content-Length: {}\r\n", HIDDEN.len());
    cases.head(
        "a_request_in_the_content_of_get",
        &format!("{hidden}\r\n{}", &HIDDEN[..HIDDEN.len() - 2]),
        Forwarded("GET", "/x", HIDDEN),
    );
    cases.post("a_request_in_the_content", &hidden, HIDDEN, Forwarded("POST", "/x", HIDDEN));
    cases.post(
        "a_request_after_two_lengths",
        &format!("Content-Length: 0\r\n{hidden}"),
        HIDDEN,
        Refused(400),
    );
    cases.raw(
        "trace_with_content",
        format!("TRACE /x HTTP/1.1\r\nHost: gateway.test\r\n{hidden}\r\n{HIDDEN}"),
        Refused(400),
    );
    cases.raw(
        "connect_with_content",
        format!("CONNECT a.test:1 HTTP/1.1\r\nHost: a.test:1\r\n{hidden}\r\n{HIDDEN}"),
        Refused(400),
    );
    cases.raw(
        "delete_with_content",
        "DELETE /x HTTP/1.1\r\nHost: gateway.test\r\nContent-Length: 5\r\n\r\nhello",
        Forwarded("DELETE", "/x", "hello"),
    );
}

fn codings(cases: &mut Cases) {
    const HELLO: &str = "5\r\nhello\r\n0\r\n\r\n";
    for (name, lines, wish) in [
        ("chunks", "Transfer-Encoding: chunked\r\n", POSTED),
        ("chunks_in_capital_letters", "TRANSFER-ENCODING: Chunked\r\n", POSTED),
        ("chunks_with_spaces_around_the_word", "Transfer-Encoding:  chunked \r\n", POSTED),
        ("chunks_after_a_tab", "Transfer-Encoding:\tchunked\r\n", Refused(400)),
        ("chunks_before_a_tab", "Transfer-Encoding: chunked\t\r\n", Refused(400)),
        ("chunks_after_a_vertical_tab", "Transfer-Encoding: \u{b}chunked\r\n", Refused(400)),
        ("chunks_in_quotes", "Transfer-Encoding: \"chunked\"\r\n", Refused(400)),
        ("another_word", "Transfer-Encoding: xchunked\r\n", Refused(400)),
        ("half_the_word", "Transfer-Encoding: chunk\r\n", Refused(400)),
        ("chunks_with_a_parameter", "Transfer-Encoding: chunked;a=b\r\n", Refused(400)),
        ("chunks_and_a_comma", "Transfer-Encoding: chunked,\r\n", Refused(400)),
        ("a_comma_and_chunks", "Transfer-Encoding: , chunked\r\n", Refused(400)),
        ("chunks_of_chunks", "Transfer-Encoding: chunked, chunked\r\n", Refused(400)),
        ("chunks_and_then_nothing_more", "Transfer-Encoding: chunked, identity\r\n", Refused(400)),
        ("nothing_and_then_chunks", "Transfer-Encoding: identity, chunked\r\n", Refused(400)),
        ("nothing", "Transfer-Encoding: identity\r\n", Refused(400)),
        ("no_word", "Transfer-Encoding:\r\n", Refused(400)),
        ("another_coding_before_chunks", "Transfer-Encoding: gzip, chunked\r\n", Refused(501)),
        ("another_coding_after_chunks", "Transfer-Encoding: chunked, gzip\r\n", Refused(400)),
        ("another_coding", "Transfer-Encoding: gzip\r\n", Refused(400)),
        ("chunks_twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Refused(400)),
        ("chunks_and_another_word", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n", Refused(400)),
        ("another_word_and_chunks", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n", Refused(400)),
        ("chunks_with_a_line_below", "Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", Refused(400)),
        ("chunks_before_a_space", "Transfer-Encoding : chunked\r\n", Refused(400)),
        ("chunks_after_nul", "Transfer-Encoding: \0chunked\r\n", Refused(400)),
        ("a_length_and_chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Refused(400)),
        ("chunks_and_a_length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Refused(400)),
        ("no_length_and_chunks", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", Refused(400)),
        ("a_length_and_another_word", "Content-Length: 15\r\nTransfer-Encoding: xchunked\r\n", Refused(400)),
    ] {
        cases.post(name, lines, HELLO, wish);
    }
    cases.post(
        "a_request_after_chunks_and_a_length",
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n",
        &format!("0\r\n\r\n{HIDDEN}"),
        Refused(400),
    );
    cases.post(
        "a_request_in_chunks_and_a_length",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        &format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len()),
        Refused(400),
    );
    cases.post(
        "a_request_after_chunks_that_are_none",
        "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
        &format!("0\r\n\r\n{HIDDEN}"),
        Refused(400),
    );
    cases.raw(
        "chunks_in_http_1_0",
        format!("POST /x HTTP/1.0\r\nHost: gateway.test\r\nTransfer-Encoding: chunked\r\n\r\n{HELLO}"),
        Refused(400),
    );
    cases.raw("a_request_after_chunks_in_http_1_0", format!("POST /x HTTP/1.0\r\nHost: gateway.test\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{HIDDEN}"), Refused(400));
}

fn chunks(cases: &mut Cases) {
    for (name, content, wish) in [
        ("two_chunks", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", POSTED),
        ("a_size_with_zeros_before_it", "0005\r\nhello\r\n000\r\n\r\n", POSTED),
        ("an_extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n", POSTED),
        ("an_extension_in_quotes", "5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", POSTED),
        ("a_size_after_0x", "0x5\r\nhello\r\n0\r\n\r\n", Broken),
        ("a_size_with_a_plus", "+5\r\nhello\r\n0\r\n\r\n", Broken),
        ("a_size_below_zero", "-5\r\nhello\r\n0\r\n\r\n", Broken),
        ("a_size_after_a_space", " 5\r\nhello\r\n0\r\n\r\n", Broken),
        ("a_size_before_a_space", "5 \r\nhello\r\n0\r\n\r\n", Broken),
        ("a_size_before_a_tab", "5\t\r\nhello\r\n0\r\n\r\n", Broken),
        ("a_size_with_a_line_below", "0_5\r\nhello\r\n0\r\n\r\n", Broken),
        ("no_size", "\r\nhello\r\n0\r\n\r\n", Broken),
        ("an_extension_without_a_size", ";a\r\nhello\r\n0\r\n\r\n", Broken),
        ("a_size_that_is_none", "g\r\nhello\r\n0\r\n\r\n", Broken),
        ("a_size_beyond_64_bits", "10000000000000005\r\nhello\r\n0\r\n\r\n", Broken),
        ("the_largest_size_of_64_bits", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n", Broken),
        ("a_size_with_very_many_zeros", "000000000000000000005\r\nhello\r\n0\r\n\r\n", Broken),
        ("lf_alone_after_a_size", "5\nhello\r\n0\r\n\r\n", Broken),
        ("cr_alone_after_a_size", "5\rhello\r\n0\r\n\r\n", Broken),
        ("lf_alone_in_an_extension", "5;a\nhello\r\n0\r\n\r\n", Broken),
        ("cr_alone_in_an_extension", "5;a\rb\r\nhello\r\n0\r\n\r\n", Broken),
        ("nul_in_an_extension", "5;a\0b\r\nhello\r\n0\r\n\r\n", Broken),
        ("nothing_after_the_content_of_a_chunk", "5\r\nhello0\r\n\r\n", Broken),
        ("lf_alone_after_the_content_of_a_chunk", "5\r\nhello\n0\r\n\r\n", Broken),
        ("cr_alone_after_the_content_of_a_chunk", "5\r\nhello\r0\r\n\r\n", Broken),
        ("a_chunk_longer_than_its_size", "4\r\nhello\r\n0\r\n\r\n", Broken),
        ("a_chunk_shorter_than_its_size", "6\r\nhello\r\n0\r\n\r\n", Broken),
        ("lf_alone_after_the_last_size", "5\r\nhello\r\n0\n\n", Broken),
        ("lf_alone_at_the_end_of_chunks", "5\r\nhello\r\n0\r\n\n", Broken),
        ("cr_twice_at_the_end_of_chunks", "5\r\nhello\r\n0\r\n\r\r\n", Broken),
    ] {
        cases.chunked(name, content, wish);
    }
    cases.chunked(
        "an_extension_without_end",
        &format!("5;a={}\r\nhello\r\n0\r\n\r\n", "x".repeat(300)),
        Broken,
    );
    let many: String = (0..300).map(|_| format!("1;{}\r\nx\r\n", "y".repeat(100))).collect();
    cases.chunked("extensions_without_end", &format!("{many}0\r\n\r\n"), Broken);
    cases.chunked(
        "a_request_in_a_chunk",
        &format!("{:x}\r\n{HIDDEN}\r\n0\r\n\r\n", HIDDEN.len()),
        Forwarded("POST", "/x", HIDDEN),
    );
    cases.chunked("a_request_after_a_broken_size", &format!("5 \r\nhello\r\n0\r\n\r\n{HIDDEN}"), Broken);
    cases.chunked("a_request_in_an_extension", &format!("5;a\n{HIDDEN}\r\nhello\r\n0\r\n\r\n"), Broken);
    cases.chunked("a_request_after_a_size_and_lf", &format!("0\n\n{HIDDEN}"), Broken);
}

fn trailers(cases: &mut Cases) {
    for (name, lines, wish) in [
        ("a_field_after_the_content", "X-Checksum: 1\r\n", POSTED),
        ("a_length_after_the_content", "Content-Length: 5\r\n", Broken),
        ("chunks_after_the_content", "Transfer-Encoding: chunked\r\n", Broken),
        ("a_host_after_the_content", "Host: other.test\r\n", Broken),
        ("a_host_in_other_letters_after_the_content", "hOST: other.test\r\n", Broken),
        ("credentials_after_the_content", "Authorization: Basic YTpi\r\n", Broken),
        ("a_cookie_after_the_content", "Cookie: a=b\r\n", Broken),
        ("an_address_after_the_content", "X-Forwarded-For: 1.1.1.1\r\n", Broken),
        ("an_address_with_a_line_below_after_the_content", "X_Forwarded_For: 1.1.1.1\r\n", Broken),
        ("a_user_after_the_content", "X-User-Id: root\r\n", Broken),
        ("lf_alone_after_a_field_after_the_content", "X-A: b\n", Broken),
        ("a_space_before_a_colon_after_the_content", "X-A : b\r\n", Broken),
        ("a_folded_line_after_the_content", "X-A: b\r\n c\r\n", Broken),
        ("nul_after_the_content", "X-A: \0\r\n", Broken),
        ("no_colon_after_the_content", "GET /hidden HTTP/1.1\r\n", Broken),
    ] {
        cases.chunked(name, &format!("5\r\nhello\r\n0\r\n{lines}\r\n"), wish);
    }
    let many: String = (0..100).map(|number| format!("X-{number}: a\r\n")).collect();
    cases.chunked("very_many_fields_after_the_content", &format!("5\r\nhello\r\n0\r\n{many}\r\n"), Broken);
    cases.chunked(
        "a_large_field_after_the_content",
        &format!("5\r\nhello\r\n0\r\nX-A: {}\r\n\r\n", "x".repeat(9000)),
        Broken,
    );
}

fn connections(cases: &mut Cases) {
    for (name, lines, wish) in [
        ("connection_names_the_length", "Connection: close, content-length\r\n", Refused(400)),
        ("connection_names_the_coding", "Connection: Transfer-Encoding\r\n", Refused(400)),
        ("connection_names_the_host", "Connection: keep-alive, Host\r\n", Refused(400)),
        ("connection_names_the_type", "Connection: keep-alive\r\nConnection: content-type\r\n", Refused(400)),
        ("connection_names_a_field", "Connection: x-secret\r\nX-Secret: 1\r\n", PLAIN),
        (
            "a_change_to_http_2",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n",
            PLAIN,
        ),
        ("a_change_to_http_2_that_is_not_named", "Upgrade: h2c\r\n", PLAIN),
        ("a_change_to_http_2_among_others", "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", PLAIN),
        ("a_change_to_tls", "Connection: upgrade\r\nUpgrade: TLS/1.0\r\n", PLAIN),
        ("a_connection_to_a_proxy", "Proxy-Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n", PLAIN),
        ("trailers_may_come", "TE: trailers, deflate;q=0.5\r\nConnection: TE\r\n", PLAIN),
    ] {
        cases.head(name, lines, wish);
    }
}

fn sizes(cases: &mut Cases) {
    let many: String = (0..101).map(|number| format!("X-{number}: a\r\n")).collect();
    cases.head("very_many_fields", &many, Refused(431));
    cases.head("a_field_without_end", &format!("X-A: {}\r\n", "x".repeat(200_000)), Refused(431));
    cases.head("fields_without_end", &format!("X-A: {}\r\n", "x".repeat(1000)).repeat(200), Refused(431));
    cases.line("a_target_without_end", &format!("GET /{} HTTP/1.1", "x".repeat(70_000)), Refused(414));
    cases.line("a_long_target", &format!("GET /{} HTTP/1.1", "x".repeat(10_000)), Answered(414));
}
