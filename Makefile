# Set-up, reproduction, tests and checks, in a local environment. `make` alone prints the targets.

PYTHON ?= python3
PYTHON_MIN := 3.11
PYTHON_MAX := 3.14

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
# The workflow's rules call zkbench and python by name.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# The name of the NVIDIA GPU to install CUDA support for; `make GPU= <target>` installs none.
ifeq ($(origin GPU),undefined)
GPU := $(shell nvidia-smi -L 2>/dev/null | sed -n 's/^GPU 0: \(.*\) (UUID.*)/\1/p')
endif

ifeq ($(GPU),)
EXTRAS := dev
FOUND := No NVIDIA GPU found: installing for the CPU
else
EXTRAS := dev,cuda
FOUND := NVIDIA GPU found ($(GPU)): installing with CUDA support
endif

# One stamp for each set of extras: a GPU that appears later is noticed.
STAMP := $(VENV)/.installed-$(EXTRAS)
PIP_ARGUMENTS := --quiet --constraint constraints.txt

.DEFAULT_GOAL := help
.PHONY: help setup reproduce test ptx lint format bench constraints clean distclean

help:
	@echo "make reproduce    measure what this machine can; rebuild every table, figure and the report"
	@echo "make test         run the test suite"
	@echo "make ptx          compile every CUDA kernel; needs no GPU"
	@echo "make bench        run the microbenchmarks of the single protocols"
	@echo "make lint         check style, types and workflow"
	@echo "make format       format the code"
	@echo "make setup        install into $(VENV), as every target above does first"
	@echo "make constraints  pin the dependencies anew (UPGRADE=1: to their newest versions)"
	@echo "make clean        remove intermediate results and caches; measured records stay"
	@echo "make distclean    remove $(VENV) as well"
	@echo
	@echo "PYTHON=python3.12 chooses the interpreter ($(PYTHON_MIN) to $(PYTHON_MAX))," \
	     "GPU= does without CUDA support."

setup: $(STAMP)

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; v = lambda s: tuple(map(int, s.split("."))); \
	    sys.exit(not v("$(PYTHON_MIN)") <= sys.version_info[:2] <= v("$(PYTHON_MAX)"))' || \
	    { echo "zkbench needs Python $(PYTHON_MIN) to $(PYTHON_MAX), and '$(PYTHON)' is not;" \
	           "name another: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(PY) -m pip install $(PIP_ARGUMENTS) uv || echo "No uv for this machine: using pip, slower"
	@touch $@

$(STAMP): pyproject.toml constraints.txt | $(VENV)/.created
	@echo "$(FOUND)"
	@{ test -x $(BIN)/uv && \
	    $(BIN)/uv pip install --compile-bytecode --python $(PY) $(PIP_ARGUMENTS) --editable .[$(EXTRAS)]; } || \
	    $(PY) -m pip install $(PIP_ARGUMENTS) --editable .[$(EXTRAS)]
	@touch $@

reproduce: $(STAMP)
	$(BIN)/snakemake all

# One worker a core: threads of the linear algebra library would only wait for each other.
test: export OPENBLAS_NUM_THREADS = 1
test: $(STAMP)
	$(BIN)/pytest -m "not ptx" --numprocesses logical --dist loadfile

ptx: $(STAMP)
	$(BIN)/pytest -m ptx

bench: $(STAMP)
	$(BIN)/pytest benchmarks

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile experiments
	$(BIN)/snakemake --lint

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile experiments

# Resolved for the oldest Python: the same versions have wheels for the newer ones.
constraints: | $(VENV)/.created
	$(BIN)/uv pip compile --quiet --python-version $(PYTHON_MIN) --python-platform linux --all-extras \
	    --no-annotate --custom-compile-command "make constraints (UPGRADE=1: newest versions)" \
	    $(if $(UPGRADE),--upgrade) --output-file constraints.txt pyproject.toml

clean:
	rm -rf results/work .snakemake .benchmarks build dist *.egg-info
	rm -rf .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
