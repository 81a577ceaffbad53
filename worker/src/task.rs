//! Futures run to their next wait at once, where JavaScript calls: when one begins, and when what it waits for is
//! there. No queue and no microtasks of our own, which cost more on this platform than what they would run.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
};

use wasm_bindgen::JsValue;

thread_local! {
    static TASKS: RefCell<Tasks> = RefCell::default();
    static AWAITED: RefCell<Awaited> = RefCell::default();
}

#[derive(Default)]
struct Tasks {
    next: u64,
    tasks: BTreeMap<u64, Task>,
}

struct Task {
    /// None while it runs.
    future: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// Woken while it ran: it is to run again.
    woken: bool,
}

/// Runs a future to its first wait.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    let id = TASKS.with_borrow_mut(|tasks| {
        tasks.next += 1;
        let task = Task { future: Some(Box::pin(future)), woken: false };
        tasks.tasks.insert(tasks.next, task);
        tasks.next
    });
    run(id);
}

fn run(id: u64) {
    let waker = Waker::from(Arc::new(Woken(id)));
    while let Some(mut future) = take(id) {
        if future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            TASKS.with_borrow_mut(|tasks| tasks.tasks.remove(&id));
            return;
        }
        let again = TASKS.with_borrow_mut(|tasks| {
            tasks.tasks.get_mut(&id).is_some_and(|task| {
                task.future = Some(future);
                task.woken
            })
        });
        if !again {
            return;
        }
    }
}

fn take(id: u64) -> Option<Pin<Box<dyn Future<Output = ()>>>> {
    TASKS.with_borrow_mut(|tasks| {
        let task = tasks.tasks.get_mut(&id)?;
        let future = task.future.take();
        task.woken = future.is_none();
        future
    })
}

/// Wakes a task by its number. The task itself could not be shared, as a waker has to be.
struct Woken(u64);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        run(self.0);
    }
}

#[derive(Default)]
struct Awaited {
    next: u32,
    awaited: BTreeMap<u32, Awaiting>,
}

#[derive(Default)]
struct Awaiting {
    value: Option<JsValue>,
    waker: Option<Waker>,
}

/// Something that JavaScript will hand over.
#[derive(Debug)]
pub(crate) struct Promised(u32);

impl Promised {
    /// Begins `work`, which gets the number under which its outcome is to be handed to [`settle`]; once, later.
    pub(crate) fn by(work: impl FnOnce(u32)) -> Self {
        let ticket = AWAITED.with_borrow_mut(|all| {
            // Numbers come round again long after whoever held them has gone.
            all.next = all.next.wrapping_add(1);
            all.awaited.insert(all.next, Awaiting::default());
            all.next
        });
        work(ticket);
        Self(ticket)
    }
}

impl Future for Promised {
    type Output = JsValue;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<JsValue> {
        AWAITED.with_borrow_mut(|all| {
            let Some(awaiting) = all.awaited.get_mut(&self.0) else { return Poll::Ready(JsValue::UNDEFINED) };
            if let Some(value) = awaiting.value.take() {
                return Poll::Ready(value);
            }
            awaiting.waker = Some(context.waker().clone());
            Poll::Pending
        })
    }
}

impl Drop for Promised {
    fn drop(&mut self) {
        // What was taken out is dropped when the table is no longer borrowed.
        let _awaiting = AWAITED.with_borrow_mut(|all| all.awaited.remove(&self.0));
    }
}

/// Hands over what was waited for under a number. Nobody may wait for it any more.
pub(crate) fn settle(ticket: u32, value: JsValue) {
    let waker = AWAITED.with_borrow_mut(|all| {
        let awaiting = all.awaited.get_mut(&ticket)?;
        awaiting.value = Some(value);
        awaiting.waker.take()
    });
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, rc::Rc};

    use super::*;

    #[test]
    fn a_task_runs_to_its_first_wait_at_once_and_on_when_that_is_settled() {
        let (ticket, reached) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let (given, noted) = (ticket.clone(), reached.clone());
        spawn(async move {
            noted.set(1);
            Promised::by(|number| given.set(number)).await;
            noted.set(2);
        });
        assert_eq!(reached.get(), 1);
        settle(ticket.get() + 1, JsValue::UNDEFINED);
        assert_eq!(reached.get(), 1);
        settle(ticket.get(), JsValue::UNDEFINED);
        assert_eq!(reached.get(), 2);
        settle(ticket.get(), JsValue::UNDEFINED);
        assert!(TASKS.with_borrow(|tasks| tasks.tasks.is_empty()));
        assert!(AWAITED.with_borrow(|all| all.awaited.is_empty()));
    }

    #[test]
    fn what_was_settled_before_it_is_waited_for_is_there() {
        let reached = Rc::new(Cell::new(false));
        let noted = reached.clone();
        spawn(async move {
            let mut ticket = 0;
            let promised = Promised::by(|number| ticket = number);
            settle(ticket, JsValue::UNDEFINED);
            promised.await;
            noted.set(true);
        });
        assert!(reached.get());
    }

    #[test]
    fn a_task_that_wakes_itself_runs_again() {
        let (runs, noted) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let counted = runs.clone();
        let done = noted.clone();
        spawn(async move {
            std::future::poll_fn(|context| {
                counted.set(counted.get() + 1);
                context.waker().wake_by_ref();
                if counted.get() < 3 { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            done.set(1);
        });
        assert_eq!((runs.get(), noted.get()), (3, 1));
    }
}
