# Two commands on a fresh machine: `make serve` and `make test`. Both install or explain what they need.

SHELL := /bin/bash
CARGO ?= cargo
COMPONENTS := target/components
# One profile and one choice of packages serve everything: cargo unites the features of the packages that it is given, and
# another choice would compile wasmtime a second time.
PROFILE := --release
CHOICE := --locked --workspace

.PHONY: help serve test bench bench-ingest bench-queries rivals build components examples peers builder lint format docs clean

help:
	@echo "make serve   build everything and run the server on this machine's own telemetry"
	@echo "make test    everything CI checks"
	@echo "make bench   what it costs, in figures and ratios (bench-ingest, bench-queries: beside other servers)"
	@echo "make build   give target/release/tandem, with the bundled plugins inside"
	@echo "make lint    formatting and clippy"

# What is missing on a bare machine: a C compiler for some crates, and Rust itself.
.PHONY: needs
needs:
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: install it with rustup (see README.md), then run this again."; exit 1; }
	@command -v cc >/dev/null || { \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then apt-get update -qq; apt-get install -y -qq --no-install-recommends gcc libc6-dev; \
	  else echo "A C compiler is missing: install gcc (Debian: apt-get install gcc libc6-dev), then run this again."; exit 1; fi; }

builder: needs
	$(CARGO) build $(PROFILE) $(CHOICE) --bin tandem-builder

# The bundled plugins, each a folder under plugins/, as components.
components: builder
	target/release/tandem-builder build --bundled --locked --out $(COMPONENTS)

# The same two plugins in Rust, Python, JavaScript and C, which the tests hold against each other.
examples: builder
	@if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  missing=""; \
	  command -v clang-19 >/dev/null || command -v clang >/dev/null || missing="$$missing clang-19"; \
	  command -v wasm-ld-19 >/dev/null || command -v wasm-ld >/dev/null || missing="$$missing lld-19"; \
	  command -v node >/dev/null || missing="$$missing nodejs"; \
	  command -v npm >/dev/null || missing="$$missing npm"; \
	  python3 -c "import ensurepip, venv" 2>/dev/null || missing="$$missing python3-venv"; \
	  if [ -n "$$missing" ]; then apt-get update -qq; apt-get install -y -qq --no-install-recommends $$missing; fi; fi
	TANDEM_BUILDER=target/release/tandem-builder sh sdk/build-examples.sh

# Real senders that the tests set the server before; without them those tests say that they are left out.
peers:
	@missing=""; \
	for name in prometheus-node-exporter prometheus prometheus-alertmanager; do command -v $$name >/dev/null || missing="$$missing $$name"; done; \
	if [ -n "$$missing" ]; then \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	    { apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing; } \
	      || echo "$$missing could not be installed; their tests are left out"; \
	  else echo "$$missing are not installed; their tests are left out"; fi; fi

build: components
	$(CARGO) build $(PROFILE) $(CHOICE) --bin tandem

serve: build
	target/release/tandem serve

format:
	$(CARGO) fmt --all --check

lint: format components
	$(CARGO) clippy $(PROFILE) $(CHOICE) --all-targets -- -D warnings

docs: components
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(PROFILE) $(CHOICE) --no-deps --quiet

test: format components examples peers
	$(MAKE) lint
	TANDEM_EXAMPLES=required $(CARGO) test $(PROFILE) $(CHOICE)
	$(MAKE) docs

# Measures and prints; no part of `make test`, which only compiles it.
bench: build
	$(CARGO) build $(PROFILE) $(CHOICE) --bin tandem-bench
	target/release/tandem-bench

# Servers of others that Tandem is measured beside.
rivals:
	@missing=""; \
	for name in prometheus victoria-metrics; do command -v $$name >/dev/null || missing="$$missing $$name"; done; \
	if [ -n "$$missing" ]; then \
	  if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then apt-get update -qq; apt-get install -y -qq --no-install-recommends $$missing; \
	  else echo "$$missing are missing: install them, then run this again."; exit 1; fi; fi

bench-ingest bench-queries: build rivals
	$(CARGO) build $(PROFILE) $(CHOICE) --bin tandem-bench
	target/release/tandem-bench $(@:bench-%=%)

clean:
	$(CARGO) clean
