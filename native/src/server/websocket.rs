//! WebSockets over HTTP/2 (RFC 8441): an extended CONNECT becomes the upgrade that HTTP/1.1 has for it, which is what
//! everybody behind knows, and the answer to that one what HTTP/2 has. The bytes are nobody's business here.

use base64ct::{Base64, Encoding};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::ext::Protocol;

const KEY: HeaderName = header::SEC_WEBSOCKET_KEY;

/// A WebSocket that a client wants to open.
pub(super) struct Opening(());

/// The request as HTTP/1.1 would have it. Others are left alone.
pub(super) fn unfold<B>(mut request: Request<B>) -> (Request<B>, Option<Opening>) {
    let is_websocket =
        request.extensions().get::<Protocol>().is_some_and(|protocol| protocol.as_str() == "websocket");
    if request.method() != Method::CONNECT || !is_websocket {
        return (request, None);
    }
    let mut nonce = [0; 16];
    if getrandom::fill(&mut nonce).is_err() {
        // CONNECT is refused, so this is, too.
        return (request, None);
    }
    request.extensions_mut().remove::<Protocol>();
    *request.method_mut() = Method::GET;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    // Only proves that a server knows what it answers to; over HTTP/2 the client has no part in it.
    if let Ok(key) = HeaderValue::try_from(Base64::encode_string(&nonce)) {
        headers.insert(KEY, key);
    }
    (request, Some(Opening(())))
}

impl Opening {
    /// The answer as HTTP/2 has it.
    pub(super) fn fold<B>(self, mut answer: Response<B>) -> Response<B> {
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            *answer.status_mut() = StatusCode::OK;
            for name in [header::CONNECTION, header::UPGRADE, header::SEC_WEBSOCKET_ACCEPT] {
                answer.headers_mut().remove(name);
            }
        } else if answer.status().is_success() {
            // To a CONNECT that would say that the tunnel is open.
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect() -> Request<()> {
        Request::builder()
            .method(Method::CONNECT)
            .uri("https://example.org/chat")
            .extension(Protocol::from_static("websocket"))
            .header("sec-websocket-version", "13")
            .body(())
            .unwrap()
    }

    #[test]
    fn an_extended_connect_becomes_an_upgrade_and_its_answer_comes_back() {
        let (request, opening) = unfold(connect());
        assert_eq!(request.method(), Method::GET);
        assert_eq!(request.headers()[header::UPGRADE], "websocket");
        assert_eq!(request.headers()[KEY].len(), 24);
        let answer = Response::builder()
            .status(101)
            .header("upgrade", "websocket")
            .header("connection", "upgrade")
            .header("sec-websocket-accept", "x")
            .header("sec-websocket-protocol", "chat")
            .body(())
            .unwrap();
        let answer = opening.unwrap().fold(answer);
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers().keys().collect::<Vec<_>>(), ["sec-websocket-protocol"]);
    }

    #[test]
    fn a_service_that_does_not_switch_opens_no_tunnel() {
        let fold = |status| {
            let answer = Response::builder().status(status).body(()).unwrap();
            unfold(connect()).1.unwrap().fold(answer).status()
        };
        assert_eq!(fold(200), 502);
        assert_eq!(fold(401), 401);
    }

    #[test]
    fn other_requests_stay_as_they_are() {
        let plain = Request::builder().method(Method::CONNECT).uri("example.org:443").body(()).unwrap();
        let (request, opening) = unfold(plain);
        assert!(request.method() == Method::CONNECT && opening.is_none());
        let get = Request::builder().uri("https://example.org/").body(()).unwrap();
        assert!(unfold(get).1.is_none());
    }
}
