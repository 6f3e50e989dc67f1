//! The API document as a promise: whatever an engine answers in a test has to be what the document says.

use std::sync::LazyLock;

use reqwest::Method;
use serde_json::{Map, Value};
use shobai::config::Config;
use shobai::http::{GatewayLimits, openapi};

use super::Answer;

/// Headers that say something about one answer, and so stand in the description of that answer.
const HEADERS: [&str; 5] = ["Allow", "Idempotency-Replayed", "Location", "Retry-After", "WWW-Authenticate"];

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| openapi(&GatewayLimits::of(&Config::default())));

/// Fails where the document does not have that answer to that request. What is for people is not in the document.
#[track_caller]
pub fn check(method: &Method, path: &str, answer: &Answer) {
    let Some((pattern, item)) = item(path) else { return };
    let method = if method == Method::HEAD { Method::GET } else { method.clone() };
    let Some(operation) = item.get(method.as_str().to_lowercase()) else { return };
    let found = differences(operation, answer);
    assert!(found.is_empty(), "the document does not say so: {method} {pattern}: {found:?}: {answer:?}");
}

/// The path of the document that it is; one without parameters before one with.
fn item(path: &str) -> Option<(&'static String, &'static Value)> {
    let parts: Vec<&str> = path.split('/').collect();
    let matches = |pattern: &str| {
        let pattern: Vec<&str> = pattern.split('/').collect();
        pattern.len() == parts.len()
            && pattern.iter().zip(&parts).all(|(pattern, part)| pattern.starts_with('{') || pattern == part)
    };
    let items = DOCUMENT["paths"].as_object().expect("paths");
    let found = items.iter().filter(|(pattern, _)| matches(pattern));
    found.min_by_key(|(pattern, _)| pattern.matches('{').count())
}

fn differences(operation: &Value, answer: &Answer) -> Vec<String> {
    let Some(response) = operation["responses"].get(answer.status.to_string()) else {
        return vec![format!("the status {}", answer.status)];
    };
    let mut found = Vec::new();
    for name in HEADERS {
        if answer.header(name).is_some() && response["headers"].get(name).is_none() {
            found.push(format!("the header {name}"));
        }
    }
    if answer.text.is_empty() {
        return found;
    }
    let media_type = answer.header("content-type").unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default();
    match response["content"].get(media_type) {
        Some(content) if media_type.ends_with("json") => {
            differences_in(&answer.body, &content["schema"], "", &mut found);
        }
        Some(_) => {}
        None => found.push(format!("the media type {media_type:?}")),
    }
    found
}

/// Members that are missing or too many, at any depth, and values of another type.
fn differences_in(value: &Value, schema: &Value, path: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.trim_start_matches("#/components/schemas/");
        return differences_in(value, &DOCUMENT["components"]["schemas"][name], path, found);
    }
    let choices: Vec<&Value> =
        ["oneOf", "anyOf"].iter().filter_map(|of| schema[of].as_array()).flatten().collect();
    if !choices.is_empty() {
        let fits = choices.iter().any(|choice| {
            let mut found = Vec::new();
            differences_in(value, choice, path, &mut found);
            found.is_empty()
        });
        if !fits {
            found.push(format!("{path} is none of those"));
        }
        return;
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    let is_of = |name: &&str| match *name {
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => value.is_null(),
    };
    if !types.iter().any(is_of) {
        found.push(format!("{path} is {value}, not of {types:?}"));
    }
    match value {
        Value::Object(members) => differences_in_members(members, schema, path, found),
        Value::Array(items) if schema.get("items").is_some() => {
            for (index, item) in items.iter().enumerate() {
                differences_in(item, &schema["items"], &format!("{path}/{index}"), found);
            }
        }
        _ => {}
    }
}

fn differences_in_members(members: &Map<String, Value>, schema: &Value, path: &str, found: &mut Vec<String>) {
    let Some(properties) = schema["properties"].as_object() else { return };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            found.push(format!("{path}/{name} is missing"));
        }
    }
    for (name, value) in members {
        match properties.get(name) {
            Some(schema) => differences_in(value, schema, &format!("{path}/{name}"), found),
            None => found.push(format!("{path}/{name}")),
        }
    }
}
