# The commands anyone needs. Only Python 3.11+, make and git must be there; `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# Odd settings of a person's own Python must not decide where things are installed.
unexport PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX
export PIP_USER := 0
# Two stamps: what running needs, and what developing needs on top. A second run costs nothing.
RUN := $(VENV)/.run-stamp
DEV := $(VENV)/.dev-stamp

.DEFAULT_GOAL := help
.PHONY: help demo up test drills lint protos docs lock bench classifier images policies \
	e2e-containers clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile

demo: $(RUN) ## Start everything in a temporary folder, run three ideas, show what happens, end
	@$(BIN)/stellwerk demo

up: $(RUN) ## Serve on this machine until Ctrl-C
	@$(BIN)/stellwerk up

# Tests wait for processes most of the time, so several run at once; a file's share its fixtures.
test: $(DEV) ## Run all tests but the drills
	@$(BIN)/python -m pytest -m "not drill and not containers" -n auto --maxprocesses 4 --dist loadfile

drills: $(DEV) ## Break things on purpose and see that nothing is lost; DRILL_SEED=7 is another round
	@$(BIN)/python -m pytest -m drill

lint: $(DEV) ## Check style, types, imports and the contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/buf lint protos
	@$(BIN)/buf format protos --diff --exit-code

protos: $(DEV) ## Make the stubs again from the .proto files
	@rm -rf protos/gen/stellwerk
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python protos/generate.py

bench: $(DEV) ## Measure and print one table; ONLY=record,pipeline picks, SHORT=1 takes minutes
	@$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(SHORT),--short) \
		$(if $(JSON),--json $(JSON))

# The same numbers anywhere need one thread; the libraries are no part of what is developed with.
classifier: $(DEV) ## Train the safety classifier again from DATA=../shared/safety-data
	@$(PIP) install -qq "scikit-learn>=1.6"
	@OMP_NUM_THREADS=1 $(BIN)/python -m training $(or $(DATA),../shared/safety-data)

# Times of files are no part of an image: the same commit gives the same bytes.
ENGINE ?= podman
REGISTRY ?= localhost
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
BUILD_FLAGS ?= $(if $(filter podman,$(ENGINE)),--format docker --timestamp 0)
IMAGES ?= orchestrator safety generation generation-embedded tracker gateway cli
images: ## Build the images, with ENGINE=docker if there is no podman
	@set -e; for service in $(IMAGES); do \
		echo "$(REGISTRY)/stellwerk-$$service:$(VERSION)"; \
		$(ENGINE) build $(BUILD_FLAGS) --build-arg SERVICE=$$service --build-arg VERSION=$(VERSION) \
			--build-arg REVISION=$$(git rev-parse HEAD) \
			--tag $(REGISTRY)/stellwerk-$$service:$(VERSION) --quiet .; \
	done

e2e-containers: $(DEV) policies ## Build the images, run the classroom overlay with podman, kill containers
	@$(BIN)/python -m pytest -m containers tests/containers

# A tool with a hundred dependencies of its own, so it gets an environment of its own.
CHECKOV := $(VENV)/checkov
policies: $(DEV) ## Hold the manifests against checkov's policies
	@test -x $(CHECKOV)/bin/checkov || $(PYTHON) -m venv $(CHECKOV)
	@$(CHECKOV)/bin/python -m pip install -qq --disable-pip-version-check "checkov>=3.2,<4"
	@set -e; for overlay in deploy/overlays/*/; do echo "$$overlay"; \
		kubectl kustomize "$$overlay" > $(CHECKOV)/rendered.yaml; \
		$(CHECKOV)/bin/checkov --config-file deploy/checkov.yaml --file $(CHECKOV)/rendered.yaml; \
	done

docs: $(RUN) ## Make docs/configuration.md and docs/metrics.md again from the code
	@$(BIN)/python docs/configuration.py
	@$(BIN)/python docs/metrics.py

lock: $(DEV) ## Resolve the dependencies again into requirements/
	@$(BIN)/python requirements/lock.py

clean: ## Remove what the tools made, .venv included
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; ok = sys.version_info >= (3, 11); ok or print("Stellwerk needs Python 3.11 or newer, but", sys.executable, "is", sys.version.split()[0] + ".", "Name another one: make PYTHON=python3.12"); sys.exit(not ok)'
	@$(PYTHON) -m venv $(VENV)

$(RUN): requirements/run.lock pyproject.toml | $(BIN)/python
	@echo "Installing Stellwerk into $(VENV) (about a minute, once) …"
	@$(PIP) install -qq --require-hashes -r requirements/run.lock
	@$(PIP) install -qq --no-deps --no-build-isolation -e .
	@touch $@

$(DEV): requirements/dev.lock $(RUN)
	@echo "Installing the developer tools into $(VENV) (about half a minute, once) …"
	@$(PIP) install -qq --require-hashes -r requirements/dev.lock
	@touch $@
