//! Questions that are under way, so that requests with the same token ask once. Whoever comes later waits, looking
//! now and then; no lock is held meanwhile, and what came of the question is told to all who waited for it.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Judged;
use crate::host::Timestamp;

/// Questions known to be under way at most. Beyond it each request asks for itself.
const MOST: usize = 4_096;

type Name = [u8; 32];

/// What came of a question: what the answer came to and until when that holds, or why there is none.
pub(crate) type Outcome = Result<(Judged, Timestamp), String>;

/// The questions of one policy.
#[derive(Debug)]
pub(crate) struct Flights {
    under_way: Mutex<HashMap<Name, Flight>>,
    /// A question that has not ended by then never will: a platform may take its context from a request and tell
    /// nobody.
    lost_after_ms: u64,
}

#[derive(Debug, Clone)]
struct Flight {
    began: Timestamp,
    landing: Arc<Mutex<Landing>>,
}

#[derive(Debug, Clone)]
enum Landing {
    Awaited,
    /// Whoever asked has gone before the answer came.
    Abandoned,
    Landed(Outcome),
}

/// Who asks.
pub(crate) enum Seat<'f> {
    /// Whoever takes this one, and tells the others.
    Pilot(Pilot<'f>),
    /// Somebody else.
    Passenger(Passenger),
}

/// Asks, and tells the others what came of it. Dropped before that, the question counts as never asked.
pub(crate) struct Pilot<'f> {
    flights: &'f Flights,
    name: Name,
    /// None where nobody waits, as there is no room to note it.
    landing: Option<Arc<Mutex<Landing>>>,
}

/// Waits for what comes of another's question.
pub(crate) struct Passenger(Arc<Mutex<Landing>>);

/// What a look at another's question shows.
pub(crate) enum Look {
    /// It is still under way.
    Awaited,
    /// Nothing will come of it.
    Abandoned,
    /// This came of it.
    Landed(Outcome),
}

impl Flights {
    pub(crate) fn new(lost_after_ms: u64) -> Self {
        Self { under_way: Mutex::default(), lost_after_ms }
    }

    /// How long to wait for another's question.
    pub(crate) fn patience_ms(&self) -> u64 {
        self.lost_after_ms
    }

    /// Who asks about a token.
    pub(crate) fn board(&self, name: Name, now: Timestamp) -> Seat<'_> {
        let mut under_way = lock(&self.under_way);
        if under_way.len() >= MOST {
            under_way.retain(|_, flight| !self.is_lost(flight, now));
        }
        let full = under_way.len() >= MOST;
        let landing = match under_way.entry(name) {
            Entry::Occupied(mut taken) => {
                if !self.is_lost(taken.get(), now) {
                    return Seat::Passenger(Passenger(taken.get().landing.clone()));
                }
                let flight = Flight::new(now);
                let landing = flight.landing.clone();
                taken.insert(flight);
                Some(landing)
            }
            Entry::Vacant(_) if full => None,
            Entry::Vacant(free) => Some(free.insert(Flight::new(now)).landing.clone()),
        };
        Seat::Pilot(Pilot { flights: self, name, landing })
    }

    fn is_lost(&self, flight: &Flight, now: Timestamp) -> bool {
        now.saturating_sub(flight.began) >= self.lost_after_ms
    }
}

impl Flight {
    fn new(began: Timestamp) -> Self {
        Self { began, landing: Arc::new(Mutex::new(Landing::Awaited)) }
    }
}

impl Pilot<'_> {
    /// Tells all who wait.
    pub(crate) fn land(&self, outcome: &Outcome) {
        if let Some(landing) = &self.landing {
            *lock(landing) = Landing::Landed(outcome.clone());
        }
    }
}

impl Drop for Pilot<'_> {
    fn drop(&mut self) {
        let Some(landing) = &self.landing else { return };
        let mut under_way = lock(&self.flights.under_way);
        // Whoever was given up may come back; what took its place stays.
        if under_way.get(&self.name).is_some_and(|flight| Arc::ptr_eq(&flight.landing, landing)) {
            under_way.remove(&self.name);
        }
        drop(under_way);
        let mut landing = lock(landing);
        if matches!(*landing, Landing::Awaited) {
            *landing = Landing::Abandoned;
        }
    }
}

impl Passenger {
    pub(crate) fn look(&self) -> Look {
        match &*lock(&self.0) {
            Landing::Awaited => Look::Awaited,
            Landing::Abandoned => Look::Abandoned,
            Landing::Landed(outcome) => Look::Landed(outcome.clone()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::{super::TokenFault, *};

    fn pilot(flights: &Flights, number: u16, now: Timestamp) -> Option<Pilot<'_>> {
        match flights.board(name(number), now) {
            Seat::Pilot(pilot) => Some(pilot),
            Seat::Passenger(_) => None,
        }
    }

    fn name(number: u16) -> Name {
        let mut name = [0; 32];
        name[..2].copy_from_slice(&number.to_be_bytes());
        name
    }

    fn passenger(flights: &Flights, number: u16) -> Passenger {
        match flights.board(name(number), 0) {
            Seat::Passenger(passenger) => passenger,
            Seat::Pilot(_) => panic!("nobody asks"),
        }
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn one_asks_and_all_are_told() {
        let flights = Flights::new(1_000);
        let asking = pilot(&flights, 1, 0).unwrap();
        let waiting = passenger(&flights, 1);
        assert!(matches!(waiting.look(), Look::Awaited));
        assert!(pilot(&flights, 2, 0).is_some(), "another token is another question");
        asking.land(&Ok((Err(TokenFault::Inactive), 5)));
        drop(asking);
        assert!(matches!(waiting.look(), Look::Landed(Ok((Err(TokenFault::Inactive), 5)))));
        assert!(pilot(&flights, 1, 0).is_some(), "what has ended is asked anew");
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn whoever_waits_shares_a_failure_too() {
        let flights = Flights::new(1_000);
        let asking = pilot(&flights, 1, 0).unwrap();
        let waiting = passenger(&flights, 1);
        asking.land(&Err("down".to_owned()));
        assert!(matches!(waiting.look(), Look::Landed(Err(why)) if why == "down"));
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_client_that_leaves_takes_nobody_with_it() {
        let flights = Flights::new(1_000);
        let asking = pilot(&flights, 1, 0).unwrap();
        let waiting = passenger(&flights, 1);
        drop(asking);
        assert!(matches!(waiting.look(), Look::Abandoned));
        assert!(pilot(&flights, 1, 0).is_some());
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_lost_question_is_taken_over() {
        let flights = Flights::new(1_000);
        let lost = pilot(&flights, 1, 0).unwrap();
        assert!(pilot(&flights, 1, 999).is_none());
        let second = pilot(&flights, 1, 1_000).unwrap();
        drop(lost);
        assert!(pilot(&flights, 1, 1_001).is_none(), "what took over is still under way");
        drop(second);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn their_number_is_bounded_and_lost_ones_make_room() {
        let flights = Flights::new(1_000);
        let all: Vec<_> = (0..MOST as u16).map(|number| pilot(&flights, number, 0).unwrap()).collect();
        drop(pilot(&flights, u16::MAX, 0).unwrap());
        assert_eq!(lock(&flights.under_way).len(), MOST);
        all.into_iter().for_each(std::mem::forget);
        let _late = pilot(&flights, u16::MAX, 1_000).unwrap();
        assert_eq!(lock(&flights.under_way).len(), 1);
    }
}
