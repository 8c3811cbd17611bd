# The verbs of this project; .ci/run calls the same ones.
.DEFAULT_GOAL := repro
SHELL := /bin/sh
PYTHON ?= $(firstword $(foreach v,3.11 3.12 3.13,$(shell command -v python$(v) 2>/dev/null)) python3)
# Further options for pip, such as an index with CPU builds of torch.
PIP_FLAGS ?=
# What bench-data needs and is not of the project.
BENCH ?= ../shared/bench
DATA ?= ../shared/data
VENV := .venv
BIN := $(VENV)/bin
# dvc runs `python -m stages …`: the environment's python must come first.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1
PIP := $(BIN)/python -m pip --disable-pip-version-check
STAMP := $(VENV)/.installed
# Two processes share the files of tests. Threads that wait must not keep the other one's core busy.
PYTEST := OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Empty: without coverage, which is faster.
COVERAGE ?= --cov=stages --cov=lore --cov-report=term:skip-covered

.PHONY: help repro setup test test-all fuzz docs docs-test site reference bench bench-data bench-train bench-augment ablation real lint lock materials seed clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 8

repro: setup ## (default) set up, then run what changed: dvc repro
	@# DVC writes these two in place: killed just then, it leaves them empty and cannot read them.
	@test -s .dvc/tmp/rwlock || rm -f .dvc/tmp/rwlock
	@test -s dvc.lock || ! test -e dvc.lock || git checkout --quiet -- dvc.lock
	dvc repro

setup: $(STAMP) ## create .venv with the locked libraries, fetch WordNet 3.0

$(STAMP): requirements.lock requirements.hashes pyproject.toml setup/wordnet.py setup/wordnet.sha256 setup/wordnet.lexnames
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "Python 3.11 to 3.13 is needed, found $$($(PYTHON) --version 2>&1); say where another one is: make PYTHON=/path/to/python3.12"; exit 1; }
	@echo "Installing the libraries of requirements.lock into $(VENV) (once; some minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { rm -rf $(VENV); echo "No virtual environment could be made; on Debian: sudo apt-get install python3-venv"; exit 1; }
	@# Every file is compared with its hash. torch for GPUs asks for more (CUDA), which pip then adds.
	@$(PIP) install --quiet $(PIP_FLAGS) --require-hashes --no-deps -r requirements.hashes && \
	  { $(PIP) check >/dev/null 2>&1 || $(PIP) install --quiet $(PIP_FLAGS) -r requirements.lock; } || \
	  { echo "The libraries could not be installed. Without network, connect it and run make again; the lines above say more."; exit 1; }
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@$(BIN)/python setup/wordnet.py data/wordnet
	@touch $@

test: setup ## set up the same way, then run the fast tests (about ten minutes)
	$(PYTEST) -m "not slow" $(PYTEST_FLAGS)

test-all: setup ## run every test, also with real DVC, Ray, DeepSpeed, servers and kills, with coverage
	$(PYTEST) $(COVERAGE) $(PYTEST_FLAGS)

site: setup ## build the documentation site in site/docs; it opens without network
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
	@echo "open site/docs/index.html"

reference: setup ## write the reference pages, the JSON Schema and the picture of packages from the code
	PYTHONPATH=. $(BIN)/python docs/reference.py
	PYTHONPATH=. $(BIN)/python docs/packages.py

fuzz: setup ## feed the readers with changed inputs for ten minutes (FUZZ="csv xml --seconds 60"); faults go to fuzz/
	$(BIN)/python -c 'import atheris' 2>/dev/null || $(PIP) install --quiet $(PIP_FLAGS) --require-hashes -r tests/fuzz/requirements.txt
	PYTHONPATH=. $(BIN)/python -m tests.fuzz --data $(DATA) $(or $(FUZZ),--seconds 600)

docs: setup ## pages that show what every rule found in the records, and what contradicts what, in site/
	lore docs

docs-test: setup ## follow README, Getting started and The jobs in a fresh clone (an hour; TOUR="--skip 'make test'")
	$(BIN)/python docs/tour.py $(TOUR)

bench: setup ## what lore diff and lore verify cost, as a table
	PYTHONPATH=. $(BIN)/python docs/experiments/bench.py

bench-data: setup ## cleaning a corpus against the guide's recipe and two peers (BENCH=harness, DATA=real texts, OPTIONS=…)
	PYTHONPATH=. $(BIN)/python docs/experiments/bench_data.py --harness $(BENCH) --data $(DATA) $(OPTIONS)

bench-train: setup ## the training loop against a bare PyTorch and peft loop, and LoRA's memory (OPTIONS="--model FOLDER")
	PYTHONPATH=. $(BIN)/python docs/experiments/bench_train.py $(OPTIONS)

bench-augment: setup ## variants a second beside nlpaug and TextAttack (PEERS=PYTHON of their environment, OPTIONS=--memory)
	PYTHONPATH=. $(BIN)/python docs/experiments/bench_augment.py $(if $(PEERS),--peers $(PEERS)) $(OPTIONS)

ablation: setup ## what each means of augment buys, over three seeds; goes on where it stopped (OPTIONS="--means all none")
	PYTHONPATH=. $(BIN)/python docs/experiments/ablation.py run $(OPTIONS)
	PYTHONPATH=. $(BIN)/python docs/experiments/ablation.py table

real: setup ## a real pretrained checkpoint through the pipeline (CHECKPOINT=gemma3-270m, OPTIONS=--student)
	PYTHONPATH=. $(BIN)/python -m tests.real $(CHECKPOINT) --pip-flags="$(PIP_FLAGS)" $(OPTIONS)

lint: setup ## formatting, lint rules, types, the layers of the packages, the project's own contract
	ruff check .
	ruff format --check .
	mypy
	PYTHONPATH=. lint-imports
	$(BIN)/python -m lore check

lock: ## pin a fresh resolution of pyproject.toml: versions, hashes, bill of materials, licences
	$(PYTHON) setup/lock.py requirements.lock $(PIP_FLAGS)
	$(MAKE) materials

materials: ## hashes, bill of materials and licences of the libraries in requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet $(PIP_FLAGS) -r requirements.lock
	$(BIN)/python setup/bill_of_materials.py requirements.lock $(BIN)/python

seed: setup ## rebuild the seed model in models/seed (about 25 minutes)
	cd models/seed && dvc repro

clean: ## remove the environment and everything that can be made again
	rm -rf $(VENV) data/wordnet .memo .pytest_cache .mypy_cache .ruff_cache .hypothesis .real_cache
