# Thin on purpose: every target is one or two commands of Cargo. There is one profile (dev), so that
# `make demo` and `make test` share what they build.

.DEFAULT_GOAL := help
.PHONY: help demo start packaging picture test soak tck interop-edc bench-edc lint gates bench ci announce oracle deny-tool

CARGO ?= cargo
COLD := $(if $(wildcard $(or $(CARGO_TARGET_DIR),target)/debug/.fingerprint),,yes)

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' Makefile

demo: CRATES = -p twinpact -e normal,build
demo: announce ## Run the main job: three organisations, one fault, and every step of it proven.
	@$(CARGO) build -p twinpact
	@rm -rf "$(or $(CARGO_TARGET_DIR),target)/demo"
	@$(CARGO) run -q -p twinpact -- demo --auto-confirm --keep "$(or $(CARGO_TARGET_DIR),target)/demo"

start: CRATES = -p twinpact -e normal,build
start: announce ## Run docs/start.md as it stands, in a root with nothing but the program and a shell.
	@$(CARGO) build -q -p twinpact
	@python3 tools/start.py --binary "$(or $(CARGO_TARGET_DIR),target)/debug/twinpact"

packaging: ## Try the systemd unit and the container file, where there are tools for it.
	@$(CARGO) build -q -p twinpact
	@.ci/packaging "$(or $(CARGO_TARGET_DIR),target)/debug/twinpact"

test: CRATES = --workspace
test: announce oracle ## Run all tests.
	$(CARGO) test --workspace

picture: ## Look at the pages of incident reports in a headless browser (needs Chromium and Node.js).
	@.ci/picture $(FILE)

soak: ## Many more power cuts (10,000 for 1,000), runs of a bad network (3,000 for 200) and kills.
	TWINPACT_RESTARTS=200 $(CARGO) test -p twinpact --test it restarts::
	TWINPACT_CUTS=10000 $(CARGO) test -p twinpact-store -p twinpact-node --test it power_may_go
	TWINPACT_NETS=3000 $(CARGO) test -p twinpact-node --test it two_nodes_end
	TWINPACT_KILLS=1000 $(CARGO) test -p twinpact --test it kill::

witness: ## Our witness and our checkpoints against those of the world (needs go).
	tools/witness_peer.sh

tck: ## Run the official test kit of the Dataspace Protocol against the binary (needs Java and Maven).
	$(CARGO) build -q -p twinpact
	python3 oracles/tck/run.py "$(or $(CARGO_TARGET_DIR),target)/debug/twinpact" --result conformance/dsp-tck.md

interop-edc: ## Exchange data with an Eclipse EDC connector, both ways (needs Java and Maven).
	$(CARGO) build -q -p twinpact
	python3 oracles/edc/run.py "$(or $(CARGO_TARGET_DIR),target)/debug/twinpact" --result conformance/edc.md

bench-edc: ## Measure an Eclipse EDC pair and ours in one run, as ratios (needs Java and Maven).
	python3 oracles/edc/measure.py --result conformance/edc-cost.md

lint: deny-tool ## Hold the house rules: format, clippy, tidy, licences and bans.
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) run -q -p xtask -- tidy
	$(CARGO) deny --log-level error check bans licenses sources

gates: ## Hold the bounds of a connector's speed, on an idle machine: a minute of exchanges, and the catalogue.
	TWINPACT_GATE=1 TWINPACT_LOAD_SECONDS=60 $(CARGO) bench -q -p twinpact-gateway --bench load
	TWINPACT_GATE=1 $(CARGO) bench -q -p twinpact-gateway --bench catalog

bench: ## Measure (docs/performance.md).
	$(if $(wildcard crates/*/benches/*.rs),$(CARGO) bench --workspace --bench '*',@echo "no benches yet")

ci: ## What has to hold before a merge: lint and test, strictly.
	@.ci/run

# On a cold target only: how much there is to build.
announce:
	@if [ -n "$(COLD)" ]; then \
	    count=$$($(CARGO) tree $(CRATES) --prefix none | sed 's/ (\*)$$//' | sort -u | grep -c .); \
	    echo "First build: about $$count crates. This happens once; later only what changed is built."; \
	fi

# The JSON-LD oracle that some tests ask for a second opinion.
oracle:
	@.ci/oracle

# An advisory database is not needed (deny.toml).
deny-tool:
	@$(CARGO) deny --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-deny --version '^0.20'
