//! Signatures over requests, the vectors of RFC 9421 among them.

use base64ct::{Base64, Encoding};
use http::{HeaderValue, Request};
use serde_json::Map;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;

/// RFC 9421 Appendix B.1.5.
const SECRET: &str =
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
/// When the examples of Appendix B.2 were signed.
const CREATED: u64 = 1_618_884_473_000;

fn policy() -> Hmac {
    let secret = Secret::new(&Base64::decode_vec(SECRET).unwrap()).unwrap();
    let identity = Arc::new(Identity::of_key("partner", &[], Map::new(), &[]).unwrap());
    let key = SharedKey { secret, identity, expires_at: Some(CREATED + 1_000_000) };
    Hmac {
        keys: HashMap::from([("test-shared-secret".to_owned(), key)]),
        decoy: Secret::new(&[0; 32]).unwrap(),
        required: vec![Component::Authority],
        allows_unsigned_body: true,
        max_age_ms: 300_000,
        leeway_ms: 60_000,
        label: None,
        tag: None,
        wanted: "".into(),
    }
}

/// The request of Appendix B.2 with these fields.
fn request(fields: &[(&str, &str)]) -> request::Parts {
    let mut request = Request::post("/foo?param=Value&Pet=dog")
        .header("host", "example.com")
        .header("date", "Tue, 20 Apr 2021 02:07:55 GMT")
        .header("content-type", "application/json")
        .header("content-length", "18")
        .header(
            "content-digest",
            "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:",
        );
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn message<'m>(head: &'m request::Parts, host: &'m HeaderValue) -> Message<'m> {
    let length = head.headers.get("content-length");
    let has_body =
        head.headers.contains_key("transfer-encoding") || length.is_some_and(|length| length != "0");
    Message { head, host, encrypted: true, has_body }
}

fn judge(policy: &Hmac, head: &request::Parts, now: Timestamp) -> Result<String, SignatureFault> {
    let host = HeaderValue::from_static("example.com");
    policy.judge(&message(head, &host), now).map(|(key, _)| key.identity.subject.clone())
}

/// The request signed as said, with the right secret.
fn signed(input: &str) -> request::Parts {
    let mut head = request(&[]);
    let Some(Member::List(covered)) = dictionary(&format!("s={input}")).map(|mut all| all.remove(0).1) else {
        panic!("{input}")
    };
    let host = HeaderValue::from_static("example.com");
    let base = message(&head, &host).base(&covered).unwrap_or_default();
    let mac = policy().keys["test-shared-secret"].secret.0.clone().chain_update(base).finalize();
    let signature = format!("s=:{}:", Base64::encode_string(&mac.into_bytes()));
    head.headers.insert(SIGNATURE_INPUT, format!("s={input}").parse().unwrap());
    head.headers.insert(SIGNATURE, signature.parse().unwrap());
    head
}

fn signed_with(components: &str, parameters: &str) -> Result<String, SignatureFault> {
    judge(&policy(), &signed(&format!("({components}){parameters}")), CREATED)
}

const INPUT: &str =
    r#"sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret""#;
const SIGNED: &str = "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:";

#[wasm_bindgen_test(unsupported = test)]
fn the_example_of_the_standard_is_good() {
    // RFC 9421 Appendix B.2.5.
    let head = request(&[("signature-input", INPUT), ("signature", SIGNED)]);
    assert_eq!(judge(&policy(), &head, CREATED).as_deref(), Ok("partner"));
    // Spaces that mean nothing are none of the signature's.
    let spaced = INPUT.replace("\" \"", "\"   \"").replace(";", "; ");
    let head = request(&[("signature-input", &spaced), ("signature", SIGNED)]);
    assert_eq!(judge(&policy(), &head, CREATED).as_deref(), Ok("partner"));
}

#[wasm_bindgen_test(unsupported = test)]
fn whatever_is_covered_can_not_be_changed() {
    let good = request(&[("signature-input", INPUT), ("signature", SIGNED)]);
    let changed = |change: &dyn Fn(&mut request::Parts)| {
        let mut head = good.clone();
        change(&mut head);
        judge(&policy(), &head, CREATED)
    };
    assert!(changed(&|head| drop(head.headers.insert("x-other", "1".parse().unwrap()))).is_ok());
    let wrong = Err(SignatureFault::Wrong);
    assert_eq!(changed(&|head| drop(head.headers.insert("date", "now".parse().unwrap()))), wrong);
    assert_eq!(changed(&|head| assert!(head.headers.append("date", "now".parse().unwrap()))), wrong);
    let input = |from: &'static str, to: &'static str| {
        changed(&|head| {
            drop(head.headers.insert("signature-input", INPUT.replace(from, to).parse().unwrap()))
        })
    };
    assert_eq!(input("created=1618884473", "created=1618884474"), wrong);
    assert_eq!(input("\"date\" ", ""), wrong);
    assert_eq!(input("secret\"", "secret\";nonce=\"x\""), wrong);
    assert_eq!(input("test-shared", "other"), Err(SignatureFault::UnknownKey));
    let signature =
        |text: &'static str| changed(&|head| drop(head.headers.insert("signature", text.parse().unwrap())));
    assert_eq!(signature("sig-b25=:AAAA:"), wrong);
    assert_eq!(signature("sig-b25=::"), wrong);
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_can_not_tell_a_key_that_is_unknown_from_a_wrong_signature() {
    for fault in [SignatureFault::UnknownKey, SignatureFault::EndedKey] {
        let told = |fault: SignatureFault| (fault.status(), fault.code(), fault.detail());
        assert_eq!(told(fault), told(SignatureFault::Wrong));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_signature_has_its_time() {
    let head = request(&[("signature-input", INPUT), ("signature", SIGNED)]);
    let policy = policy();
    assert!(judge(&policy, &head, CREATED - 60_000).is_ok());
    assert_eq!(judge(&policy, &head, CREATED - 60_001), Err(SignatureFault::NotYetValid));
    assert!(judge(&policy, &head, CREATED + 359_999).is_ok());
    assert_eq!(judge(&policy, &head, CREATED + 360_000), Err(SignatureFault::Expired));
    let own = |expires: &str| {
        signed_with("\"@authority\"", &format!(";created=1618884000;keyid=\"test-shared-secret\"{expires}"))
    };
    // Older than it may be, by whatever it says itself.
    assert_eq!(own(";expires=1718884473"), Err(SignatureFault::Expired));
    let own = |expires: &str| {
        signed_with("\"@authority\"", &format!(";created=1618884473;keyid=\"test-shared-secret\"{expires}"))
    };
    assert!(own(";expires=1618884414").is_ok());
    assert_eq!(own(";expires=1618884413"), Err(SignatureFault::Expired));
    assert_eq!(own(";expires=-1"), Err(SignatureFault::Malformed));
    assert_eq!(own(";expires=1618884414.5"), Err(SignatureFault::Malformed));
    let mut ended = self::policy();
    ended.max_age_ms = 10_000_000;
    assert_eq!(judge(&ended, &head, CREATED + 1_000_000), Err(SignatureFault::EndedKey));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_a_signature_says_of_itself_is_read_strictly() {
    let key = ";keyid=\"test-shared-secret\"";
    let with = |parameters: String| signed_with("\"@authority\"", &parameters);
    assert!(with(format!(";created=1618884473{key};alg=\"hmac-sha256\";nonce=\"n\";tag=\"t\"")).is_ok());
    for parameters in [
        key.to_owned(),
        ";created=1618884473".to_owned(),
        format!(";created=\"1618884473\"{key}"),
        format!(";created{key}"),
        ";created=1618884473;keyid=test-shared-secret".to_owned(),
        format!(";created=1618884473{key};alg=hmac-sha256"),
    ] {
        assert_eq!(with(parameters.clone()), Err(SignatureFault::Malformed), "{parameters}");
    }
    for algorithm in ["none", "HMAC-SHA256", "ed25519", "hmac-sha512", ""] {
        let parameters = format!(";created=1618884473{key};alg=\"{algorithm}\"");
        assert_eq!(with(parameters), Err(SignatureFault::Algorithm), "{algorithm}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_signature_covers_what_it_must() {
    let parameters = ";created=1618884473;keyid=\"test-shared-secret\"";
    let with = |components: &str| signed_with(components, parameters);
    assert_eq!(with(""), Err(SignatureFault::Uncovered));
    assert_eq!(with("\"@method\""), Err(SignatureFault::Uncovered));
    assert_eq!(with("\"host\""), Err(SignatureFault::Uncovered));
    assert!(with("\"@target-uri\"").is_ok());
    assert_eq!(with("\"@authority\" \"@authority\""), Err(SignatureFault::Malformed));
    assert_eq!(with("\"@authority\" \"x-absent\""), Err(SignatureFault::Component));
    assert_eq!(with("\"@authority\" \"date\";sf"), Err(SignatureFault::Component));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_body_is_signed_unless_that_is_waived() {
    let parameters = ";created=1618884473;keyid=\"test-shared-secret\"";
    let strict = Hmac { allows_unsigned_body: false, ..policy() };
    let bare = signed(&format!("(\"@authority\"){parameters}"));
    assert_eq!(judge(&strict, &bare, CREATED), Err(SignatureFault::UnsignedBody));
    let mut empty = bare.clone();
    empty.headers.insert("content-length", "0".parse().unwrap());
    assert!(judge(&strict, &empty, CREATED).is_ok());
    empty.headers.remove("content-length");
    assert!(judge(&strict, &empty, CREATED).is_ok());
    empty.headers.insert("transfer-encoding", "chunked".parse().unwrap());
    assert_eq!(judge(&strict, &empty, CREATED), Err(SignatureFault::UnsignedBody));
    let whole = signed(&format!("(\"@authority\" \"content-digest\"){parameters}"));
    assert!(judge(&strict, &whole, CREATED).is_ok());
    let host = HeaderValue::from_static("example.com");
    let digest = |policy: &Hmac, head: &request::Parts| {
        let message = message(head, &host);
        policy.judge(&message, CREATED).unwrap().1.map(|digest| digest.algorithm())
    };
    assert_eq!(digest(&strict, &whole), Some("SHA-512"));
    // A digest that nobody has signed says nothing.
    assert_eq!(digest(&policy(), &bare), None);
}

#[wasm_bindgen_test(unsupported = test)]
fn one_signature_is_meant() {
    let other = r#"other=("@authority");created=1;keyid="other";tag="t""#;
    let both = format!("{INPUT}, {other}");
    let signatures = format!("{SIGNED}, other=:AAAA:");
    let head = request(&[("signature-input", &both), ("signature", &signatures)]);
    assert_eq!(judge(&policy(), &head, CREATED), Err(SignatureFault::Ambiguous));
    let labelled = Hmac { label: Some("sig-b25".to_owned()), ..policy() };
    assert!(judge(&labelled, &head, CREATED).is_ok());
    let tagged = Hmac { tag: Some("t".to_owned()), ..policy() };
    assert_eq!(judge(&tagged, &head, 1_000), Err(SignatureFault::UnknownKey));
    let missing = Hmac { label: Some("none".to_owned()), ..policy() };
    assert_eq!(judge(&missing, &head, CREATED), Err(SignatureFault::Missing));
    assert_eq!(missing.is_present(&head), Ok(false));
    assert_eq!(labelled.is_present(&head), Ok(true));

    for (fields, wanted) in [
        (&[][..], SignatureFault::Missing),
        (&[("signature", SIGNED)], SignatureFault::Malformed),
        (&[("signature-input", INPUT)], SignatureFault::Malformed),
        (&[("signature-input", INPUT), ("signature", "other=:AAAA:")], SignatureFault::Malformed),
        (&[("signature-input", INPUT), ("signature", "sig-b25=AAAA")], SignatureFault::Malformed),
        (&[("signature-input", "sig-b25=1"), ("signature", SIGNED)], SignatureFault::Malformed),
        (
            &[("signature-input", INPUT), ("signature-input", INPUT), ("signature", SIGNED)],
            SignatureFault::Malformed,
        ),
    ] {
        assert_eq!(judge(&policy(), &request(fields), CREATED), Err(wanted), "{fields:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn no_secret_is_shown_or_short() {
    assert!(!format!("{:?}", policy()).contains("uzvJ"));
    assert!(Secret::new(&[1; 31]).is_none());
}

#[wasm_bindgen_test(unsupported = test)]
fn clients_are_told_what_to_sign() {
    let wanted = Hmac::wanted(&[Component::Method, Component::Path], None, Some("a\"b"));
    assert_eq!(&*wanted, r#"sig1=("@method" "@path");created;keyid;alg="hmac-sha256";tag="a\"b""#);
}
