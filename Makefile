# make sweep   the main experiment: results/hopf.h5 and results/hopf.png
# make test    everything CI checks
# make lint    the part of it that needs no computing
# make paper   figures 1 to 12 of the paper and the report on its claims: results/REPRODUCTION.md
# make gating  large random networks, and chaos and memory in few units: results/gating_*, small_chaos, one_unit_lstm
# make bench   this program beside its peers: results/benchmarks/
# make clean   remove the environment and what was built

PYTHON ?= python3
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)

ifdef UV
INSTALL = $(UV) pip install --python $(BIN)/python
else
INSTALL = $(BIN)/python -m pip install --disable-pip-version-check --quiet
endif

.PHONY: sweep test lint paper gating bench clean

sweep: $(VENV)/.installed
	mkdir -p results
	$(BIN)/gru-sweep run hopf --axis alpha=0:3.14159265:256 --axis beta=1:3:256 --set s=0 \
	    --out results/hopf.h5 --plot results/hopf.png --overwrite

test: lint
	$(BIN)/pytest -n $(WORKERS) --dist loadfile

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# What takes longer has rows in the report that say so when it is absent: census.py, robustness.py, make gating
paper: $(VENV)/.installed
	set -e; for figure in experiments/fig0?_*.py experiments/fig1[0-2]_*.py experiments/catalogue.py \
	    experiments/nullclines.py; do \
	    echo "$$figure" >&2; $(BIN)/python "$$figure"; done
	$(BIN)/python -m experiments.reproduction

# Long; the phase diagrams go on where they were stopped
gating: $(VENV)/.installed
	set -e; for one in experiments/gating_*.py experiments/small_chaos.py experiments/one_unit_lstm.py \
	    experiments/lyapunov_validation.py; do \
	    echo "$$one" >&2; $(BIN)/python "$$one"; done
	$(BIN)/python -m experiments.reproduction --quick

bench: $(VENV)/.installed-bench
	$(BIN)/python experiments/benchmarks/hopf_map.py
	$(BIN)/python experiments/benchmarks/portrait.py
	$(BIN)/python experiments/benchmarks/refinement.py
	$(BIN)/python experiments/benchmarks/training.py
	$(BIN)/python experiments/benchmarks/gating.py
	$(BIN)/python experiments/benchmarks/faults.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -c constraints.txt -e ".[dev]"
	touch $@ $(VENV)/.installed

$(VENV)/.installed-bench: pyproject.toml constraints.txt | $(BIN)/python
	$(INSTALL) -c constraints.txt -e ".[dev,bench]"
	touch $@ $(VENV)/.installed-dev $(VENV)/.installed

# Debian ships python3 without ensurepip, and then `-m venv` leaves half an environment behind.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "gru_sweep needs Python 3.11 or newer; name one with: make PYTHON=python3.12" >&2; exit 1; }
ifdef UV
	$(UV) venv --python $(PYTHON) $(VENV)
else
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	    { $(PYTHON) -c 'import sys; print("python3 lacks venv; on Debian or Ubuntu: apt install python3.%d-venv" % sys.version_info[1])' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
endif
