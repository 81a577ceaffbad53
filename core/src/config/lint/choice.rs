//! What of the findings the user wants to hear of: by level, and rule by rule.

use crate::config::problem::{Problem, Severity};

/// What is to be said of what was found.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Hints too.
    pub strict: bool,
    /// Rules whose findings are errors.
    pub deny: Vec<String>,
    /// Rules whose findings are left out.
    pub allow: Vec<String>,
}

impl Choice {
    pub(super) fn apply(&self, problems: &mut Vec<Problem>) {
        let named = |list: &[String], problem: &Problem| list.iter().any(|id| Some(&**id) == problem.rule);
        problems.retain_mut(|problem| {
            if named(&self.deny, problem) {
                problem.severity = Severity::Error;
            }
            !named(&self.allow, problem) && (self.strict || problem.severity > Severity::Hint)
        });
    }
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::config::node::Span;

    fn left(choice: &Choice) -> Vec<(&'static str, Severity)> {
        let found = |rule, severity| Problem {
            rule: Some(rule),
            severity,
            ..Problem::note(Span::default(), "found")
        };
        let mut problems = vec![found("a", Severity::Warning), found("b", Severity::Hint)];
        choice.apply(&mut problems);
        problems.iter().map(|problem| (problem.rule.unwrap(), problem.severity)).collect()
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn hints_are_for_who_asks_for_them() {
        assert_eq!(left(&Choice::default()), [("a", Severity::Warning)]);
        let strict = Choice { strict: true, ..Choice::default() };
        assert_eq!(left(&strict), [("a", Severity::Warning), ("b", Severity::Hint)]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn a_denied_rule_is_heard_even_where_it_only_hints() {
        let deny = Choice { deny: vec!["b".into()], ..Choice::default() };
        assert_eq!(left(&deny), [("a", Severity::Warning), ("b", Severity::Error)]);
    }

    #[wasm_bindgen_test(unsupported = test)]
    fn an_allowed_rule_is_not_heard() {
        let allow = Choice { strict: true, allow: vec!["a".into()], ..Choice::default() };
        assert_eq!(left(&allow), [("b", Severity::Hint)]);
    }
}
