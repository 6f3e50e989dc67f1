//! The invariants of ARCHITECTURE.md that can be checked by reading the tree.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test's way to say that this must not happen")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const DOMAINS: [&str; 7] = ["catalog", "inventory", "orders", "payments", "sales", "users", "waiting_room"];

struct File {
    /// Below the root, with slashes.
    path: String,
    text: String,
}

impl File {
    /// The code without comments, and without what is there for tests only, which may do more.
    fn code(&self) -> String {
        let mut code = String::new();
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            if line.trim() == "#[cfg(test)]" {
                // The item goes on to the line that closes it, which is indented as it is.
                let indent = &line[..line.len() - line.trim_start().len()];
                let end = format!("{indent}}}");
                if !lines.next().is_some_and(|first| first.ends_with(';')) {
                    let _ = lines.by_ref().find(|line| *line == end);
                }
                continue;
            }
            if !line.trim_start().starts_with("//") {
                code.push_str(line.split(" // ").next().unwrap_or_default());
                code.push('\n');
            }
        }
        code
    }

    /// The domain whose folder it is in.
    fn domain(&self) -> Option<&str> {
        let rest = self.path.strip_prefix("src/actors/")?;
        DOMAINS.into_iter().find(|domain| rest.starts_with(&format!("{domain}/")))
    }

    fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

fn files(folder: &str, extension: &str) -> Vec<File> {
    fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, extension, found);
            } else if path.extension().is_some_and(|it| it == extension) {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    collect(&root.join(folder), extension, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no {extension} files under {folder}");
    found
        .into_iter()
        .map(|path| File {
            text: std::fs::read_to_string(&path).unwrap(),
            path: path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
        })
        .collect()
}

/// All sources but tests that are files of their own.
fn sources() -> Vec<File> {
    let mut files = files("src", "rs");
    files.retain(|file| file.name() != "tests.rs");
    files
}

/// The places where a file has something that only others may have.
fn found_where(
    files: &[File],
    is_free: impl Fn(&File) -> bool,
    is_wrong: impl Fn(&File, &str) -> bool,
) -> Vec<String> {
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !is_free(file)) {
        for line in file.code().lines().filter(|line| is_wrong(file, line)) {
            found.push(format!("{}: {}", file.path, line.trim()));
        }
    }
    found
}

/// The names that a piece of code takes from `crate::actors::<domain>`, with what stands in braces after it.
fn taken_from(code: &str, domain: &str) -> Vec<String> {
    let mut taken = Vec::new();
    for prefix in [format!("actors::{domain}::"), format!("super::super::{domain}::")] {
        for (start, _) in code.match_indices(&prefix) {
            let rest = &code[start + prefix.len()..];
            let names = match rest.strip_prefix('{') {
                Some(rest) => rest.split('}').next().unwrap_or_default(),
                None => rest.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default(),
            };
            taken.extend(names.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()));
        }
    }
    taken
}

#[test]
fn sql_is_written_under_sql_alone() {
    // How a statement begins, at the beginning of a string. A word of prose is followed by another word of prose.
    let beginnings = [
        "select ",
        "insert into ",
        "update ",
        "delete from ",
        "with ",
        "create ",
        "alter ",
        "drop ",
        "truncate ",
        "merge into ",
        "copy ",
    ];
    let is_statement = |text: &str| {
        let text = text.trim_start().to_lowercase();
        let Some(start) = beginnings.iter().find(|start| text.starts_with(**start)) else { return false };
        match *start {
            // Without a table it is a question to the server, such as whether it is there.
            "select " => {
                text.split_whitespace().any(|word| word == "from") || text.trim_end().ends_with("select")
            }
            "insert into " | "delete from " | "merge into " => true,
            "update " => text.contains(" set "),
            "with " => text.contains(" as ("),
            "copy " => text.contains(" from ") || text.contains(" to "),
            _ => ["table", "schema", "index", "role", "database", "extension", "function", "trigger"]
                .iter()
                .any(|what| text.starts_with(&format!("{start}{what} "))),
        }
    };
    assert!(
        is_statement("select id from x")
            && is_statement("\n  UPDATE x SET y = 1")
            && !is_statement("update the price")
    );
    let files = sources();
    // The cluster makes its own database and role before there is any schema; a database's name is no parameter.
    let is_free =
        |file: &File| file.path.starts_with("src/storage/embedded/") || file.path == "src/storage/scratch.rs";
    let found = found_where(&files, is_free, |_, line| line.split('"').skip(1).step_by(2).any(is_statement));
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn a_domain_sees_only_those_downhill_of_it() {
    let downhill = |domain: &str| -> &[&str] {
        match domain {
            "orders" => &["catalog", "inventory", "payments", "sales", "waiting_room"],
            "sales" => &["catalog", "inventory", "waiting_room"],
            _ => &[],
        }
    };
    let mut wrong = Vec::new();
    for file in sources() {
        let Some(domain) = file.domain() else { continue };
        let code = file.code();
        for other in DOMAINS.into_iter().filter(|other| *other != domain && !downhill(domain).contains(other))
        {
            if code.contains(&format!("actors::{other}")) || code.contains(&format!("super::super::{other}"))
            {
                wrong.push(format!("{} sees {other}", file.path));
            }
        }
        if code.contains("crate::http") || code.contains("crate::engine") || code.contains("crate::cli") {
            wrong.push(format!("{} sees what is above the domains", file.path));
        }
    }
    assert_eq!(wrong, [] as [String; 0]);
}

#[test]
fn nobody_but_the_gateway_the_audit_the_dry_run_and_the_engine_knows_orders() {
    let files = sources();
    let may = |file: &File| {
        file.domain() == Some("orders")
            || ["src/audit/", "src/dry_run/", "src/http/", "src/cli/", "src/seed/"]
                .iter()
                .any(|folder| file.path.starts_with(folder))
            || file.path.starts_with("src/engine/")
    };
    let found = found_where(&files, may, |_, line| line.contains("actors::orders"));
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn what_one_domain_takes_from_another_is_neither_store_nor_actor() {
    let mut wrong = Vec::new();
    for file in sources() {
        let asks_from_outside = file.domain().is_some()
            || ["src/audit/", "src/dry_run/", "src/http/", "src/seed/"]
                .iter()
                .any(|folder| file.path.starts_with(folder));
        if !asks_from_outside {
            continue;
        }
        let code = file.code();
        for other in DOMAINS.into_iter().filter(|other| Some(*other) != file.domain()) {
            for name in taken_from(&code, other) {
                let is_inside =
                    ["Store", "Actor", "Book", "Service", "Hasher"].iter().any(|end| name.ends_with(end));
                let is_module = ["store", "actor", "book", "model", "messages", "*"]
                    .iter()
                    .any(|it| name.starts_with(it));
                if is_inside || is_module {
                    wrong.push(format!("{} takes {name} from {other}", file.path));
                }
            }
        }
    }
    assert_eq!(wrong, [] as [String; 0]);
    let names =
        taken_from("use crate::actors::orders::{A, BStore,\n C}; crate::actors::orders::D::new()", "orders");
    assert_eq!(names, ["A", "BStore", "C", "D"]);
}

#[test]
fn the_gateway_knows_no_store_no_actor_and_no_database() {
    let words = |line: &str| {
        let words = line.split(|c: char| !(c.is_alphanumeric() || c == '_')).map(str::to_owned);
        words.collect::<BTreeSet<_>>()
    };
    let struct_name = |line: &str| {
        let (_, rest) = line.split_once("struct ")?;
        rest.split(['<', ' ', '(', ';', '{']).next().map(str::to_owned)
    };
    let insides = ["Store", "Actor", "Book", "Handle", "Database", "Journal"];
    let ours: BTreeSet<_> = sources()
        .iter()
        .filter(|file| file.path.starts_with("src/actors/") || file.path.starts_with("src/storage/"))
        .flat_map(|file| file.code().lines().filter_map(struct_name).collect::<Vec<_>>())
        .filter(|name| insides.iter().any(|end| name.ends_with(end)))
        .chain(["Addr", "Arbiter", "tokio_postgres", "deadpool_postgres"].map(str::to_owned))
        .collect();
    assert!(
        ["OrdersStore", "EntityActor", "Handle", "Database"].iter().all(|name| ours.contains(*name)),
        "{ours:?}"
    );
    let files: Vec<_> = sources().into_iter().filter(|file| file.path.starts_with("src/http/")).collect();
    let found = found_where(&files, |_| false, |_, line| !ours.is_disjoint(&words(line)));
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn actix_stays_with_the_actors_and_actix_web_in_the_gateway() {
    let files = sources();
    let imports =
        |line: &str, name: &str| line.contains(&format!("{name}::")) || line.trim() == format!("use {name};");
    let found = found_where(
        &files,
        // The engine holds the servers that it runs.
        |file| file.path.starts_with("src/http/") || file.path.starts_with("src/engine/"),
        |_, line| imports(line, "actix_web") || imports(line, "actix_cors"),
    );
    assert_eq!(found, [] as [String; 0]);

    let actor_files = ["actor.rs"];
    let may_actix = |file: &File| {
        file.path.starts_with("src/actors/runtime/")
            || ((file.domain().is_some()
                || file.path.starts_with("src/audit/")
                || file.path.starts_with("src/dry_run/"))
                && (actor_files.contains(&file.name())
                    || file.path.contains("/actor/")
                    || file.name() == "messages.rs"))
    };
    let found = found_where(&files, may_actix, |_, line| imports(line, "actix"));
    // The bound of a port's message stands where a port is made.
    let found: Vec<_> = found.into_iter().filter(|line| !line.contains("actix::Message")).collect();
    assert_eq!(found, [] as [String; 0]);

    let messages: Vec<_> = files.into_iter().filter(|file| file.name() == "messages.rs").collect();
    let found =
        found_where(&messages, |_| false, |_, line| imports(line, "actix") && !line.contains("Message"));
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn the_load_harness_knows_a_shop_by_its_rest_contract_alone() {
    let files: Vec<_> = sources().into_iter().filter(|file| file.path.starts_with("src/cli/load/")).collect();
    assert!(files.len() > 10);
    let insides =
        ["crate::actors", "crate::engine", "crate::http", "crate::storage", "crate::types", "tokio_postgres"];
    let found = found_where(&files, |_| false, |_, line| insides.iter().any(|inside| line.contains(inside)));
    assert_eq!(found, [] as [String; 0]);
}

/// Files that decide, and are held to it: each `model.rs`, and each file whose first line says that it holds rules.
fn is_rules(file: &File) -> bool {
    file.name() == "model.rs" || file.text.starts_with("//! Rules of ")
}

#[test]
fn rules_wait_for_nothing_and_read_no_clock() {
    let files = sources();
    // In these folders everything is a rule, so that no file leaves the check by its first line.
    for folder in [
        "src/actors/inventory/model/",
        "src/actors/sales/gates/",
        "src/actors/sales/model/",
        "src/actors/waiting_room/room/",
    ] {
        let inside: Vec<_> = files.iter().filter(|file| file.path.starts_with(folder)).collect();
        assert!(!inside.is_empty(), "{folder} is not there");
        for file in inside {
            assert!(is_rules(file), "{} does not begin with \"//! Rules of \"", file.path);
        }
    }
    let models: Vec<_> = files.into_iter().filter(is_rules).collect();
    assert_eq!(models.iter().filter(|file| file.name() == "model.rs").count(), DOMAINS.len());
    let found = found_where(
        &models,
        |_| false,
        |_, line| {
            [
                "async ",
                ".await",
                "actix",
                "tokio",
                "Timestamp::now",
                "Instant::now",
                "SystemTime",
                "postgres",
                "crate::storage",
            ]
            .iter()
            .any(|name| line.contains(name))
        },
    );
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn only_the_configuration_reads_the_environment() {
    let files = sources();
    let found = found_where(
        &files,
        |file| file.path == "src/config.rs",
        |_, line| {
            [
                "env::var",
                "env::vars",
                "var_os",
                "env::set_var",
                "Env::",
                "from_default_env",
                "from_env",
                "option_env!",
            ]
            .iter()
            .any(|name| line.contains(name))
        },
    );
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn only_the_engine_builds() {
    let files = sources();
    let found = found_where(
        &files,
        |file| {
            file.path.starts_with("src/engine/")
                || file.domain().is_some()
                || file.name() == "domain.rs"
                || file.path.starts_with("src/actors/runtime/")
        },
        |_, line| {
            [
                "Actor::new(",
                "runtime::supervise",
                "Journal::",
                "OrdersStore::new(",
                "InventoryStore::new(",
                "CatalogStore::new(",
            ]
            .iter()
            .any(|name| line.contains(name))
        },
    );
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn every_message_of_a_domain_is_in_its_contract() {
    let files = sources();
    let mut domains = 0;
    for contract in files.iter().filter(|file| file.name() == "domain.rs") {
        let folder = contract.path.trim_end_matches("domain.rs");
        let Some(messages) = files.iter().find(|file| file.path == format!("{folder}messages.rs")) else {
            continue;
        };
        domains += 1;
        let code = messages.code();
        let public = code.split("#[rtype(").skip(1).filter_map(|rest| {
            let (_, item) = rest.split_once("pub struct ")?;
            item.split(|c: char| !c.is_alphanumeric()).next()
        });
        let declared = contract.code();
        for message in public {
            assert!(declared.contains(&format!(": {message},")), "{folder} does not declare {message}");
        }
    }
    assert!(domains >= DOMAINS.len(), "{domains}");
}

#[test]
fn nothing_is_left_undone_or_unsafe() {
    // Put together, so that this file is not found by a search for them.
    let words = ["todo", "unimplemented", "dbg"].map(|word| format!("{word}!("));
    let all: Vec<_> =
        [files("src", "rs"), files("tests", "rs"), files("benches", "rs")].into_iter().flatten().collect();
    let found = found_where(
        &all,
        |_| false,
        |_, line| {
            words.iter().any(|word| line.contains(word))
                || line.contains("unsafe {")
                || line.contains("unsafe fn")
        },
    );
    let found: Vec<_> = found.into_iter().filter(|line| !line.starts_with("tests/architecture.rs")).collect();
    assert_eq!(found, [] as [String; 0]);
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    assert!(manifest.contains("unsafe_code = \"forbid\""));
}

#[test]
fn nothing_unwraps_outside_tests() {
    let files = sources();
    let found =
        found_where(&files, |_| false, |_, line| line.contains(".unwrap()") || line.contains(".expect("));
    assert_eq!(found, [] as [String; 0]);
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let mut wrong = Vec::new();
    let folders =
        [("src", "rs", "//! "), ("tests", "rs", "//! "), ("benches", "rs", "//! "), ("sql", "sql", "-- ")];
    for (folder, extension, start) in folders {
        for file in files(folder, extension) {
            let first = file.text.lines().next().unwrap_or_default();
            if !first.starts_with(start) || first.contains("This module") || first.contains("This file") {
                wrong.push(format!("{}: {first}", file.path));
            }
        }
    }
    assert_eq!(wrong, [] as [String; 0]);
}

#[test]
fn every_statement_lists_its_parameters() {
    let mut wrong = Vec::new();
    for file in files("sql", "sql").into_iter().filter(|file| !file.path.starts_with("sql/migrations/")) {
        let (comments, statement): (Vec<_>, Vec<_>) =
            file.text.lines().partition(|line| line.starts_with("--"));
        let (comments, statement) = (comments.join("\n"), statement.join("\n"));
        for number in (1..40).filter(|number| has_parameter(&statement, *number)) {
            if !has_parameter(&comments, number) {
                wrong.push(format!("{}: ${number}", file.path));
            }
        }
    }
    assert_eq!(wrong, [] as [String; 0]);
}

fn has_parameter(text: &str, number: usize) -> bool {
    let name = format!("${number}");
    text.match_indices(&name).any(|(start, _)| {
        !text[start + name.len()..].starts_with(|following: char| following.is_ascii_digit())
    })
}

#[test]
fn a_domain_touches_its_own_schema_alone() {
    let mut wrong = Vec::new();
    for domain in DOMAINS {
        let folder = format!("sql/{domain}");
        if !Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder).is_dir() {
            continue;
        }
        for file in files(&folder, "sql") {
            let code: Vec<_> = file.text.lines().filter(|line| !line.starts_with("--")).collect();
            let words: Vec<_> = code
                .iter()
                .flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')))
                .collect();
            // The waiting room keeps its tables in the schema of sales.
            let schema = if domain == "waiting_room" { "sales" } else { domain };
            for other in DOMAINS.into_iter().filter(|other| *other != schema) {
                if words.iter().any(|word| word.starts_with(&format!("{other}."))) {
                    wrong.push(format!("{} touches {other}", file.path));
                }
            }
        }
    }
    assert_eq!(wrong, [] as [String; 0]);
}

#[test]
fn the_audit_reads_and_changes_nothing() {
    for file in files("sql/audit", "sql") {
        let code: String =
            file.text.lines().filter(|line| !line.starts_with("--")).collect::<Vec<_>>().join("\n");
        assert!(code.starts_with("select ") || code.starts_with("with "), "{}", file.path);
        let words: BTreeSet<_> = code.split_whitespace().collect();
        for word in ["insert", "update", "delete", "merge", "truncate"] {
            assert!(!words.contains(word), "{} has {word}", file.path);
        }
    }
    let files: Vec<_> = sources().into_iter().filter(|file| file.path.starts_with("src/audit/")).collect();
    assert!(files.len() > 10);
    // Whatever it has to do with the domains and the gateway, it takes part in no transaction of theirs.
    let wrong = ["crate::http", "crate::cli", "crate::engine", "Journal", ".execute("];
    let names_a_store = |line: &str| {
        line.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|name| name.ends_with("Store"))
    };
    let is_wrong = |line: &str| names_a_store(line) || wrong.iter().any(|name| line.contains(name));
    let found = found_where(&files, |_| false, |_, line| is_wrong(line));
    assert_eq!(found, [] as [String; 0]);
    let read_only = found_where(
        &files,
        |_| false,
        |_, line| line.contains("begin isolation level") && !line.contains("read only"),
    );
    assert_eq!(read_only, [] as [String; 0]);
}

#[test]
fn every_constraint_of_a_migration_is_named() {
    let mut wrong = Vec::new();
    for file in files("sql/migrations", "sql") {
        let number =
            file.name().strip_prefix('V').and_then(|name| name.split_once("__")).map(|(number, _)| number);
        assert!(
            number.is_some_and(|it| it.len() == 4 && it.bytes().all(|byte| byte.is_ascii_digit())),
            "{}",
            file.path
        );
        for line in file.text.lines() {
            let code = line.split("--").next().unwrap_or_default().trim().to_lowercase();
            let is_constraint =
                ["primary key", "foreign key", "references ", "check (", "unique (", " unique", "exclude "]
                    .iter()
                    .any(|word| code.contains(word));
            let is_named = code.contains("constraint ") || code.starts_with("create unique index ");
            if is_constraint && !is_named {
                wrong.push(format!("{}: {code}", file.path));
            }
        }
    }
    assert_eq!(wrong, [] as [String; 0]);
}

#[test]
fn a_domain_folder_has_the_same_files_everywhere() {
    for domain in DOMAINS {
        let folder = files(&format!("src/actors/{domain}"), "rs");
        for name in ["mod.rs", "messages.rs", "model.rs", "actor.rs", "error.rs"] {
            assert!(folder.iter().any(|file| file.name() == name), "{domain} has no {name}");
        }
        for file in &folder {
            assert!(!["utils.rs", "helpers.rs", "common.rs"].contains(&file.name()), "{}", file.path);
        }
    }
}
