# One command per intent. Every target works on a fresh Debian 12 / Ubuntu machine with Python >= 3.11 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help serve test chromium check lock gpu-evidence train bench evidence clean evidence-arithmetic bench-latents
help:            ## Show this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/: .*## /\t/' | expand -t 22

$(VENV)/bin/python:
	@$(PYTHON) -m venv $(VENV) 2>/dev/null || { echo "installing python3-venv"; apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/.serve: pyproject.toml requirements/cpu.txt | $(VENV)/bin/python
	$(BIN)/pip install -q --require-hashes -r requirements/cpu.txt
	$(BIN)/pip install -q --no-deps -e .
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install -q -c constraints.txt torch==2.13.0 -e '.[cpu,train,dev]'
	@touch $@ $(VENV)/.serve

serve: $(VENV)/.serve ## Serve the shipped bundles on http://127.0.0.1:8000
	$(BIN)/ganymede serve

check: $(VENV)/.test ## ruff, mypy --strict, import contracts, locks, wheels, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.sync_client --check
	$(BIN)/python -m scripts.lock --check
	$(BIN)/python -m scripts.check_wheels
	$(BIN)/python -m deploy.audit

chromium:
	@command -v chromium >/dev/null || { echo "installing chromium for the studio's tests"; apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; }

TESTS_AT_ONCE ?= 3
test: $(VENV)/.test chromium ## Install what tests need and run them
	$(BIN)/python -m pytest -n $(TESTS_AT_ONCE) --dist loadfile --durations=25

lock: $(VENV)/bin/python ## Write the locks anew after a change of pyproject.toml
	$(BIN)/pip install -q uv
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python -m scripts.lock

gpu-evidence: ## All that a GPU can show, in nine minutes: make gpu-evidence DATA=faces.npz
	scripts/gpu_evidence.sh $(DATA)

RECIPE ?= faces64
train: $(VENV)/.test ## Train a recipe: make train RECIPE=faces64 SET="run.steps=20000 data.path=my-pictures"
	$(BIN)/ganymede train $(RECIPE) $(SET)

bench: $(VENV)/.test ## Measure the server beside the bare runtime loop (and installed rivals); bench/RESULTS.md
	$(BIN)/python -m bench --write

evidence: $(VENV)/.test ## Measure again what docs/evidence says (long)
	$(BIN)/python -m pytest -m evidence
	$(BIN)/python -m training.evidence.data_sets
	$(BIN)/python -m training.evidence.lapgan
	$(BIN)/python -m training.evidence.improved
	$(BIN)/python -m training.evidence.switches
	$(BIN)/python -m training.evidence.upsampling

container-test: ## Build the image, run the fleet, kill a worker, recreate everything (docs/evidence/containers.md)
	deploy/container-test.sh

evidence-faults: $(VENV)/.test ## Kill workers, Redis and servers; about 80 minutes (docs/evidence/faults.md)
	$(BIN)/python -m bench.faults $(FAULTS)

evidence-fuzz: $(VENV)/.test ## Broken requests, pictures, expressions and files with fresh seeds for about an hour (docs/evidence/fuzz.md)
	GANYMEDE_FUZZ_SECONDS=$${FUZZ_SECONDS:-420} $(BIN)/python -m pytest tests/service/fuzz tests/service/http/test_openapi.py -p no:xdist --timeout 7200 -rP --show-capture=stdout

evidence-mutants: $(VENV)/.test ## Small faults, one at a time: do the tests notice? (docs/evidence/mutants.md)
	$(BIN)/python -m scripts.mutants $(MUTANTS)

evidence-arithmetic: $(VENV)/.test ## Latent arithmetic, directions, walks (docs/evidence/arithmetic.md)
	$(BIN)/python -m bench.arithmetic

bench-latents: $(VENV)/.test ## 100,000 saved latents (docs/evidence/latents.md)
	$(BIN)/python -m bench.latents
