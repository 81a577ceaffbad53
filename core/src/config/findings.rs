//! What is found while a configuration is read, checked and compiled. One mistake is one finding: what follows
//! from it is not told as well.

use std::{cell::RefCell, collections::HashSet};

use super::{node::Span, problem::Problem};

/// Collects what is found, each thing once.
#[derive(Default)]
pub(crate) struct Findings {
    problems: RefCell<Vec<Problem>>,
    said: RefCell<HashSet<(Span, String)>>,
    /// Places where something else stands in for what was written: what is said of those misleads.
    unread: RefCell<HashSet<Span>>,
}

impl Findings {
    pub(crate) fn push(&self, problem: Problem) {
        if !self.unread.borrow().contains(&problem.span) {
            self.add(problem);
        }
    }

    /// Notes that the value at `span` can't be read, and is therefore nothing to be judged any further.
    pub(crate) fn unreadable(&self, span: Span, problem: Problem) {
        self.push(problem);
        self.pass_over(span);
    }

    /// Notes that the mapping at `span` lacks something. It may lack several things, and each is said.
    pub(crate) fn lacking(&self, span: Span, problem: Problem) {
        self.add(problem);
        self.pass_over(span);
    }

    pub(crate) fn pass_over(&self, span: Span) {
        self.unread.borrow_mut().insert(span);
    }

    fn add(&self, problem: Problem) {
        if self.said.borrow_mut().insert((problem.span, problem.message.clone())) {
            self.problems.borrow_mut().push(problem);
        }
    }

    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}
