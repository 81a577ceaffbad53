//! What a rule is, and the list of all.

use super::{
    access, allow, caching, counting, encryption, exposure, limits, redundant, routes, secrets,
    subject::Subject, tokens, transport,
};
use crate::config::problem::{Problem, Severity};

/// One thing that a reviewer would object to.
#[derive(Debug)]
pub struct Rule {
    /// Names it in findings, on the command line and in comments.
    pub id: &'static str,
    /// [`Severity::Warning`], or [`Severity::Hint`] for what may well be meant.
    pub level: Severity,
    /// What is found.
    pub what: &'static str,
    /// Why it is unwise.
    pub why: &'static str,
    /// What to do instead; a finding may know better.
    pub cure: &'static str,
    /// Finds it. A finding is a note until the rule puts its name to it.
    pub(super) check: fn(&Subject<'_>) -> Vec<Problem>,
}

impl Rule {
    /// What it finds.
    pub(super) fn find(&'static self, subject: &Subject<'_>) -> impl Iterator<Item = Problem> {
        (self.check)(subject).into_iter().map(|problem| self.sign(problem))
    }

    /// Puts the rule's name, level and cure to a finding.
    pub(super) fn sign(&self, problem: Problem) -> Problem {
        let signed = Problem { rule: Some(self.id), severity: self.level, ..problem };
        if signed.cure.is_some() { signed } else { signed.cure(self.cure) }
    }
}

const GROUPS: &[&[Rule]] = &[
    routes::RULES,
    access::RULES,
    tokens::RULES,
    limits::RULES,
    counting::RULES,
    caching::RULES,
    transport::RULES,
    exposure::RULES,
    secrets::RULES,
    redundant::RULES,
    allow::RULES,
    encryption::RULES,
];

/// All rules, group by group.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    GROUPS.iter().copied().flatten()
}

/// The rule of that name.
pub fn rule(id: &str) -> Option<&'static Rule> {
    rules().find(|rule| rule.id == id)
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;

    #[wasm_bindgen_test(unsupported = test)]
    fn a_rule_is_one_line_each_of_what_why_and_cure() {
        for one in rules() {
            let words = one.id.split('-').all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase()));
            assert!(words, "{}", one.id);
            assert_eq!(rules().filter(|other| other.id == one.id).count(), 1, "{}", one.id);
            assert!(matches!(one.level, Severity::Hint | Severity::Warning), "{}", one.id);
            for text in [one.what, one.why, one.cure] {
                assert!(!text.is_empty() && !text.contains(['\n', '|']), "{}: {text}", one.id);
            }
        }
    }
}
