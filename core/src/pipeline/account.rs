//! What was found out on the way: for the answer's head, for the record, and for whoever wants it explained.

use std::sync::Arc;

use http::HeaderValue;

use crate::{
    config::node::Span,
    content_digest::ContentDigest,
    identity::Identity,
    policy::{Applied, limit::Drawn, ttl::Outcome},
    route::Route,
    trail::{Said, Step, Trail, Verdict},
};

/// The account of one request.
#[derive(Default)]
pub(super) struct Account<'g> {
    pub(super) route: Option<&'g Route>,
    pub(super) identity: Option<Arc<Identity>>,
    /// What the body must be.
    pub(super) body: Option<Box<ContentDigest>>,
    pub(super) drawn: Vec<Drawn>,
    pub(super) cache: Option<Outcome>,
    /// What would have been refused, and with what code, were that not only recorded. The first of several.
    pub(super) shadow: Option<&'static str>,
    /// Cookies that the answer sets.
    pub(super) cookies: Vec<HeaderValue>,
    /// Whether a service was asked and has answered, or has let its time pass.
    pub(super) asked: bool,
    /// The reason of a failure, for the log alone.
    pub(super) detail: Option<String>,
    /// How it was decided. None where nobody wants to know.
    pub(super) trail: Option<Trail>,
}

impl Account<'_> {
    pub(super) fn new(wants_trail: bool) -> Self {
        Self { trail: wants_trail.then(Trail::default), ..Self::default() }
    }

    /// Notes a step where somebody wants to know.
    pub(super) fn note(&mut self, step: impl FnOnce() -> Step) {
        if let Some(trail) = &mut self.trail {
            trail.push(step());
        }
    }

    /// Notes what a policy says.
    pub(super) fn policy<T>(&mut self, applied: &Applied<T>, said: impl FnOnce() -> Said) {
        self.policy_at(applied, applied.origin.span, said);
    }

    /// Notes what a policy says, at the place within it that decided.
    pub(super) fn policy_at<T>(&mut self, applied: &Applied<T>, at: Span, said: impl FnOnce() -> Said) {
        self.note(|| Step::of_policy_at(&applied.origin, at, said()));
    }

    /// Whether a policy holds for this path; where it does not, that is noted.
    pub(super) fn holds<T>(&mut self, applied: &Applied<T>, path: &str) -> bool {
        let Some((pattern, at)) = applied.exception(path) else { return true };
        self.note(|| {
            let said = Said::new(Verdict::Skip, format!("`{pattern}` is excluded from it"));
            Step::of_policy_at(&applied.origin, *at, said)
        });
        false
    }
}
