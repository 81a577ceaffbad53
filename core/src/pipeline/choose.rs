//! The route that serves the request, and what is told of those that do not.

use http::{Method, request};

use super::{account::Account, enter::Entrance};
use crate::{
    gateway::Gateway,
    refusal::Refusal,
    route::{Found, Mismatch, Miss, Route},
    trail::{Said, Step, Verdict},
};

/// Routes that are told of at most where none fits.
const MAX_TOLD: usize = 16;

pub(super) fn choose<'g>(
    gateway: &'g Gateway,
    entrance: &Entrance<'_>,
    head: &request::Parts,
    account: &mut Account<'g>,
) -> Result<Found<'g>, Refusal> {
    let path = &*entrance.path.text;
    let found = gateway.router.find_telling(&entrance.host, path, head, |route, mismatch| {
        account.note(|| passed_by(route, mismatch, &head.method));
    });
    let found = match found {
        Ok(found) => found,
        Err(miss) => {
            account.note(|| nowhere(gateway, entrance, &miss));
            let Miss { allow } = miss;
            return Err(if allow.is_empty() { Refusal::NoRoute } else { Refusal::MethodNotAllowed(allow) });
        }
    };
    let route = found.route;
    account.route = Some(route);
    account.note(|| chosen(route));
    if entrance.path.has_encoded_slash && !route.keeps_encoded_slash {
        account.note(|| {
            let text = "the path holds an encoded separator, which this route does not keep";
            Step::new("route", route.span, Said::new(Verdict::Refuse, text))
        });
        return Err(Refusal::EncodedSlash);
    }
    for on in &found.plan.provenance.overrides {
        account.note(|| {
            let said = Said::new(Verdict::Pass, format!("`{}` overrides", on.path));
            Step::new("override", on.span, said).described(on.description.as_ref())
        });
    }
    for absence in &found.plan.provenance.absent {
        account.note(|| absence.step());
    }
    Ok(found)
}

fn chosen(route: &Route) -> Step {
    let said =
        Said::new(Verdict::Pass, format!("`{}` serves it, by `{}`", route.pattern, route.service.name));
    let said = said.fact("route", route.pattern.as_str()).fact("service", &*route.service.name);
    Step::new("route", route.span, said).described(route.description.as_ref())
}

fn passed_by(route: &Route, mismatch: Mismatch, method: &Method) -> Step {
    let why = match mismatch {
        Mismatch::Path => "its path is another".to_owned(),
        Mismatch::Headers => "a header is missing, or has another value".to_owned(),
        Mismatch::Query => "a query parameter is missing, or has another value".to_owned(),
        Mismatch::Method => format!("it does not serve {method}"),
    };
    let said = Said::new(Verdict::Skip, format!("`{}` does not: {why}", route.pattern));
    Step::new("route", route.span, said).described(route.description.as_ref())
}

/// What is told where no route fits: those whose path would, on another host, or else how many there are.
fn nowhere(gateway: &Gateway, entrance: &Entrance<'_>, miss: &Miss) -> Step {
    let path = &*entrance.path.text;
    let routes = gateway.router.routes();
    if !miss.allow.is_empty() {
        let methods: Vec<&str> = miss.allow.iter().map(Method::as_str).collect();
        let said = Said::new(Verdict::Refuse, format!("only {} are served here", methods.join(", ")));
        return Step::new("route", gateway.places.at("routes"), said);
    }
    let elsewhere: Vec<String> = routes
        .iter()
        .filter(|route| route.pattern.matches(path))
        .take(MAX_TOLD)
        .map(|route| format!("`{}` in line {}", route.pattern, route.span.line))
        .collect();
    let text = if elsewhere.is_empty() {
        format!("none of {} routes has the path `{path}`", routes.len())
    } else {
        format!("`{}` serves other hosts or other requests only: {}", path, elsewhere.join(", "))
    };
    Step::new("route", gateway.places.at("routes"), Said::new(Verdict::Refuse, text))
}
