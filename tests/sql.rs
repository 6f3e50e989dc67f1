//! PostgreSQL itself type-checks every statement under `sql/`, against the schema that the migrations make.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's way to say that this must not happen")]

mod support;

use std::path::{Path, PathBuf};

use support::TestEngine;

fn files_under(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_under(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All statements but the migrations, which the database of every test went through.
fn statements() -> Vec<PathBuf> {
    let mut files = files_under(&root().join("sql"), "sql");
    files.retain(|file| !file.starts_with(root().join("sql/migrations")));
    assert!(files.len() > 30, "{files:?}");
    files
}

#[actix::test]
async fn every_statement_can_be_prepared() {
    let engine = TestEngine::start().await;
    let connection = engine.engine.database().connection().await.unwrap();
    let mut broken = Vec::new();
    for file in statements() {
        let sql = std::fs::read_to_string(&file).unwrap();
        if let Err(error) = connection.prepare(&sql).await {
            let problem = error.as_db_error().map_or_else(|| error.to_string(), ToString::to_string);
            broken.push(format!("{}: {problem}", file.display()));
        }
    }
    assert_eq!(broken, [] as [String; 0]);
    drop(connection);
    engine.stop().await;
}

#[test]
fn every_statement_is_used() {
    let sources = files_under(&root().join("src"), "rs");
    let sources: String = sources.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let unused: Vec<_> = statements()
        .into_iter()
        .filter(|file| {
            let path = file.strip_prefix(root()).unwrap().to_str().unwrap();
            // Macros that put the path together name the folder and the statement apart.
            let name = file.file_stem().unwrap().to_str().unwrap();
            !sources.contains(path) && !sources.contains(&format!("\"{name}\""))
        })
        .collect();
    assert_eq!(unused, [] as [PathBuf; 0]);
}
