# Two commands: `make demo` runs the main job on the embedded default, `make test` runs the tests.
# Both create the environment in .venv when it is missing; nothing is installed elsewhere.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One thread per process is the fastest on small machines, and makes runs repeatable.
export OMP_NUM_THREADS ?= 1
export TOKENIZERS_PARALLELISM ?= false

.PHONY: demo test lint docs clean

INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

# What a user needs, and what the tests need besides.
$(VENV)/.usable: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) -e .
	touch $@

$(VENV)/.installed: $(VENV)/.usable
	$(INSTALL) -e ".[test]"
	touch $@

demo: $(VENV)/.usable
	HF_HUB_OFFLINE=1 $(BIN)/accelerate launch --num_processes 1 --num_machines 1 --mixed_precision no --dynamo_backend no --cpu \
		-m hf_optical.train --output_dir outputs/demo --overwrite

test: $(VENV)/.installed lint
	HF_HUB_OFFLINE=1 HF_DATASETS_OFFLINE=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The guides and the API reference, browsable, in build/site/; a broken link fails.
docs: $(VENV)/.installed
	$(INSTALL) -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) outputs build .pytest_cache .mypy_cache .ruff_cache .hypothesis
