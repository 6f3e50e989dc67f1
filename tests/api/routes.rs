//! The route table, and whether the tests call all of it.

use std::path::Path;

/// Method and pattern of every route.
pub fn table() -> Vec<(&'static str, String)> {
    shobai::http::route_table().iter().map(|route| (route.method, route.pattern.to_owned())).collect()
}

/// Method and path of every call in a test's source: `.get("…")`, `.post(&format!("…")`, `Method::POST, "…"` and so on.
fn calls(source: &str) -> Vec<(&'static str, String)> {
    let source: String = source.split_whitespace().collect();
    let forms = [
        ("GET", ".get("),
        ("GET", ".all_pages("),
        ("POST", ".post("),
        ("DELETE", ".delete("),
        ("GET", "Method::GET,"),
        ("POST", "Method::POST,"),
        ("PATCH", "Method::PATCH,"),
        ("DELETE", "Method::DELETE,"),
    ];
    let mut calls = Vec::new();
    for (method, form) in forms {
        for (start, _) in source.match_indices(form) {
            let rest = source[start + form.len()..].trim_start_matches('&').trim_start_matches("format!(");
            if let Some(path) = rest.strip_prefix('"').and_then(|rest| rest.split(['"', '?']).next()) {
                calls.push((method, path.to_owned()));
            }
        }
    }
    calls
}

fn matches(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/'), path.split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(_)) if part.starts_with('{') => {}
            (Some(part), Some(other)) if part == other => {}
            _ => return false,
        }
    }
}

#[test]
fn every_route_is_called_by_a_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut called = Vec::new();
    for folder in ["api", "support"] {
        for file in std::fs::read_dir(tests.join(folder)).unwrap() {
            let file = file.unwrap().path();
            if !file.ends_with("routes.rs") {
                called.extend(calls(&std::fs::read_to_string(file).unwrap()));
            }
        }
    }
    let uncalled: Vec<_> = table()
        .into_iter()
        .filter(|(method, pattern)| {
            !called.iter().any(|(called, path)| called == method && matches(pattern, path))
        })
        .collect();
    assert_eq!(uncalled, []);
}

#[test]
fn calls_are_found_in_whatever_form_they_are_written() {
    let source = r#"
        client.get("/v1/users/me").await;
        client.post(
            &format!("/v1/orders/{id}/cancel"), body);
        client.request(reqwest::Method::DELETE, "/v1/things?x=1");
    "#;
    let found = calls(source);
    let expected = [("GET", "/v1/users/me"), ("POST", "/v1/orders/{id}/cancel"), ("DELETE", "/v1/things")];
    assert_eq!(found, expected.map(|(method, path)| (method, path.to_owned())));
    assert!(matches("/v1/orders/{id}/cancel", "/v1/orders/{order}/cancel"));
    assert!(!matches("/v1/orders/{id}", "/v1/orders/{id}/cancel"));
    assert!(!matches("/v1/orders", "/v1/products"));
}
