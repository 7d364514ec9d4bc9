# make run    train, test, explain and export a classifier (minutes); ARGS="--limit 2000" and the like
# make test   the default tests: what to run before each commit (5 minutes)
# make check  everything: style, types, imports, all tests with a coverage floor (25 minutes)
# make lint   style, types and imports alone
# make stress load, overload and attack a server on this machine (15 minutes)
# make torture kill runs, damage checkpoints, attack with files (an hour and more; resumes where it stopped)
# make bench  accuracy and time against plain Keras and scikit-learn (hours)

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses 2 --dist loadfile
RUN_SETUP := .venv/.run-installed
TEST_SETUP := .venv/.test-installed
CHECK_SETUP := .venv/.check-installed
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet

.PHONY: run test check lint docs notebook stress torture bench clean

run: $(RUN_SETUP)
	$(BIN)/apparel run $(ARGS)

test: $(TEST_SETUP)
	$(PYTEST)

check: lint $(CHECK_SETUP)
	$(PYTEST) -m "" --cov --durations 10

lint: $(TEST_SETUP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/mypy

# Rewrite the parts of the documentation that are made from the program.
docs: $(TEST_SETUP)
	$(BIN)/python scripts/write_help.py

# Run the notebook in full and store its outputs.
notebook: $(CHECK_SETUP)
	$(BIN)/jupytext --sync notebooks/apparel_classifier.py
	cd notebooks && ../$(BIN)/jupyter execute --inplace apparel_classifier.ipynb
	rm notebooks/refactored_fashion_cnn.keras

# Measure accuracy and time of every row of the table in docs/performance.md (hours), or of
# those that are named: make bench ROWS="within_t_8 svm"
bench: $(CHECK_SETUP)
	$(BIN)/python -m benchmarks $(ROWS)

# Load and attack a server on this machine; MODEL=runs/... for one of your own.
stress: $(CHECK_SETUP)
	[ -n "$(MODEL)" ] || [ -d .stress ] || $(BIN)/apparel run --epochs 2 --run-dir .stress
	$(BIN)/python -m benchmarks.serving $(or $(MODEL),.stress)

# Kill runs and resume them, damage checkpoints, open hostile and mutated files.
torture: $(CHECK_SETUP)
	$(BIN)/python -m benchmarks.torture $(PARTS)
	[ -n "$(PARTS)" ] || $(BIN)/python -m benchmarks.torture.fuzz

clean:
	rm -rf .venv .stress .mypy_cache .import_linter_cache .pytest_cache .ruff_cache .coverage

.venv/bin/python:
	sh scripts/make-venv .venv

$(RUN_SETUP): pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing apparel and what it needs (about 500 MB; once) ..."
	$(PIP) --constraint constraints.txt --editable '.[cpu]'
	@touch $@

$(TEST_SETUP): $(RUN_SETUP)
	$(PIP) --constraint constraints.txt --editable '.[cpu,parquet,openvino,test]'
	@touch $@

$(CHECK_SETUP): $(TEST_SETUP)
	$(PIP) --constraint constraints.txt --editable '.[cpu,torch,parquet,openvino,litert,ray,test,dev]'
	@touch $@
