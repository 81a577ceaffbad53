//! What JavaScript lends, as this side sees it: declarations alone. `js/call.mjs` and `js/isolate.mjs` are the
//! other side.
//!
//! None of these throws: an exception that passes through WebAssembly leaves behind whatever was at work there. A
//! failure is a text. What takes its time takes a `ticket`, under which its outcome is handed to
//! [`crate::settle`], and never before it has returned.

use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// One request, and all that can be done for it.
    #[derive(Clone)]
    pub type Call;

    /// The request's head, as [`crate::message::received`] reads it.
    #[wasm_bindgen(method)]
    pub(crate) fn head(this: &Call) -> String;

    /// The request's body: a stream, or null.
    #[wasm_bindgen(method)]
    pub(crate) fn body(this: &Call) -> JsValue;

    /// Answers the request.
    #[wasm_bindgen(method)]
    pub(crate) fn answer(this: &Call, head: &str, body: &JsValue);

    /// Sends a request on. `destination` is, a line each, the endpoint's origin, its base path, the target and the
    /// service's name. A body of more than `limit` bytes breaks off, as does one of another `digest` (an algorithm and
    /// the digest in base64, or nothing) than is said; `length` is how many bytes it has, negative where that is not
    /// known. An [`Answer`] comes back, or a text: a kind
    /// of failure and, after a line break, what is known of it.
    ///
    /// Work in the background goes on when the client has left.
    #[wasm_bindgen(method)]
    pub(crate) fn ask(
        this: &Call,
        ticket: u32,
        destination: &str,
        head: &str,
        body: &JsValue,
        limit: f64,
        digest: &str,
        length: f64,
        patience_ms: f64,
        background: bool,
    );

    /// Asks a counter, in numbers (`tollgate_core::counter::numbers`). Those of the answer come back, or a text that
    /// says why it could not be asked in time. What is no draw arrives whether or not anybody waits for the answer.
    #[wasm_bindgen(method)]
    pub(crate) fn count(this: &Call, ticket: u32, key: &str, asked: &[f64], patience_ms: f64);

    /// The same stream, which from now on is watched for a meter: its pieces, if it `reads`, go to [`crate::seen`], its
    /// end to [`crate::ended`], and [`crate::renew`] is called every so many milliseconds, unless they are negative.
    /// The request's context lives until then. `length` is how many bytes there are, negative where that is not known.
    /// Null when it can't be watched.
    #[wasm_bindgen(method)]
    pub(crate) fn meter(
        this: &Call,
        id: u32,
        body: &JsValue,
        length: f64,
        reads: bool,
        renews_every_ms: f64,
    ) -> JsValue;

    /// What is stored under a name: an [`Answer`], or undefined.
    #[wasm_bindgen(method)]
    pub(crate) fn load(this: &Call, ticket: u32, url: &str);

    /// Stores a body with its head, if it ends well and has no more than `limit` bytes; the same body comes back.
    #[wasm_bindgen(method)]
    pub(crate) fn store(
        this: &Call,
        url: &str,
        head: &str,
        seconds: f64,
        encoding: &str,
        limit: f64,
        body: &JsValue,
    ) -> JsValue;

    /// Whether a signature is good: a boolean, or a text that says why the key can't be used.
    #[wasm_bindgen(method)]
    pub(crate) fn verify(
        this: &Call,
        ticket: u32,
        algorithm: &str,
        jwk: &str,
        signature: &[u8],
        message: &[u8],
    );

    /// Signs by a private key: bytes come back, or a text that says why the key can't be used.
    #[wasm_bindgen(method)]
    pub(crate) fn sign(this: &Call, ticket: u32, algorithm: &str, jwk: &str, message: &[u8]);

    /// Keeps the request's context alive when the request is answered.
    #[wasm_bindgen(method)]
    pub(crate) fn hold(this: &Call);

    /// Lets go of it, as often as it was held.
    #[wasm_bindgen(method)]
    pub(crate) fn release(this: &Call);

    /// A response from elsewhere: its head and its body.
    pub(crate) type Answer;

    /// As [`crate::message::answered`] reads it, or as [`crate::cache`] wrote it.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn head(this: &Answer) -> String;

    /// A stream, a WebSocket, or null.
    #[wasm_bindgen(method, getter)]
    pub(crate) fn body(this: &Answer) -> JsValue;
}

#[wasm_bindgen(raw_module = "tollgate/isolate")]
extern "C" {
    /// Says that this instance is lost, and why.
    pub(crate) fn trapped(why: &str);

    /// Says whether anybody looks at client certificates: otherwise they are not handed over.
    pub(crate) fn certify(wanted: bool);

    /// Is settled after so many milliseconds.
    pub(crate) fn sleep(ticket: u32, milliseconds: f64);

    /// Fills a buffer with random bytes.
    pub(crate) fn random(buffer: &mut [u8]);

    /// The bytes of a stream; null when there are more than `limit`; a text when it breaks off.
    pub(crate) fn read(ticket: u32, stream: &JsValue, limit: f64);
}

#[wasm_bindgen]
extern "C" {
    /// A line of the Worker's log.
    #[wasm_bindgen(js_namespace = console, js_name = log)]
    pub(crate) fn log(line: &str);
}
