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
.PHONY: help run test lint bench fuzz screenshots lock clean-state

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Run Keepsite on this machine: API, worker and relay on 127.0.0.1:9311; Ctrl-C stops them
	@deploy/embedded/packages.sh run
	@deploy/embedded/venv.sh constraints.txt
	@$(BIN)/python deploy/embedded/run.py

test: ## Everything CI checks: lint, then the suite on SQLite and on MariaDB, with servers of its own
	@deploy/embedded/packages.sh test
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(MAKE) --no-print-directory lint
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

bench: ## How fast it is, as ratios
	@deploy/embedded/packages.sh run
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m bench.run

fuzz: ## Bad requests by the thousand; FLAGS="--requests 20000 --database mariadb --seed 1"
	@deploy/embedded/packages.sh test
	@deploy/embedded/venv.sh constraints-dev.txt
	@$(BIN)/python -m tests.fuzz.campaign $(FLAGS)

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

clean-state: ## Delete what `make run` keeps (asks first)
	@$(or $(PYTHON),/usr/bin/python3) deploy/embedded/clean_state.py
