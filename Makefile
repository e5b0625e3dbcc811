# Keepsite's commands. `make` alone lists them.

SHELL := /bin/sh
BIN := .venv/bin
PYTHON ?=
export PYTHON

# For tools that load the settings and serve nothing.
WITH_DEV_ENV := env $$(grep -v '^\#' deploy/dev.env)

PIP_COMPILE := $(BIN)/pip-compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-emit-trusted-host --no-header --strip-extras --allow-unsafe --no-annotate

.DEFAULT_GOAL := help
.PHONY: help run test lint bench chaos-colour chaos-hsm chaos-orders chaos-rotation fuzz fuzz-hsm compare-barbican schemathesis prove-upgrade screenshots lock clean-state

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-17s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Run Keepsite on this machine: API, worker and relay on 127.0.0.1:9311; Ctrl-C stops them
	@deploy/embedded/packages.sh run
	@deploy/embedded/venv.sh constraints.txt
	@$(BIN)/python deploy/embedded/run.py

test: ## Everything CI checks: lint, then the suite on SQLite and on MariaDB, with servers of its own
	@deploy/embedded/packages.sh test
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m tests.support.run_suites

lint: ## Style, types, direction of imports, templates, missing migrations
	@deploy/embedded/packages.sh run
	@deploy/embedded/venv.sh constraints-dev.txt
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(WITH_DEV_ENV) $(BIN)/mypy hsm keepsite secrets_app orders_app
	$(BIN)/lint-imports
	$(BIN)/djlint templates --check
	$(BIN)/djlint templates --lint
	$(WITH_DEV_ENV) $(BIN)/python manage.py makemigrations --check --dry-run --skip-checks

bench: ## How fast it is, as ratios; ONLY=requests, lists, hsm or orders runs one part
	@deploy/embedded/packages.sh test
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m $(if $(filter orders,$(ONLY)),bench.orders $(FLAGS),$(if $(filter hsm,$(ONLY)),bench.hsm_latency $(FLAGS),bench.run $(if $(ONLY),--only $(ONLY))))

chaos-colour: ## Blue and green change places under load behind a real haproxy, and back
	@deploy/embedded/packages.sh test
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m bench.chaos_colour $(FLAGS)

chaos-hsm: ## Kill, hang and bring back two HSM appliances under load, and show what callers saw
	@deploy/embedded/packages.sh run
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m bench.chaos_hsm

fuzz-hsm: ## 102,000 calls of all that hands memory to a module, with faults and lies; memory over a million more
	@deploy/embedded/packages.sh run
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m bench.fuzz_native

compare-barbican: ## The same requests to Barbican and to Keepsite: what differs, and how fast each is
	@deploy/embedded/packages.sh test
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m tests.compare.run $(FLAGS)

schemathesis: ## Attack a Keepsite of its own with what its OpenAPI document says; FLAGS="--max-time 600" for longer
	@deploy/embedded/packages.sh test
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m tests.openapi.attack $(FLAGS)

chaos-rotation: ## Every key replaced under traffic while what replaces them is killed; OPTIONS="--database sqlite"
	@deploy/embedded/packages.sh test
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m tests.support.rotation_campaign $(OPTIONS)

chaos-orders: ## 2,000 orders while everything is killed or cut off in turn; takes ten minutes, needs root
	@deploy/embedded/packages.sh test
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m tests.cluster.chaos_orders $(FLAGS)

fuzz: ## Bad requests by the thousand; FLAGS="--requests 20000 --database mariadb --seed 1"
	@deploy/embedded/packages.sh test
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m tests.fuzz.campaign $(FLAGS)

prove-upgrade: ## The release of PREVIOUS=<commit> serves on this release's schema and beside it
	@deploy/embedded/packages.sh test
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m tests.cluster.upgrade $(PREVIOUS)

screenshots: ## Pictures of the console, light and dark, in .screens
	@deploy/embedded/packages.sh test
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m tests.console.screenshots

lock: ## Write both constraints files anew from pyproject.toml; FLAGS=--upgrade takes newer versions
	@deploy/embedded/packages.sh run
	@deploy/embedded/venv.sh constraints-dev.txt
	$(PIP_COMPILE) $(FLAGS) --extra client --output-file constraints.txt pyproject.toml
	$(PIP_COMPILE) $(FLAGS) --extra client --extra test --extra lint --constraint constraints.txt \
		--output-file constraints-dev.txt pyproject.toml
	$(PIP_COMPILE) $(FLAGS) --output-file tests/support/keystone-constraints.txt tests/support/keystone.in
	$(PIP_COMPILE) $(FLAGS) --output-file tests/support/barbican-constraints.txt tests/support/barbican.in

clean-state: ## Delete what `make run` keeps (asks first)
	@$(or $(PYTHON),/usr/bin/python3) deploy/embedded/clean_state.py
