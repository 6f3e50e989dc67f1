//! The API document and the page that shows it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::routes;
use crate::support::TestEngine;

/// What is looked at in a browser, and the document itself.
fn is_for_people(path: &str) -> bool {
    path.starts_with("/docs") || path.starts_with("/ops") || path == "/openapi.json"
}

#[actix::test]
async fn the_document_is_openapi_3_1_and_lists_every_route() {
    let engine = TestEngine::start().await;

    let document = engine.visitor().get("/openapi.json").await.expect(200);

    assert!(document.body["openapi"].as_str().unwrap().starts_with("3.1."), "{}", document.body["openapi"]);
    for (method, path) in routes::table() {
        if is_for_people(&path) {
            continue;
        }
        let operation = &document.body["paths"][&path][method.to_lowercase()];
        assert!(operation["responses"].is_object(), "{method} {path} is not described");
    }
    let described: usize = document.body["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|path| path.as_object().unwrap().len())
        .sum();
    let of_the_api = routes::table().iter().filter(|(_, path)| !is_for_people(path)).count();
    assert_eq!(described, of_the_api);
    engine.stop().await;
}

#[actix::test]
async fn the_page_loads_from_the_engine_alone() {
    let engine = TestEngine::start().await;
    let visitor = engine.visitor();

    let page = visitor.get("/docs").await.expect(200);

    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page:?}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
    let parts: Vec<_> = page.text.split(['"', '\'']).collect();
    let files: Vec<_> = parts
        .windows(2)
        .filter(|pair| pair[0].ends_with("src=") || pair[0].ends_with("href="))
        .map(|pair| pair[1].trim_start_matches("./"))
        .collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in &files {
        assert!(!file.contains("//"), "{file} comes from elsewhere");
        let answer = visitor.get(&format!("/docs/{file}")).await.expect(200);
        assert!(!answer.text.is_empty(), "{file}");
        assert_eq!(answer.header("content-encoding"), None, "{file}");
    }
    let start = visitor.get("/docs/swagger-initializer.js").await.expect(200);
    assert!(start.text.contains("/openapi.json") && !start.text.contains("://"), "{}", start.text);
    visitor.get("/docs/no-such-file.js").await.expect_problem(404, "not-found");
    visitor.get("/docs/..%2f..%2fCargo.toml").await.expect_problem(404, "not-found");
    engine.stop().await;
}

/// What a handler takes or calls to read a header, and the header.
const READERS: [(&str, &str); 7] = [
    ("RequiredKey", "Idempotency-Key"),
    ("OptionalKey", "Idempotency-Key"),
    ("OptionalAdmission", "Sale-Admission"),
    ("OptionalDevice", "Device-Id"),
    ("ShownTicket", "Queue-Ticket"),
    ("check_challenge(", "Challenge-Answer"),
    ("SIGNATURE_HEADER", "Shobai-Signature"),
];

/// The files in a folder and in the folders inside it.
fn files(folder: &str) -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files
}

#[actix::test]
async fn every_header_that_a_handler_reads_is_described_where_it_is_read() {
    let engine = TestEngine::start().await;
    let document = engine.visitor().get("/openapi.json").await.expect(200).body;
    engine.stop().await;
    let described: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .flat_map(|path| path.as_object().unwrap().values())
        .flat_map(|operation| {
            let name = operation["operationId"].as_str().unwrap();
            let headers = operation["parameters"].as_array().into_iter().flatten();
            let headers = headers.filter(|parameter| parameter["in"] == "header");
            headers.map(move |header| (name.to_owned(), header["name"].as_str().unwrap().to_owned()))
        })
        .collect();

    let mut read = BTreeSet::new();
    let mut names = BTreeSet::new();
    for file in ["src/http/api", "src/http/gateway"].iter().flat_map(|folder| files(folder)) {
        let source = std::fs::read_to_string(file).unwrap();
        names.extend(source.split("request.headers().get(").skip(1).map(|rest| {
            let name = rest.split(')').next().unwrap();
            name.trim_end_matches("_HEADER").to_owned()
        }));
        for operation in source.split("#[utoipa::path(").skip(1) {
            let (_, handler) = operation.split_once("pub async fn ").expect("a handler");
            let (name, rest) = handler.split_once('(').unwrap();
            let body = rest.split("\n}\n").next().unwrap();
            let readers = READERS.iter().filter(|(reader, _)| body.contains(reader));
            read.extend(readers.map(|(_, header)| (name.to_owned(), (*header).to_owned())));
        }
    }

    assert_eq!(read, described);
    // What the extractors read is among them; `Authorization` and `Accept` stand elsewhere in a document, and the media type is the
    // body's.
    let known = [
        "ACCEPT",
        "AUTHORIZATION",
        "CHALLENGE_ANSWER",
        "DEVICE_ID",
        "IDEMPOTENCY_KEY",
        "QUEUE_TICKET",
        "SALE_ADMISSION",
        "SIGNATURE",
        "name",
    ];
    assert_eq!(names, known.map(str::to_owned).into());
}
