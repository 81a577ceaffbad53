//! Bodies that a meter looks at while they pass. The stream stays JavaScript's (`js/metered.mjs`); here are the meters,
//! each under a number, and what becomes of what they say. Bytes are copied to here only for a meter that reads.
//!
//! When the instance is lost, so are its meters: leases then expire, and what was drawn for a cost stays taken.

use std::{cell::RefCell, collections::BTreeMap};

use tollgate_core::{
    job,
    meter::{End, Meter},
};
use wasm_bindgen::JsValue;

use crate::host::EdgeHost;

/// How many bodies are watched at once. More than fit into an isolate's memory; beyond it the oldest is no longer
/// watched, as when the instance was lost.
const MAX_WATCHED: usize = 16_384;

thread_local! {
    static WATCHED: RefCell<Watched<Metered>> = RefCell::default();
}

/// A meter, and the request that it is for. When this is dropped, nobody has wanted the body.
pub(crate) struct Metered {
    host: EdgeHost,
    /// Gone when it was told of the end.
    meter: Option<Meter>,
}

impl Metered {
    pub(crate) fn new(host: EdgeHost, meter: Meter) -> Self {
        Self { host, meter: Some(meter) }
    }

    /// Takes the whole of a body that is here already.
    pub(crate) fn all(mut self, bytes: &[u8]) {
        self.see(bytes);
        self.end(End::Whole);
    }

    /// Watches a stream of so many bytes, where that is known. What comes back is to be sent in its place.
    pub(crate) fn watch(self, stream: JsValue, length: Option<u64>) -> JsValue {
        let Some(meter) = &self.meter else { return stream };
        let (reads, every) =
            (meter.reads(), meter.renews_every_ms().map_or(-1.0, |every| every.max(1) as f64));
        let call = self.host.call().clone();
        let (id, oldest) = WATCHED.with_borrow_mut(|watched| watched.insert(self));
        if let Some(mut oldest) = oldest {
            // Forgotten and not ended: nobody knows whether it is over.
            oldest.meter = None;
        }
        let length = length.map_or(-1.0, |length| length as f64);
        let passing = call.meter(id, &stream, length, reads, every);
        if passing.is_null() {
            // What can't be watched is over, as far as anybody knows, when the head is answered.
            take(id, End::Whole);
            return stream;
        }
        passing
    }

    fn see(&mut self, piece: &[u8]) {
        if let Some(meter) = self.meter.as_mut().filter(|meter| meter.reads()) {
            meter.see(piece);
        }
    }

    fn end(&mut self, end: End) {
        if let Some(meter) = self.meter.take() {
            meter.end(&self.host, end);
        }
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        self.end(End::Left);
    }
}

/// Those on their way, the oldest first.
struct Watched<T> {
    next: u32,
    all: BTreeMap<u32, T>,
}

impl<T> Default for Watched<T> {
    fn default() -> Self {
        Self { next: 0, all: BTreeMap::new() }
    }
}

impl<T> Watched<T> {
    /// Its number, and the oldest where that had to make room.
    fn insert(&mut self, new: T) -> (u32, Option<T>) {
        let is_full = self.all.len() >= MAX_WATCHED;
        let oldest = if is_full { self.all.pop_first().map(|(_, oldest)| oldest) } else { None };
        // Numbers come round again long after whoever held them has gone.
        self.next = self.next.wrapping_add(1);
        self.all.insert(self.next, new);
        (self.next, oldest)
    }
}

/// A piece of a watched body has passed.
pub(crate) fn seen(id: u32, piece: &[u8]) {
    WATCHED.with_borrow_mut(|watched| {
        if let Some(metered) = watched.all.get_mut(&id) {
            metered.see(piece);
        }
    });
}

/// A watched body still lasts.
pub(crate) fn renew(id: u32) {
    let renewals = WATCHED.with_borrow(|watched| {
        let metered = watched.all.get(&id)?;
        Some((metered.host.clone(), metered.meter.as_ref()?.renewals()))
    });
    // Not while the table is borrowed: the work begins at once.
    if let Some((host, renewals)) = renewals {
        job::settle(&host, renewals);
    }
}

/// A watched body has ended.
pub(crate) fn ended(id: u32, how: u8) {
    let end = match how {
        0 => End::Whole,
        1 => End::Broken,
        _ => End::Left,
    };
    take(id, end);
}

fn take(id: u32, end: End) {
    let metered = WATCHED.with_borrow_mut(|watched| watched.all.remove(&id));
    if let Some(mut metered) = metered {
        metered.end(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_without_an_end_do_not_grow_the_memory() {
        let mut watched = Watched::default();
        let mut forgotten = Vec::new();
        for body in 0..MAX_WATCHED + 3 {
            let (id, oldest) = watched.insert(body);
            assert_eq!(watched.all.get(&id), Some(&body));
            forgotten.extend(oldest);
        }
        assert_eq!((watched.all.len(), forgotten), (MAX_WATCHED, vec![0, 1, 2]));
    }
}
