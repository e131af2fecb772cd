# `make` alone lists the targets. What CI runs is exactly `make check` and `make test`.
CONFIG ?= config.json
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
STATIC := $(or $(CARGO_TARGET_DIR),target)/$(HOST)/release/gemini-openai-proxy
# With frame pointers the tables for unwinding shrink by more than the code grows: 0.2 MB less in the minimal binary, 0.14 MB in the whole one.
STATIC_FLAGS := -C target-feature=+crt-static -C force-frame-pointers=yes
# Packed relocations are 140 kB less; the glibc of a static binary applies them from 2.36 on.
ifneq ($(shell printf '2.36\n%s\n' "$$(getconf GNU_LIBC_VERSION 2>/dev/null | cut -d' ' -f2)" | sort -CV && echo yes),)
STATIC_FLAGS += -C link-arg=-Wl,-z,pack-relative-relocs
endif
# Equal functions become one, where the linker can do that: 30 kB less.
MERGED = $(shell echo 'fn main() {}' | rustc - -C link-arg=-Wl,--icf=all -o /dev/null 2>/dev/null && echo '-C link-arg=-Wl,--icf=all')
# Panics name a crate's file by the crate and not by where this machine keeps it: 10 kB less, and as much everywhere.
CRATES := $(or $(CARGO_HOME),$(HOME)/.cargo)/registry/src
SHORT = $(foreach source,$(wildcard $(CRATES)/*),--remap-path-prefix=$(source)/=)
# Who leaves features out wants a small program: all of it is built for size alone, 0.4 MB less.
ifneq ($(findstring --no-default-features,$(FEATURES)),)
PROFILES := $(shell sed -n 's/^\[\(profile\.release.*\)\]$$/\1/p' Cargo.toml)
SMALLER := $(foreach profile,$(PROFILES),--config '$(profile).opt-level="z"')
endif
# What the tests' programs write and answer is collected here and searched for secrets.
WRITTEN := $(or $(CARGO_TARGET_DIR),target)/tmp/written

.DEFAULT_GOAL := help
.PHONY: help run demo build check test crates static small conformance durability tokens replicas clients bench bench-peers soak deny sbom clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

run: $(CONFIG) build ## build and serve: make run CONFIG=config.json
	./target/release/gemini-openai-proxy run -c $(CONFIG)

$(CONFIG):
	@echo "$(CONFIG): no such file. Make one from the example: cp config.example.json $(CONFIG), then edit it." >&2; exit 1

demo: ## stream an answer without any account, from a fake Google on this machine
	cargo build --release --bin gemini-openai-proxy --example fake_google
	./examples/demo.sh

build: ## build the release binary
	cargo build --release --locked --bin gemini-openai-proxy

check: ## formatting, lints, documentation
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --test static_binary --test tiny_http_status --test written -- -D warnings
	cargo clippy --locked --all-targets --no-default-features -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --locked --no-deps --document-private-items

test: ## every test, with the official SDKs as clients; installs what it needs
	./tests/setup.sh
	rm -rf $(WRITTEN) && mkdir -p $(WRITTEN)
# More threads than cores: half of what the tests do is waiting.
	cargo test --locked -- --test-threads 5
	cargo test --locked --test written

# Their folder is looked for when the rule below is read.
crates:
	@cargo fetch --locked --quiet --target $(HOST)

static: crates ## a binary without shared libraries, in target/HOST/release; FEATURES=--no-default-features: the minimal one
	RUSTFLAGS="$(STATIC_FLAGS) $(MERGED) $(SHORT)" cargo build --release --locked $(SMALLER) $(FEATURES) --bin gemini-openai-proxy --target $(HOST)
	@ldd $(STATIC) 2>&1 | sed 's/^[ \t]*//'; echo $(abspath $(STATIC))

small: ## both static binaries: neither is larger than promised, and one answers from an empty root
	cargo test --locked --test static_binary

conformance: ## 200,000 mutated requests beside an independent parser, 2,000 hostile connections, values of a megabyte in every field
	./tests/setup.sh
	GEMINI_PROXY_VALUES=1024 cargo test --locked --test suite -- memory::shapes:: memory::answers::
	GEMINI_PROXY_MUTATED=200000 cargo test --locked --test suite -- conformance::
	cargo build --locked --release
	GEMINI_PROXY_BINARY=$$PWD/target/release/gemini-openai-proxy GEMINI_PROXY_HOSTILE=2000 cargo test --locked --test suite -- tls::hostile::strangers_of --nocapture

tokens: ## ten service accounts under load for two minutes: one token each in its time
	GEMINI_PROXY_TOKEN_LOAD=120 cargo test --locked --test suite -- vertex::load --nocapture

clients: ## real programs and libraries as clients; installs them first: 2.7 GB, about eight minutes in all
	./tests/setup.sh
	./tests/clients/install.sh
	cargo test --locked --test clients -- --test-threads 2

bench: static ## measure the binary that releases have against nginx, write docs/benchmarks.md
	./tests/setup.sh
	cargo test --locked --test tiny_http_status
	cargo bench --locked --bench load -- --program $(abspath $(STATIC))

bench-peers: static ## the same loads on LiteLLM's proxy and Portkey's gateway; installs them first: 0.8 GB, about twelve minutes in all
	./tests/setup.sh
	./benches/peers/install.sh
	cargo bench --locked --bench load -- --program $(abspath $(STATIC)) --peers

soak: static ## ten minutes of mixed load: nothing may grow or be lost; write docs/soak.md
	cargo bench --locked --bench load -- --program $(abspath $(STATIC)) --soak 600

durability: ## kill -9 at fifty random moments after each kind of answer of the admin page
	GEMINI_PROXY_MOMENTS=50 cargo test --locked --test suite -- usage::durable --nocapture

replicas: ## 100,000 simulated schedules of limits and of refreshes over replicas, rolling restarts, and their tests over a real Redis
	./tests/setup.sh
	GEMINI_PROXY_SCHEDULES=100000 cargo test --locked --lib -- keys::shared store::accounts
	GEMINI_PROXY_ROLLING=6 cargo test --locked --test suite -- replicas:: --nocapture

deny: ## licences, bans and sources with cargo-deny (cargo install cargo-deny)
	cargo deny check bans licenses sources

sbom: ## what the binary is built from, as a CycloneDX bill of materials on standard output
	@python3 deploy/sbom.py

clean: ## remove what was built and installed for tests
	cargo clean
	rm -rf tests/.venv tests/node_modules tests/.cache tests/clients/node_modules tests/clients/.venv tests/clients/.aider benches/peers/node_modules benches/peers/.venv
