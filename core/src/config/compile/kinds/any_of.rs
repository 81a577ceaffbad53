//! `AnyOf` checked: each way must be reachable. Two that look in the same place are one too many, as the first that
//! finds a credential decides.

use crate::{
    config::{compile::Bench, node::Node, problem::Problem},
    policy::{Way, jwt_validation::TokenSource},
};

/// Notes ways that would never be asked; `items` are where they are written.
pub(super) fn reachable(ways: &[Way], items: &[Node], bench: &Bench<'_>) {
    for (way, item) in ways.iter().zip(items) {
        if let Way::JwtValidation(policy) = way
            && policy.optional
        {
            let message = "within `AnyOf` a way is taken because its credential is there: none is optional";
            let problem = Problem::error(item.span_of("mode"), message);
            bench.note(problem.cure("leave `mode` out, or use this policy alone"));
        }
    }
    let all = || ways.iter().zip(items);
    for (at, (way, item)) in all().enumerate() {
        let Some((first, place)) = all().take(at).find(|(other, _)| is_same_place(other, way)) else {
            continue;
        };
        let names = (way.name(), first.name());
        let message = match names {
            (own, other) if own == other => format!("a second `{own}` looks {} too", place_of(way)),
            (own, other) => format!("`{own}` looks {} as `{other}` does", place_of(way)),
        };
        let cure = match way {
            Way::BasicAuth(_) | Way::Hmac(_) | Way::Mtls(_) => "leave one of them out",
            Way::OidcLogin(_) => "give it a `cookie_name` of its own",
            Way::ApiKey(_) => "give it a `header` or a `query` of its own",
            Way::JwtValidation(_) | Way::OAuthIntrospection(_) => {
                "give one of them a place of its own, such as `token_from: {header: X-Access-Token}`, or put them on \
                 routes of their own"
            }
        };
        bench.note(
            Problem::error(item.span_of("type"), format!("{message}, so it would never be asked"))
                .related(place.span_of("type"), "the first that finds a credential decides")
                .cure(cure),
        );
    }
}

/// Whether both would take the same credential. Of one field, schemes are told apart.
fn is_same_place(one: &Way, other: &Way) -> bool {
    let is_basic = |way: &Way| matches!(way, Way::BasicAuth(_));
    one.source() == other.source() && is_basic(one) == is_basic(other)
}

/// In words; the names of fields and parameters may be values of variables.
fn place_of(way: &Way) -> &'static str {
    let Some(source) = way.source() else { return "at the client's certificate" };
    match source {
        TokenSource::Bearer => "for a bearer token in `Authorization`",
        TokenSource::Header(_) => "into the same header",
        TokenSource::Cookie(_) => "into the same cookie",
        TokenSource::Query(_) => "into the same query parameter",
    }
}
