//! What Cedar says is wrong, in words for somebody who has never seen Cedar: what to write instead. It finds nothing itself.

use cedar_policy::Schema;

use crate::spelling::meant;

/// What the parser says about the place `at` of `text`.
pub(super) fn on_syntax(message: String, text: &str, at: usize) -> String {
    let (before, behind) = text.split_at_checked(at).unwrap_or((text, ""));
    let (last, next) = (last_word(before), first_word(behind));
    let short = |message: &str| message.split(": expected").next().unwrap_or_default().to_owned();
    let remedy = match next {
        "and" | "AND" => "write `&&` where both must hold",
        "or" | "OR" => "write `||` where one of both must hold",
        _ if behind.starts_with('&') && !behind.starts_with("&&") => "write `&&` where both must hold",
        _ if behind.starts_with('|') && !behind.starts_with("||") => "write `||` where one of both must hold",
        _ if last == "not" || last == "NOT" => "write `!( … )` for what must not hold",
        _ if ["permit", "forbid"].contains(&last) && behind.starts_with('(') => {
            return format!("the policy before this `{last}` has no end; write `;` behind it");
        }
        _ if behind.starts_with(';') && message.contains("`}`") => "a `{` is still open; write `}` before this `;`",
        _ if message.starts_with("unexpected end of input") => {
            if message.contains("`;`") {
                "a policy ends with `;`"
            } else {
                "something is still open; see that each ( { [ and \" has its end, and that the policy ends with `;`"
            }
        }
        _ => return on_scope(message, next),
    };
    format!("{}; {remedy}", short(&message))
}

fn on_scope(message: String, word: &str) -> String {
    if message.starts_with("expected an entity uid") {
        let what = message.split(';').next().unwrap_or_default();
        let remedy = "write type and name, such as Workload::\"spiffe://example.org/ns/shop/sa/web\", Action::\"GET\" or Service::\"cart\"";
        return format!("{what}; {remedy}");
    }
    let lower = word.to_lowercase();
    if message.contains("invalid variable") && ["principal", "action", "resource"].contains(&lower.as_str()) {
        return format!("{word} is unknown; write {lower}");
    }
    message
}

/// What is wrong with the SPIFFE ID `name`.
pub(super) fn on_names(message: String, name: &str) -> String {
    match name.strip_suffix("/*") {
        Some(above) => format!("{message}; for everything below it write principal in WorkloadPath::{above:?}"),
        None => message,
    }
}

/// What the validator says.
pub(super) fn on_types(message: &str, schema: &Schema) -> String {
    let message = without_policy(message);
    let message = of_action(&of_entity_type(&message, schema), schema);
    let message = message.replace(
        "unable to guarantee safety of access to optional attribute",
        "a request may come without the attribute",
    );
    let message = message
        .replace("policy is impossible: the policy expression evaluates to false for all valid requests", IMPOSSIBLE);
    let message = message.replace(
        "unable to find an applicable action given the policy scope constraints",
        "this policy can never apply: no action has such a principal and resource together; a principal is a Workload or Unverified, \
         the resource is the Service",
    );

    let message = message
        .replace("try testing for the attribute's presence with", "ask for it first:")
        .replace(" && ..`", " && …`");
    match remedy(&message) {
        Some(remedy) => {
            format!("{}; {remedy}", message.trim_end_matches(". Types must be exactly equal to be compatible"))
        }
        None => message,
    }
}

/// What is said of a policy that no request can match.
pub(super) const IMPOSSIBLE: &str =
    "this policy can never apply: what it asks for is false for every request that there can be";

fn remedy(message: &str) -> Option<&'static str> {
    if message.contains("expected Long but saw String") {
        return Some("<, <=, > and >= compare numbers; for texts there are ==, != and like");
    }
    let types = message.split_once("the types ")?.1.split_once(" are not compatible")?.0;
    let has = |name: &str| types.split(" and ").any(|one| one == name);
    match types {
        _ if !has("String") => None,
        _ if has("ipaddr") => Some("write an address as ip(\"10.0.0.1\")"),
        _ if has("Long") => Some("write numbers without quotes, and texts in double quotes"),
        _ if has("Bool") => Some("write true and false without quotes"),
        _ if has("datetime") => Some("write a time as datetime(\"2026-01-31T12:00:00Z\")"),
        _ if has("duration") => Some("write a length of time as duration(\"1h30m\")"),
        _ => Some("write what is no text with its type, such as Workload::\"spiffe://example.org/ns/shop/sa/web\""),
    }
}

/// Cedar names the policy, of which the place is told already.
fn without_policy(message: &str) -> String {
    const MENTION: &str = "for policy `";
    let Some((start, rest)) = message.split_once(MENTION) else { return message.to_owned() };
    rest.split_once("`, ").map_or_else(|| message.to_owned(), |(_, end)| format!("{start}{end}"))
}

fn of_entity_type(message: &str, schema: &Schema) -> String {
    let Some(unknown) = quoted(message, "unrecognized entity type `", "`") else { return message.to_owned() };
    let mut known: Vec<String> = schema.entity_types().map(ToString::to_string).collect();
    known.sort_unstable();
    match meant(unknown, known.iter().map(String::as_str)) {
        Some(name) => format!("entity type {unknown} is unknown; did you mean {name}?"),
        None => format!("entity type {unknown} is unknown; there are {}", known.join(", ")),
    }
}

fn of_action(message: &str, schema: &Schema) -> String {
    let Some(unknown) = quoted(message, "unrecognized action `Action::\"", "\"`") else { return message.to_owned() };
    let mut known: Vec<String> = schema.actions().map(|action| action.id().unescaped().to_owned()).collect();
    known.sort_unstable();
    let upper = unknown.to_ascii_uppercase();
    let exact = known.iter().find(|name| **name == upper).map(String::as_str);
    match exact.or_else(|| meant(unknown, known.iter().map(String::as_str))) {
        Some(name) => format!("action {unknown:?} is unknown; did you mean Action::{name:?}?"),
        None => format!("action {unknown:?} is unknown; there are {}", known.join(", ")),
    }
}

fn quoted<'m>(message: &'m str, start: &str, end: &str) -> Option<&'m str> {
    Some(message.split_once(start)?.1.split_once(end)?.0)
}

fn last_word(text: &str) -> &str {
    let text = text.trim_end();
    text.rsplit(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap_or_default()
}

fn first_word(text: &str) -> &str {
    text.split(|it: char| !it.is_alphanumeric() && it != '_').next().unwrap_or_default()
}
