# make test    everything that must hold      make lint   style, types, layers
# make quick   most of it, in a minute
# make demo    PostgreSQL to a local Mixpanel make bench  how fast it is
# make taps    real taps and databases, value by value
# make sdk-next  what faces the SDK, on its newest release, betas too
# make lowest   what faces servers and files, on the oldest releases that pyproject.toml allows
# All of them make their own environment in .venv first.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
EXTRAS := files,google,lambda,parquet,progress,redis,sandbox

.PHONY: bench clean constraints demo docs lint lowest quick sdk-next taps test

.venv/.ready: pyproject.toml constraints.txt target_mixpanel/version.py
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	$(PIP) install --constraint constraints.txt pip setuptools
	$(PIP) install --constraint constraints.txt --editable '.[$(EXTRAS)]' --group dev
	touch $@

# One worker a core. Each has its own ports, folders and environment; whoever is done takes over
# what the others have not begun.
test: .venv/.ready
	$(BIN)/pytest --numprocesses auto --dist worksteal

# Leaves out what runs the whole command (batch, command, faults, docs, progress), the machines of
# rules and the long orders of updates (promises), random input (fuzz), and the soak test.
quick: .venv/.ready
	$(BIN)/pytest --numprocesses auto --dist worksteal \
		$(foreach folder,batch command docs faults fuzz progress promises soak,--ignore tests/$(folder))

# In an environment of its own, so that what comes is known before it is there. A release beyond the
# range in pyproject.toml is tried, too: pip then says that it does not fit, and goes on.
sdk-next: .sdk-next/.ready
	.sdk-next/bin/python -m pip --disable-pip-version-check --quiet install --upgrade 'singer-sdk>=0.54.9a0'
	@newest=$$(.sdk-next/bin/python -m pip --disable-pip-version-check freeze | grep '^singer-sdk=='); \
	if grep -qx "$$newest" constraints.txt; then \
		echo "sdk-next: $$newest is the newest release, and is what make test runs with; skipped"; \
	else \
		echo "sdk-next: $$newest"; \
		.sdk-next/bin/python -m pytest --numprocesses auto --dist worksteal $(FACING_THE_SDK); \
	fi

FACING_THE_SDK := tests/batch tests/command tests/meltano tests/progress tests/settings tests/singer \
	$(foreach name,batch_messages canary messages processes settings,tests/faults/test_$(name).py)

.sdk-next/.ready: pyproject.toml constraints.txt target_mixpanel/version.py
	$(PYTHON) -m venv .sdk-next
	.sdk-next/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt pip setuptools
	.sdk-next/bin/python -m pip --disable-pip-version-check --quiet install \
		--constraint constraints.txt --editable '.[$(EXTRAS)]' --group dev
	touch $@

# A floor in pyproject.toml is a promise: it works, and it has no hole that is known. pip cannot
# resolve to the oldest releases, uv can.
lowest: .lowest/.ready
	$(BIN)/pip-audit --progress-spinner off --disable-pip --no-deps --requirement .lowest/floors.txt
	.lowest/bin/python -m pytest --numprocesses auto --dist worksteal $(FACING_OTHERS)

FACING_OTHERS := tests/delivery tests/files tests/pace tests/sandbox \
	$(foreach name,canary canary_of_all_types found records replies settings,tests/faults/test_$(name).py)

.lowest/.ready: pyproject.toml constraints.txt target_mixpanel/version.py .venv/.ready
	$(PYTHON) -m venv .lowest
	.lowest/bin/python -m pip --disable-pip-version-check --quiet install --constraint constraints.txt pip setuptools
	$(BIN)/uv pip compile --quiet --resolution lowest-direct --no-header --no-annotate --all-extras \
		--python .lowest/bin/python --output-file .lowest/floors.txt pyproject.toml
	.lowest/bin/python -m pip --disable-pip-version-check --quiet install \
		--constraint .lowest/floors.txt --editable '.[$(EXTRAS)]' --group dev
	touch $@

lint: .venv/.ready
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pip-audit --progress-spinner off --disable-pip --no-deps --requirement constraints.txt

demo: .venv/.ready
	$(BIN)/python demo/run.py $(DEMO)

# Fetches the taps, a PostgreSQL and a MariaDB into .taps once; these come from Debian's archive.
taps: .venv/.ready
	$(BIN)/python -m taps.install
	$(BIN)/pytest taps --numprocesses 2 --dist loadfile

bench: .venv/.ready
	$(BIN)/python bench/run.py $(BENCH)

# What is said of each setting in settings/fields.py, wherever else it stands.
docs: .venv/.ready
	$(BIN)/python docs/make_readme_settings.py
	$(BIN)/python docs/make_meltano_settings.py
	$(BIN)/python docs/make_hub_definition.py

# Pins what development runs with. Names and versions only, so it works with any index.
constraints: .venv/.ready
	$(BIN)/python -m pip --disable-pip-version-check freeze --exclude-editable --all > constraints.txt

clean:
	rm -rf .venv .lowest .sdk-next .bench .demo .taps .coverage .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
