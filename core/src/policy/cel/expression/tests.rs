use ::cel::Env;
use wasm_bindgen_test::wasm_bindgen_test;

use super::*;
use crate::policy::cel::terms::VARIABLES;

fn faults(text: &str) -> Vec<String> {
    Expression::over(VARIABLES, text).err().into_iter().flatten().map(|fault| fault.message).collect()
}

fn evaluate(text: &str) -> ResolveResult {
    let expression =
        Expression::over(VARIABLES, text).map_err(|faults| panic!("{text}: {faults:?}")).unwrap();
    let mut context = Context::with_env(Env::stdlib().into());
    context.add_variable_from_value("now", Value::Int(7));
    expression.evaluate(&context)
}

#[wasm_bindgen_test(unsupported = test)]
fn every_function_and_operator_that_is_let_in_is_there() {
    for text in [
        "size('abc') == 3 && size([1, 2]) == 2 && 'abc'.size() == 3",
        "'abc'.contains('b') && 'abc'.startsWith('a') && 'abc'.endsWith('c')",
        "string(1) == '1' && int('1') == 1 && uint(1) == 1u && double('1.5') == 1.5",
        "bool('true') && dyn(1) == 1",
        "now == 7 && now + 1 > 7 && now - 1 < 7 && now * 2 >= 14 && now / 2 <= 3 && now % 2 != 0",
        "-now == -7 && !(1 == 2) && (true ? 1 : 2) == 1 && 1 == 1.0",
        "'a' in ['a', 'b'] && 'a' in {'a': 1} && {'a': 1}['a'] == 1 && [5][0] == 5",
        "[1, 2].all(x, x > 0) && [1, 2].exists(x, x == 2) && [1, 2].exists_one(x, x == 2)",
        "[1, 2].map(x, x * 2) == [2, 4] && [1, 2].filter(x, x > 1) == [2]",
        "has({'a': 1}.a) && !has({'a': 1}.b)",
        "false || 'never'.size() > 2",
    ] {
        assert_eq!(evaluate(text), Ok(Value::Bool(true)), "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_not_there_is_named() {
    let nested = "auth.roles.all(x, auth.roles.all(y, x == y))";
    for (text, wanted) in [
        ("reqest.path == '/'", "there is no `reqest` in expressions"),
        ("request.paht == '/'", "`request` has no `paht`"),
        ("now.seconds > 1", "`now` has no `seconds`"),
        ("request.path.matches('a+')", "there is no function `matches` in expressions"),
        ("type(now) == int", "there is no function `type` in expressions"),
        ("auth.roles.all(x, y == 'a')", "there is no `y` in expressions"),
        ("a.b.C{d: 1}", "there is no message `a.b.C` here"),
        (nested, "a loop stands within another, which could take long"),
    ] {
        assert_eq!(faults(text).first().map(String::as_str), Some(wanted), "{text}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_name_that_a_loop_gives_is_known_within_it_only() {
    assert!(faults("auth.roles.exists(r, r.startsWith('a'))").is_empty());
    assert_eq!(faults("auth.roles.exists(r, r == 'a') && r == 'b'"), ["there is no `r` in expressions"]);
    // Also where it hides one of ours.
    assert!(faults("[{'x': 1}].exists(request, request.x == 1)").is_empty());
}

#[wasm_bindgen_test(unsupported = test)]
fn only_what_is_named_is_needed() {
    let needs =
        Expression::over(VARIABLES, "request.path == '/' && has(auth.claims.tenant)").ok().unwrap().needs;
    assert!(needs.field("request", "path") && needs.field("auth", "claims"));
    assert!(!needs.field("request", "headers") && !needs.any("route") && !needs.any("now"));
    let needs = Expression::over(VARIABLES, "'x' in request").ok().unwrap().needs;
    assert!(needs.field("request", "headers") && needs.field("request", "query"));
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_no_expression_is_refused_at_its_place() {
    for (text, at) in [("request.path ==", (1, 16)), ("1 +\n  * 2", (2, 3)), ("'a", (1, 1)), ("", (1, 1))] {
        let faults = Expression::over(VARIABLES, text).err().unwrap();
        assert_eq!(faults.first().and_then(|fault| fault.at), Some(at), "{text} {faults:?}");
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn a_fault_of_the_whole_has_no_place_within_it() {
    let faults = Expression::over(VARIABLES, &"[".repeat(4_000)).err().unwrap();
    assert!(faults.iter().all(|fault| fault.at.is_none()), "{faults:?}");
    assert_eq!(faults.len(), 1);
}

#[wasm_bindgen_test(unsupported = test)]
fn what_is_too_large_is_refused_in_time() {
    for text in [
        "(".repeat(4_000),
        "[".repeat(4_000),
        "!".repeat(4_000),
        "-".repeat(4_000),
        format!("now{}", " + now".repeat(600)),
        format!("now{}", "[0]".repeat(1_000)),
        format!("request{}", ".a".repeat(1_000)),
        "now?now:".repeat(500) + "now",
        format!("true{}", " || true".repeat(500)),
        "[1]".to_owned() + &".map(x, 1)".repeat(100),
        "a".repeat(MAX_BYTES + 1),
        "{1: ".repeat(1_000),
    ] {
        assert!(!faults(&text).is_empty(), "{}", text.get(..40).unwrap_or(&text));
    }
}

#[wasm_bindgen_test(unsupported = test)]
fn the_largest_that_is_let_in_can_be_evaluated() {
    let sum = format!("now{} > 0", " + now".repeat(usize::from(MAX_DEPTH) - 2));
    assert_eq!(evaluate(&sum), Ok(Value::Bool(true)));
    let list = format!("size({}now{}) == 1", "[".repeat(40), "]".repeat(40));
    assert_eq!(evaluate(&list), Ok(Value::Bool(true)));
    // Parentheses around parentheses are no deeper than one pair.
    let nested = format!("{}now > 0{}", "(".repeat(2_000), ")".repeat(2_000));
    assert_eq!(evaluate(&nested), Ok(Value::Bool(true)));
}

#[wasm_bindgen_test(unsupported = test)]
fn a_reason_tells_no_value() {
    for text in [
        "{'a': 'secret'}.b == 1",
        "'secret' + 1 == 1",
        "int('secret') == 1",
        "['secret'][4] == 1",
        "9223372036854775807 + now == 1",
        "now / 0 == 1",
        "'secret' < 1",
        "{'secret': 1}[[1]] == 1",
        "'secret' && true",
        "'secret' ? true : false",
    ] {
        match evaluate(text) {
            Err(error) => assert!(!reason(&error).contains("secret"), "{text}: {}", reason(&error)),
            Ok(value) => panic!("{text} is {value:?}"),
        }
    }
}
