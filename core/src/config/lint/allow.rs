//! Comments by which a file answers a rule: `# lint: allow RULE` and the reason, at the end of the line that a
//! finding is about, or above the route, policy or service that it concerns.
//!
//! An answer has a reason, or it is none. One that no finding asks for any more is itself a finding: the next
//! reader would look for what it excuses.

mod comment;

use self::comment::Comment;
use super::{
    anchors::Anchors,
    rule::{Rule, rule, rules},
    subject::Subject,
};
use crate::config::{
    node::Node,
    problem::{Problem, Severity, SourceFile, nearest},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "unused-allow",
        level: Severity::Warning,
        what: "a comment `# lint: allow` that answers no finding",
        why: "What it excused is mended, or it stands where it says nothing. It would excuse the next mistake of that \
              kind unseen.",
        cure: "leave it out, or put it directly above what it concerns",
        check: later,
    },
    Rule {
        id: "allow-without-reason",
        level: Severity::Warning,
        what: "a comment `# lint: allow RULE` that gives no reason",
        why: "Whoever reads it next can't tell whether it still holds. It counts for nothing until it has a reason.",
        cure: "say why, after the name of the rule",
        check: later,
    },
];

/// What these find depends on what all others find: see [`answer`].
fn later(_: &Subject<'_>) -> Vec<Problem> {
    Vec::new()
}

fn sign(id: &str, problem: Problem) -> Option<Problem> {
    Some(rule(id)?.sign(problem))
}

/// Leaves the findings that no comment answers, and adds what is wrong with the comments.
pub(super) fn answer(mut found: Vec<Problem>, sources: &[SourceFile], root: &Node) -> Vec<Problem> {
    let comments: Vec<Comment> =
        (0..).zip(sources).flat_map(|(file, source)| comment::read(file, &source.text)).collect();
    if comments.is_empty() {
        return found;
    }
    let anchors = Anchors::of(root);
    let mut used = vec![false; comments.len()];
    found.retain(|problem| {
        let lines = anchors.lines(problem.span);
        let mut open = true;
        for (comment, used) in comments.iter().zip(&mut used) {
            let answers = comment.reasoned
                && Some(comment.rule.as_str()) == problem.rule
                && comment.file() == problem.span.file
                && lines.contains(&comment.line);
            *used |= answers;
            open &= !answers;
        }
        open
    });
    found.extend(
        comments.iter().zip(used).filter(|(_, used)| !used).filter_map(|(comment, _)| wrong(comment)),
    );
    found
}

/// What is wrong with a comment that answers nothing.
fn wrong(comment: &Comment) -> Option<Problem> {
    let Comment { rule: id, span, .. } = comment;
    if rule(id).is_none() {
        let problem = Problem::note(*span, format!("there is no rule `{id}`"));
        return sign(
            "unused-allow",
            match nearest(id, rules().map(|rule| rule.id)) {
                Some(near) => problem.cure(format!("did you mean `{near}`?")),
                None => problem.cure("`tollgate lint --rules` lists them"),
            },
        );
    }
    if !comment.reasoned {
        return sign(
            "allow-without-reason",
            Problem::note(*span, format!("why `{id}` is allowed is not said")),
        );
    }
    sign("unused-allow", Problem::note(*span, format!("there is nothing here that `{id}` objects to")))
}
