# make run    train, test, explain and export a classifier (minutes); ARGS="--limit 2000" and the like
# make test   everything that must hold; the same as make check
# make check  style, types, and every test with warnings as errors and a coverage floor
# make lint   style and types alone
# make stress load, overload and attack a server of this machine (a quarter of an hour)
# make torture kill runs, damage checkpoints, attack with files (an hour and more; goes on where it was)
# make bench  accuracy and time against plain Keras and scikit-learn (hours)

BIN := .venv/bin
RUN_SETUP := .venv/.run-installed
TEST_SETUP := .venv/.test-installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: run test check lint docs notebook stress torture bench clean

run: $(RUN_SETUP)
	$(BIN)/apparel run $(ARGS)

test: check

check: lint
	$(BIN)/python -m pytest --cov

lint: $(TEST_SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Rewrite the parts of the documentation that are made from the program.
docs: $(TEST_SETUP)
	$(BIN)/python scripts/write_help.py

# Run the notebook in full and store its outputs.
notebook: $(TEST_SETUP)
	$(BIN)/jupytext --sync notebooks/apparel_classifier.py
	cd notebooks && ../$(BIN)/jupyter execute --inplace apparel_classifier.ipynb
	rm notebooks/refactored_fashion_cnn.keras

# Measure accuracy and time of every row of the table in docs/performance.md (hours), or of
# those that are named: make bench ROWS="within_t_8 svm"
bench: $(TEST_SETUP)
	$(BIN)/python -m benchmarks $(ROWS)

# Serve a model and see whether it keeps its promises; MODEL=runs/... for one of your own.
stress: $(TEST_SETUP)
	[ -n "$(MODEL)" ] || [ -d .stress ] || $(BIN)/apparel run --epochs 2 --run-dir .stress
	$(BIN)/python -m benchmarks.serving $(or $(MODEL),.stress)

# Kill runs and go on with them, damage checkpoints, open hostile and mutated files.
torture: $(TEST_SETUP)
	$(BIN)/python -m benchmarks.torture $(PARTS)
	[ -n "$(PARTS)" ] || $(BIN)/python -m benchmarks.torture.fuzz --mutants 100000

clean:
	rm -rf .venv .stress .mypy_cache .pytest_cache .ruff_cache .coverage

.venv/bin/python:
	sh scripts/make-venv .venv

$(RUN_SETUP): pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing apparel and what it needs (about 500 MB; once) ..."
	$(PIP) --constraint constraints.txt --editable '.[cpu]'
	@touch $@

$(TEST_SETUP): $(RUN_SETUP)
	$(PIP) --constraint constraints.txt --editable '.[cpu,torch,parquet,openvino,litert,ray,dev]'
	@touch $@
