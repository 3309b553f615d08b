# `make` lists what there is. ARGS is passed on: make demo ARGS="--help"
SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help demo deny up down test check k8s-check sbom model simulate bench soak clean

# Runs the command that follows with a nats-server that is new enough; stops if there is none.
with_server = server=$$(tools/nats-server) && NATS_SERVER=$$server
# Adds PostgreSQL for the command that follows; where there is none, says so and leaves its tests out.
with_postgres = $$(bin=$$(tools/postgres) && echo "env PG_BIN=$$bin" \
  || { echo "Its tests are LEFT OUT." >&2; echo "env JETSAGA_TEST_POSTGRES=skip"; })
jetsaga = cargo run --release -q --locked -p jetsaga-cli --bin jetsaga --

# Rules, dashboards and compose, and every expression on a Prometheus; where there is none, says so and leaves them out.
deploy_checks = if command -v prometheus >/dev/null && command -v promtool >/dev/null; then deploy/check && deploy/check-dashboards; \
  else echo "prometheus is not there: deploy/check and deploy/check-dashboards are LEFT OUT." >&2; fi

# The manifests; where there is no kubectl, says so and leaves them out.
k8s_checks = if command -v kubectl >/dev/null && command -v openssl >/dev/null; then k8s/check; \
  else echo "kubectl or openssl is not there: k8s/check is LEFT OUT." >&2; fi

# $(call stage,NAME,COMMAND): runs the command and says how long it took.
stage = @echo "== $(1)"; SECONDS=0; { $(2); } && echo "== $(1): $$SECONDS s"
patience = @test -d $${CARGO_TARGET_DIR:-target}/release || echo "The first build takes a few minutes."

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-9s  %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

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
	$(call stage,lints of the gRPC exporter,cargo clippy -p jetsaga-engine --features otlp-grpc --locked -- -D warnings)
	$(call stage,documentation,RUSTDOCFLAGS="-D warnings" cargo doc --workspace --lib --no-deps --locked)
	$(call stage,doctests,$(with_server) cargo test --doc --workspace --locked)
	$(call stage,binary that the tests launch,cargo build -p jetsaga-cli --bin jetsaga --locked)
	$(call stage,deploy,$(deploy_checks))
	$(call stage,k8s,$(k8s_checks))
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

k8s-check: ## Render and check everything in k8s/, without a cluster
	$(call stage,binary that the manifests are compared with,cargo build -p jetsaga-cli --bin jetsaga --locked)
	$(call stage,k8s,k8s/check)

deny: ## Check licences, bans and sources of every crate (cargo install cargo-deny --locked)
	cargo deny --locked check bans licenses sources

sbom: ## Write what the binary is made of to target/sbom.json (CycloneDX)
	@mkdir -p target && tools/sbom > target/sbom.json && echo "target/sbom.json"

model: ## Explore every state of the protocol's model
	$(patience)
	@cargo run --release -q --locked -p jetsaga-proof --bin model -- all

simulate: ## Run the workers through 20,000 seeds of faults (ARGS=SEED tells one)
	@cargo run -q --locked -p jetsaga-proof --bin simulate -- $(or $(ARGS),1 20000)

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
