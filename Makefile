# `make` lists what there is. ARGS is passed on: make demo ARGS="--help"
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo up down test check model simulate bench soak clean

# Runs the command that follows with a nats-server that is new enough; stops if there is none.
with_server = server=$$(tools/nats-server) && NATS_SERVER=$$server
# Adds PostgreSQL for the command that follows; where there is none, says so and leaves its tests out.
with_postgres = $$(bin=$$(tools/postgres) && echo "env PG_BIN=$$bin" \
  || { echo "Its tests are LEFT OUT." >&2; echo "env JETSAGA_TEST_POSTGRES=skip"; })
jetsaga = cargo run --release -q --locked -p jetsaga-cli --bin jetsaga --

# $(call stage,NAME,COMMAND): runs the command and says how long it took.
stage = @echo "== $(1)"; SECONDS=0; { $(2); } && echo "== $(1): $$SECONDS s"
patience = @test -d $${CARGO_TARGET_DIR:-target}/release || echo "The first build takes a few minutes."

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## Run a checkout saga on a nats-server of its own (ARGS="...")
	$(patience)
	@$(with_server) $(jetsaga) demo $(ARGS)

compose = docker compose --project-name jetsaga -f deploy/compose.yaml
up: ## Run it all with Docker: three nats-servers, workers, dashboards
	$(compose) up --build --detach $(ARGS)
	@sed -n 's/^#   /  /p' deploy/compose.yaml

down: ## Stop what `make up` runs; ARGS=--volumes forgets it as well
	$(compose) down $(ARGS)

# The tests come last, so that the last line is the runner's summary.
test: ## Check everything: format, lints, documentation, doctests, tests
	$(call stage,format,cargo fmt --all --check)
	$(call stage,lints,cargo clippy --workspace --all-targets --locked -- -D warnings)
	$(call stage,lints of what is shipped,cargo clippy -p jetsaga-cli --locked -- -D warnings)
	$(call stage,documentation,RUSTDOCFLAGS="-D warnings" cargo doc --workspace --lib --no-deps --locked)
	$(call stage,doctests,$(with_server) cargo test --doc --workspace --locked)
	$(call stage,binary that the tests launch,cargo build -p jetsaga-cli --bin jetsaga --locked)
	@echo "== tests"; if cargo nextest --version >/dev/null 2>&1; \
	then $(with_server) $(with_postgres) cargo nextest run --workspace --locked; \
	else $(with_server) $(with_postgres) $(plain_tests); fi

# Without cargo-nextest: every test binary in turn, then one line that adds up their results.
plain_tests = bash -o pipefail -c 'cargo test --workspace --locked --tests --no-fail-fast | awk "$$SUM_UP"'
define SUM_UP
{ print; fflush() }
/^test result:/ { passed += $$4; failed += $$6; skipped += $$8 }
END { printf "Summary: %d tests run: %d passed, %d failed, %d skipped\n",
      passed + failed, passed, failed, skipped }
endef
export SUM_UP

check: ## Check format and lints only
	$(call stage,format,cargo fmt --all --check)
	$(call stage,lints,cargo clippy --workspace --all-targets --locked -- -D warnings)
	$(call stage,lints of what is shipped,cargo clippy -p jetsaga-cli --locked -- -D warnings)

model: ## Explore every state of the protocol's model
	$(patience)
	@cargo run --release -q --locked -p jetsaga-tests --bin model -- all

simulate: ## Run the workers through 20,000 seeds of faults (ARGS=SEED tells one)
	@cargo run -q --locked -p jetsaga-tests --bin simulate -- $(or $(ARGS),1 20000)

bench: ## Measure throughput on a nats-server of its own (ARGS="...")
	$(patience)
	@$(with_server) $(jetsaga) bench $(ARGS)

soak: ## Break a cluster of real processes while orders come in (ARGS="--minutes 30 --seed 7")
	$(patience)
	@cargo build --release -q --locked -p jetsaga-tests --bins
	@$(with_server) cargo run --release -q --locked -p jetsaga-tests --bin faults -- $(ARGS)

clean: ## Remove what was built and the nats-server in .tools
	cargo clean
	rm -rf .tools
