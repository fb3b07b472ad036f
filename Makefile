# Everything from a fresh clone: make demo, make test. See README.md.

PYTHON ?= python3
# Passed to pip for torch alone, to choose another build of it: see README.md.
TORCH_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/installed
SOURCES := napari_segrefiner tests docs
# A screen of its own for the tests; a desktop's real one stays untouched.
SCREEN := $(if $(filter Linux,$(shell uname -s)),xvfb-run -a -s "-screen 0 1600x1000x24 -nolisten tcp -noreset",)

export PIP_DISABLE_PIP_VERSION_CHECK ?= 1

.PHONY: help demo run test test-all lint format install system-libraries clean

help:
	@echo "make demo      refine a sample; pictures and labels appear in demo/"
	@echo "make run       open napari with the sample and the dock"
	@echo "make test      linters, types and the quick tests"
	@echo "make test-all  the same with the slow tests"
	@echo "make lint      linters and types alone"
	@echo "make format    lay out the code"
	@echo "make clean     remove the environment and what the commands wrote"

# The stamp is newer than what decides about the environment: nothing to install.
$(STAMP): pyproject.toml napari.yaml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "$(PYTHON) is older than 3.11. Try: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV) \
	  || { rm -rf $(VENV); echo "$(PYTHON) cannot make environments; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --progress-bar off -c constraints.txt $(TORCH_ARGS) torch
	$(BIN)/pip install --progress-bar off -c constraints.txt -e '.[all,test]'
	@touch $@

install: $(STAMP)

demo: $(STAMP)
	$(BIN)/napari-segrefiner demo -o demo

define OPEN_SAMPLE
import napari
viewer = napari.Viewer()
viewer.open_sample("napari-segrefiner", "coins")
viewer.window.add_plugin_dock_widget("napari-segrefiner", "SegRefiner")
napari.run()
endef
export OPEN_SAMPLE

run: $(STAMP)
	$(BIN)/python -c "$$OPEN_SAMPLE"

lint: $(STAMP)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/npe2 validate napari-segrefiner

format: $(STAMP)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

system-libraries:
	@.ci/system_libraries

# In the tests, software rendering and arithmetic leave each other room.
test test-all: export LP_NUM_THREADS ?= 1
test test-all: export OMP_NUM_THREADS ?= 2

test: system-libraries lint
	$(SCREEN) $(BIN)/python -m pytest

test-all: system-libraries lint
	$(SCREEN) $(BIN)/python -m pytest -m "not network"

clean:
	rm -rf $(VENV) demo dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
