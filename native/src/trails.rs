//! Trails of live requests: asked for through the admin API, kept for a while, read there.
//!
//! Which steps a trail has is the pipeline's; here is only which requests are wanted, and a bounded memory.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use http::request;
use serde_json::{Value, json};
use tollgate_core::{event::Event, path::NormalPath, pattern::Pattern};

/// Trails that are kept; the oldest makes way.
const KEPT: usize = 256;
/// Requests that can be asked for at a time.
pub(crate) const MAX_WANTED: u32 = 1_000;

/// What is wanted, and what was found.
#[derive(Debug, Default)]
pub struct Trails {
    /// How many more requests. Zero at almost all times, and then this is all that is looked at.
    wanted: AtomicU32,
    only: Mutex<Option<Pattern>>,
    kept: Mutex<VecDeque<Kept>>,
}

#[derive(Debug)]
struct Kept {
    request_id: String,
    trail: Value,
}

impl Trails {
    /// Wants the trails of the next `number` requests, of those on these paths if any are named. What was wanted
    /// before no longer is.
    pub(crate) fn want(&self, number: u32, only: Option<Pattern>) {
        *lock(&self.only) = only;
        self.wanted.store(number.min(MAX_WANTED), Ordering::Release);
    }

    /// Whether this request is one of those that are wanted; then it counts as found.
    pub(crate) fn wants(&self, head: &request::Parts) -> bool {
        if self.wanted.load(Ordering::Acquire) == 0 {
            return false;
        }
        if let Some(only) = &*lock(&self.only)
            && !NormalPath::new(head.uri.path()).is_ok_and(|path| only.matches(&path.text))
        {
            return false;
        }
        self.wanted.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).is_ok()
    }

    /// Keeps the trail of a request that has one.
    pub(crate) fn record(&self, event: &Event<'_>) {
        let Some(trail) = event.trail else { return };
        let Ok(mut whole) = serde_json::to_value(event) else { return };
        whole["steps"] = json!(trail);
        let mut kept = lock(&self.kept);
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Kept { request_id: event.request_id.to_owned(), trail: whole });
    }

    /// How many more are wanted, and what is kept, the newest first.
    pub(crate) fn list(&self) -> Value {
        let kept = lock(&self.kept);
        json!({
            "wanted": self.wanted.load(Ordering::Acquire),
            "trails": kept.iter().rev().map(|kept| &kept.trail).collect::<Vec<_>>(),
        })
    }

    /// The newest trail of a request.
    pub(crate) fn of(&self, request_id: &str) -> Option<Value> {
        lock(&self.kept)
            .iter()
            .rev()
            .find(|kept| kept.request_id == request_id)
            .map(|kept| kept.trail.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn head(path: &str) -> request::Parts {
        Request::builder().uri(path).body(()).unwrap().into_parts().0
    }

    #[test]
    fn just_as_many_requests_are_explained_as_were_wanted() {
        let trails = Trails::default();
        assert!(!trails.wants(&head("/a")));
        trails.want(2, Some(Pattern::parse("/a/*").unwrap()));
        let found: Vec<_> =
            ["/b", "/a", "/a/../b", "/a/x", "/a/y"].map(|path| trails.wants(&head(path))).into();
        assert_eq!(found, [false, true, false, true, false]);
    }
}
