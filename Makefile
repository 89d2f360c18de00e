# The commands of this project. `make help` lists them; CONTRIBUTING.md says when to use which.
# The steps themselves are in scripts/, one file per subject; stamps in .venv/.stamps make a second run fast.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps
NODE   := $(STAMPS)/node-dev
# What is fetched or made beside the Python packages: front-end packages, place tables, messages of gRPC.
FILES  := $(STAMPS)/assets $(STAMPS)/places $(STAMPS)/protos

.PHONY: help run dev demo test check bench lock clean setup

help: ## list the commands
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1 \t\2/' | expand -t 16
	@echo "  Variables: PYTHON=python3.12 (interpreter for .venv), ARGS='…' (more arguments for antiphon up or pytest)"

run: setup ## set everything up and start Antiphon in the foreground
	@exec $(BIN)/antiphon up $(ARGS)

demo: setup ## try it with a simulated Discord: no token, nothing kept
	@exec $(BIN)/antiphon demo $(ARGS)

dev: $(STAMPS)/dev $(FILES) ## like run, and started anew whenever the code changes
	@exec $(BIN)/watchfiles --sigint-timeout 8 '$(BIN)/antiphon up $(ARGS)' src

setup: $(STAMPS)/run $(FILES) ## only set up what `make run` needs

test: $(STAMPS)/dev $(NODE) $(FILES) ## set up what the tests need and run all of them
	@scripts/system_packages.sh postgresql redis chromium nginx caddy systemd-analyze
	@scripts/run_tests.sh $(ARGS)

check: $(STAMPS)/dev $(NODE) $(STAMPS)/protos ## style, types, import rules, lock files, workflows, images
	@scripts/check.sh

bench: $(STAMPS)/dev $(FILES) ## measure the speed; ONLY=name for one figure
	@scripts/system_packages.sh postgresql redis chromium flite
	@$(BIN)/python -m benchmarks $(ONLY)

lock: ## resolve the requirements again (needs uv and the package registries)
	@scripts/lock.sh

clean: ## remove what was built or installed here; data/ stays
	@rm -rf $(VENV) node_modules src/antiphon/console/static/vendor src/antiphon/tools/builtin/data dist build
	@rm -f src/antiphon/speech/protos/*_pb2.py src/antiphon/speech/protos/*_pb2.pyi
	@find . -name __pycache__ -type d -not -path './data/*' -prune -exec rm -rf {} +
	@rm -rf .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	@echo "Removed the environment and the caches. data/ was left alone."

# --- what is installed; each stamp is newer than what it was made from -----------------------------------------------

$(STAMPS)/run: requirements/run.lock pyproject.toml
	@scripts/install.sh run

$(STAMPS)/dev: requirements/dev.lock pyproject.toml
	@scripts/install.sh dev

$(STAMPS)/assets: package-lock.json src/antiphon/console/assets.py | $(STAMPS)/run
	@scripts/install.sh assets

$(STAMPS)/places: requirements/places.lock src/antiphon/tools/builtin/place_tables.py | $(STAMPS)/run
	@scripts/install.sh places

$(STAMPS)/protos: requirements/run.lock $(wildcard src/antiphon/speech/protos/*.proto) src/antiphon/speech/protos/make.py | $(STAMPS)/run
	@scripts/install.sh protos

$(NODE): package-lock.json | $(STAMPS)/run
	@scripts/install.sh node-dev
