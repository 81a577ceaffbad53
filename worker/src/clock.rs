//! What time it is. In Workers time stands still while code runs and moves with I/O.

#[cfg(not(feature = "test-hooks"))]
pub(crate) fn now() -> tollgate_core::host::Timestamp {
    js_sys::Date::now() as tollgate_core::host::Timestamp
}

#[cfg(feature = "test-hooks")]
pub(crate) use turned::{now, turn};

/// A clock that requests turn.
#[cfg(feature = "test-hooks")]
mod turned {
    use std::cell::Cell;

    use http::HeaderMap;
    use tollgate_core::host::Timestamp;

    thread_local! {
        static NOW: Cell<Option<Timestamp>> = const { Cell::new(None) };
    }

    pub(crate) fn now() -> Timestamp {
        NOW.get().unwrap_or_else(|| js_sys::Date::now() as Timestamp)
    }

    /// Sets the isolate's clock to what the request says, and takes that off the request. A request that asks
    /// for it gets the instance broken instead.
    #[expect(clippy::panic, reason = "that is what is asked for")]
    pub(crate) fn turn(headers: &mut HeaderMap) {
        let time = headers.remove("x-tollgate-test-now");
        if let Some(time) = time.and_then(|time| time.to_str().ok()?.parse().ok()) {
            NOW.set(Some(time));
        }
        if headers.remove("x-tollgate-test-panic").is_some() {
            panic!("as asked");
        }
    }
}
