# The commands of a Shobai checkout. Each works on a new Debian machine that has only a Rust toolchain.

SHELL := /bin/bash
target := $(or $(CARGO_TARGET_DIR),target)
shobai := $(target)/release/shobai

.PHONY: help run build test pictures bench lint audit load wrk stop clean

help: ## Lists these commands.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: build ## Serves a demo shop on port 8080, everything it needs included; Ctrl-C stops it in order.
	@exec $(shobai) serve

build:
	@dev/setup
	cargo build --release

test: ## Runs every test; they start their own PostgreSQL and their own browser.
	@dev/setup tests
	cargo test

pictures: ## Runs a sale in a real browser and keeps its pictures for the README.
	@dev/setup tests
	cargo test --test browser an_operator_runs_a_sale_from_the_page_alone
	cp $(target)/tmp/browser/{sale,telephone,japanese}.png web/ops/

bench: ## Measures reservations and orders beside row locks, on a real PostgreSQL.
	@dev/setup
	cargo bench

lint: ## Checks formatting, clippy and the documentation's links.
	cargo fmt --check
	cargo clippy --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps

audit: build ## Proves from the database that nothing was oversold or lost.
	@exec $(shobai) audit

load: build ## Runs a flash sale against an engine of its own, audits it and leaves the report under var/load/report.
	@dev/flash-sale

wrk: build ## Drives orders on one hot SKU with wrk against the engine that `make run` serves in another terminal, then audits.
	@dev/load

stop: ## Stops the engine of this checkout, and a PostgreSQL that it may have left behind.
	@dev/stop

clean: ## Stops the engine and deletes its data and everything that was built.
	@dev/clean
	cargo clean
