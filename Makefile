# `make run`: from a fresh clone to a bundle trained on the built-in sample. `make test`: all checks and tests.
# `make run CUDA=1` installs the CUDA build of torch.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python --constraint constraints.txt
TORCH := $(shell sed -n 's/^torch==//p' constraints.txt)
TORCH_STAMP := .venv/.torch-$(if $(CUDA),cuda,cpu)
TORCH_CPU_INDEX := https://download.pytorch.org/whl/cpu
# Empty on purpose: without cached bytecode every process would recompile its imports, five seconds per stage.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: setup run test check repro web clean

setup: .venv/.pipeline

run: .venv/.pipeline
	$(BIN)/eibert run

# Two workers: tests spend much of their time on starting processes and on file I/O.
test: check
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: .venv/.test
	$(BIN)/ruff check --no-cache
	$(BIN)/ruff format --no-cache --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

repro: .venv/.pipeline
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/dvc repro

# The page of `eibert demo` and the JavaScript package; `sh web/tools.sh node npm` installs the required tools.
web: web/node_modules/.package-lock.json
	cd web && npm run --silent build

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci
	touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed; name it with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv .venv

# The CPU build from the configured index, else from torch's own; the next rule installs torch's dependencies.
$(TORCH_STAMP): constraints.txt | .venv/bin/python
	rm -f .venv/.torch-*
ifdef CUDA
	$(PIP) --force-reinstall --no-deps torch==$(TORCH)
else
	$(PIP) --no-deps torch==$(TORCH)+cpu 2>/dev/null || $(PIP) --no-deps --index-url $(TORCH_CPU_INDEX) torch==$(TORCH)+cpu
endif
	touch $@

# uv takes a quarter of pip's time; pip is the fallback where uv cannot read the machine's index settings.
.venv/.pipeline: $(TORCH_STAMP) pyproject.toml constraints.txt
	$(PIP) uv
	$(UV) --editable '.[pipeline]' || $(PIP) --editable '.[pipeline]'
	touch $@

.venv/.test: .venv/.pipeline
	$(UV) --editable '.[pipeline,servers,test]' || $(PIP) --editable '.[pipeline,servers,test]'
	touch $@

clean:
	rm -rf .venv .prefect .eibert/outputs logs   # keeps keys and work in progress in .eibert
