# Two commands on a fresh machine: `make serve` and `make test`. Both install or explain what they need.

SHELL := /bin/bash
CARGO ?= cargo
COMPONENTS := target/components
# One profile serves everything, so that wasmtime is compiled once.
PROFILE := --release

.PHONY: help serve test build components builder lint format docs clean

help:
	@echo "make serve   build everything and run the server on this machine's own telemetry"
	@echo "make test    everything CI checks"
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
	$(CARGO) build $(PROFILE) --locked -p tandem-builder

# The bundled plugins, each a folder under plugins/, as components.
components: builder
	target/release/tandem-builder build --bundled --locked --out $(COMPONENTS)

build: components
	$(CARGO) build $(PROFILE) --locked -p tandem-server --bin tandem

serve: build
	target/release/tandem serve

format:
	$(CARGO) fmt --all --check

lint: format components
	$(CARGO) clippy $(PROFILE) --locked --workspace --all-targets -- -D warnings

docs: components
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(PROFILE) --locked --workspace --no-deps --quiet

# The tests start the server from its library, so the binary is not built apart: another choice of packages would unite
# features differently and compile wasmtime a second time.
test: format components
	$(MAKE) lint
	$(CARGO) test $(PROFILE) --locked --workspace
	$(MAKE) docs

clean:
	$(CARGO) clean
