//! One walk over an expression when it is loaded: what it names, what it calls, how large it is.

use ::cel::{
    IdedExpr,
    common::ast::{ComprehensionExpr, EntryExpr, Expr},
};

use super::{FUNCTIONS, Fault, MAX_DEPTH, MAX_LOOPS, MAX_NODES, Needs, Vocabulary};
use crate::config::problem::nearest;

/// Finds out what an expression needs, and whether it is one for here.
pub(super) fn walk(root: &IdedExpr, variables: Vocabulary) -> Result<Needs, Vec<Fault>> {
    let mut walk = Walk { variables, ..Walk::default() };
    walk.expression(root, 0);
    if walk.nodes > MAX_NODES || walk.too_deep {
        walk.faults.push(
            Fault::new("the expression is too large to be evaluated for each request")
                .cure("make it several policies: all must allow"),
        );
    }
    if walk.loops > MAX_LOOPS {
        walk.faults.push(Fault::new(format!("the expression has more than {MAX_LOOPS} loops")));
    }
    if walk.faults.is_empty() { Ok(walk.needs) } else { Err(walk.faults) }
}

#[derive(Default)]
struct Walk<'e> {
    /// What can be named.
    variables: Vocabulary,
    needs: Needs,
    faults: Vec<Fault>,
    nodes: usize,
    too_deep: bool,
    loops: usize,
    /// Names that loops give to what they go through.
    bound: Vec<&'e str>,
    in_loop: bool,
}

impl<'e> Walk<'e> {
    fn expression(&mut self, expression: &'e IdedExpr, depth: u16) {
        self.nodes += 1;
        self.too_deep |= depth > MAX_DEPTH;
        if self.too_deep || self.nodes > MAX_NODES {
            return;
        }
        let depth = depth + 1;
        match &expression.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => self.name(name),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) if !self.bound.contains(&name.as_str()) => self.field(name, &select.field),
                _ => self.expression(&select.operand, depth),
            },
            Expr::Call(call) => {
                self.call(&call.func_name);
                call.target.iter().for_each(|target| self.expression(target, depth));
                call.args.iter().for_each(|argument| self.expression(argument, depth));
            }
            Expr::List(list) => list.elements.iter().for_each(|element| self.expression(element, depth)),
            Expr::Map(map) => {
                for entry in &map.entries {
                    match &entry.expr {
                        EntryExpr::MapEntry(entry) => {
                            self.expression(&entry.key, depth);
                            self.expression(&entry.value, depth);
                        }
                        EntryExpr::StructField(field) => self.expression(&field.value, depth),
                    }
                }
            }
            Expr::Struct(message) => {
                let name = &message.type_name;
                self.fault(Fault::new(format!("there is no message `{name}` here")));
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension, depth),
        }
    }

    /// What a loop goes through is evaluated once, and its body for each member.
    fn comprehension(&mut self, comprehension: &'e ComprehensionExpr, depth: u16) {
        self.loops += 1;
        if self.in_loop {
            let fault = Fault::new("a loop stands within another, which could take long");
            self.fault(fault.cure("compare with a list that is written out, by `in`"));
        }
        self.expression(&comprehension.iter_range, depth);
        self.expression(&comprehension.accu_init, depth);
        let (outside, names) = (self.in_loop, self.bound.len());
        self.bound.push(&comprehension.iter_var);
        self.bound.extend(comprehension.iter_var2.as_deref());
        self.bound.push(&comprehension.accu_var);
        self.in_loop = true;
        self.expression(&comprehension.loop_cond, depth);
        self.expression(&comprehension.loop_step, depth);
        self.in_loop = outside;
        self.expression(&comprehension.result, depth);
        self.bound.truncate(names);
    }

    /// A variable as a whole.
    fn name(&mut self, name: &str) {
        if self.bound.contains(&name) {
            return;
        }
        match self.variables.iter().find(|(variable, _)| *variable == name) {
            Some((variable, [])) => {
                self.needs.0.insert((variable, ""));
            }
            Some((variable, fields)) => {
                self.needs.0.extend(fields.iter().map(|field| (*variable, *field)));
            }
            None => self.unknown(name),
        }
    }

    fn field(&mut self, name: &str, wanted: &str) {
        match self.variables.iter().find(|(variable, _)| *variable == name) {
            None => self.unknown(name),
            Some((variable, fields)) => match fields.iter().find(|field| **field == wanted) {
                Some(field) => {
                    self.needs.0.insert((variable, field));
                }
                None => {
                    let fault = Fault::new(format!("`{name}` has no `{wanted}`"));
                    let known = || match fields {
                        [] => format!("`{name}` is a number of seconds"),
                        _ => format!("it has: {}", fields.join(", ")),
                    };
                    let near = nearest(wanted, fields.iter().copied());
                    self.fault(fault.cure(near.map_or_else(known, meant)));
                }
            },
        }
    }

    fn unknown(&mut self, name: &str) {
        let known: Vec<&str> = self.variables.iter().map(|(variable, _)| *variable).collect();
        let near = nearest(name, known.iter().copied());
        let fault = Fault::new(format!("there is no `{name}` in expressions"));
        self.fault(fault.cure(near.map_or_else(|| format!("there are: {}", known.join(", ")), meant)));
    }

    fn call(&mut self, name: &str) {
        // Operators are calls of names that nobody can write.
        let is_operator = !name.starts_with(|c: char| c.is_ascii_alphabetic());
        if is_operator || FUNCTIONS.contains(&name) {
            return;
        }
        let near = nearest(name, FUNCTIONS);
        let fault = Fault::new(format!("there is no function `{name}` in expressions"));
        self.fault(fault.cure(near.map_or_else(|| format!("there are: {}", FUNCTIONS.join(", ")), meant)));
    }

    fn fault(&mut self, fault: Fault) {
        if !self.faults.contains(&fault) {
            self.faults.push(fault);
        }
    }
}

fn meant(near: &str) -> String {
    format!("did you mean `{near}`?")
}
