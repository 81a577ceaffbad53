//! Whether what came is what should have come, and whether two hosts agree. Says every difference, in words for
//! whoever has to find its reason.

mod decision;
mod fault;
mod json;

pub use self::fault::Fault;
use self::fault::Faults;
use crate::{
    case::expect::{Asked, BodyWish, Expect, FieldWish, UpstreamWish},
    observed::{Fields, Observed},
};

/// Everything in which `observed` is not as wished for.
pub fn judge(expect: &Expect, observed: &Observed) -> Vec<Fault> {
    let mut faults = Faults::default();
    faults.equal("status", &expect.status, &observed.status);
    for (name, wish) in &expect.headers {
        faults.field(&format!("header `{name}`"), name, wish, &observed.headers);
    }
    if let Some(wish) = &expect.body {
        faults.body("body", wish, &observed.body);
    }
    faults.equal("body breaks off", &expect.broken, &observed.broken);
    for (name, wish) in &expect.trailers {
        faults.field(&format!("trailer `{name}`"), name, wish, &observed.trailers);
    }
    if let Some(code) = &expect.refusal {
        refusal(code, observed, &mut faults);
    }
    match &expect.upstream {
        UpstreamWish::Unchecked => {}
        UpstreamWish::Nothing => {
            for (name, asked) in &observed.upstream {
                faults.requests(name, &[], asked);
            }
        }
        UpstreamWish::Asked(wishes) => {
            for (name, wish) in wishes {
                let asked = observed.upstream.get(name).map(Vec::as_slice).unwrap_or_default();
                match wish {
                    Asked::Times(times) => faults.times(name, *times, asked),
                    Asked::Requests(wishes) => faults.requests(name, wishes, asked),
                }
            }
        }
    }
    if let Some(event) = &observed.event {
        for (name, wanted) in &expect.event {
            let found = event.get(name).map_or("", String::as_str);
            faults.equal(&format!("recorded `{name}`"), &wanted.as_str(), &found);
        }
    } else if !expect.event.is_empty() {
        faults.note("recorded", "a request", "nothing");
    }
    decision::judge(expect, observed, &mut faults);
    faults.0
}

/// Everything in which two hosts differ.
pub fn compare(first: &Observed, second: &Observed) -> Vec<Fault> {
    let mut faults = Faults::default();
    faults.equal("status", &first.status, &second.status);
    faults.fields("header", &first.headers, &second.headers);
    faults.bytes("body", &first.body, &second.body);
    faults.equal("body breaks off", &first.broken, &second.broken);
    faults.fields("trailer", &first.trailers, &second.trailers);
    let names = first
        .upstream
        .keys()
        .chain(second.upstream.keys().filter(|name| !first.upstream.contains_key(*name)));
    for name in names {
        let of = |observed: &Observed| observed.upstream.get(name).cloned().unwrap_or_default();
        let (first, second) = (of(first), of(second));
        if first.len() != second.len() {
            let asked = [&first, &second].map(|asked| fault::requests(asked));
            let [first, second] = asked;
            faults.note(format!("requests to `{name}`"), first, second);
            continue;
        }
        for (number, (first, second)) in first.iter().zip(&second).enumerate() {
            let what = format!("request {} to `{name}`", number + 1);
            faults.equal(&format!("{what}: method"), &first.method, &second.method);
            faults.equal(&format!("{what}: path"), &first.path, &second.path);
            faults.fields(&format!("{what}: header"), &joined(&first.headers), &joined(&second.headers));
            faults.bytes(&format!("{what}: body"), &first.body, &second.body);
            faults.fields(&format!("{what}: trailer"), &first.trailers, &second.trailers);
        }
    }
    faults.equal("recorded", &first.event, &second.event);
    faults.0
}

/// A refusal says the same in the content, in the head and in the record (RFC 9457).
fn refusal(code: &str, observed: &Observed, faults: &mut Faults) {
    let id =
        observed.headers.get("x-request-id").and_then(|lines| lines.first()).cloned().unwrap_or_default();
    // To `HEAD` and where the content is not ours to see, the record has to do.
    if !observed.body.is_empty() {
        let wanted = serde_json::json!({
            "type": format!("urn:tollgate:problem:{code}"),
            "status": observed.status,
            "instance": format!("urn:tollgate:request:{id}"),
        });
        faults.body("problem", &BodyWish::Json(wanted), &observed.body);
    }
    let json = FieldWish::Lines(vec!["application/problem+json".to_owned()]);
    faults.field("header `content-type`", "content-type", &json, &observed.headers);
    let recorded = observed.event.as_ref().and_then(|event| event.get("refusal")).map_or("", String::as_str);
    faults.equal("recorded refusal", &code, &recorded);
}

/// Repeated fields as one line each: a host may join them, and that means the same (RFC 9110 §5.3).
fn joined(fields: &Fields) -> Fields {
    fields.iter().map(|(name, lines)| (name.clone(), vec![lines.join(", ")])).collect()
}
