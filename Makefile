# The commands of a working day: run, test, bench, lint. Each installs what it lacks through the files of this repository.

# Simulated lives of a shard in `make test`: about four minutes on two cores. The same number gives the same lives.
WEIR_SIM_SEEDS ?= 10000
# Rounds of `kill -9` under load in `make test`.
WEIR_CRASH_ROUNDS ?= 50
# Where `make run` keeps its data.
WEIR_DATA ?= weir-data
# Workloads of `make bench`, of those that `weir-bench --help` lists.
BENCH ?= quick
# How `make bench-bullmq` measures: options of clients/bullmq/bench/compare.mjs.
BENCH_BULLMQ ?= --rounds 3
# Minutes of `make soak-bullmq`.
WEIR_SOAK_MINUTES ?= 60

CARGO ?= cargo
VENV := .venv
PYTEST := $(VENV)/bin/python -m pytest
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Each runs with one command, and a test runs it.
EXAMPLES := $(patsubst %/package.json,%,$(wildcard examples/*/package.json))
export WEIR_BIN := $(abspath $(TARGET))/release/weir
export WEIR_BENCH_BIN := $(abspath $(TARGET))/release/weir-bench
export WEIR_CRASH_ROUNDS
export WEIR_SIM_SEEDS
export WEIR_SOAK_MINUTES

.PHONY: run test bench lint fmt unit doc sim release e2e clients bullmq bench-bullmq soak-bullmq package crash fuzz compiler chromium clean

run: release
	$(WEIR_BIN) serve --data-dir $(WEIR_DATA)

test: lint unit doc sim fuzz e2e clients crash

lint: compiler $(VENV)/installed
	$(CARGO) fmt --all --check
	$(VENV)/bin/typos
	$(VENV)/bin/python tests/check_dependencies.py
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

fmt:
	$(CARGO) fmt --all

unit: compiler
	$(CARGO) test --workspace --exclude weir-sim --locked

doc: compiler
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked

sim: compiler
	$(CARGO) test --release --locked -p weir-sim -- --show-output

# Every decoder, for a few seconds each; WEIR_FUZZ_SECONDS says how many.
fuzz: compiler
	@tests/setup cplusplus
	fuzz/run

release: compiler
	$(CARGO) build --release --locked -p weir

e2e: release $(VENV)/installed
	$(PYTEST) tests/e2e

# Programs that people use with SQS, in Python, JavaScript and Rust, unchanged but for the address.
clients: release $(VENV)/installed tests/clients/node_modules/installed clients/bullmq/dist/built \
		$(addsuffix /node_modules/installed,$(EXAMPLES)) chromium
	$(PYTEST) tests/clients

# The package for BullMQ: BullMQ itself runs on it, in the tests beside it.
bullmq: release $(VENV)/installed clients/bullmq/dist/built chromium
	$(PYTEST) tests/clients/test_bullmq.py

# The same BullMQ program on Redis and on Weir.
bench-bullmq: release clients/bullmq/dist/built
	@tests/setup redis
	node clients/bullmq/bench/compare.mjs $(BENCH_BULLMQ)

# BullMQ on Weir while connections are cut, and workers and server killed.
soak-bullmq: release clients/bullmq/dist/built
	node clients/bullmq/soak/soak.mjs

# The package as a file that npm installs.
package: clients/bullmq/dist/built
	cd clients/bullmq && npm pack --silent --pack-destination dist

crash: release $(VENV)/installed
	$(PYTEST) tests/crash

bench: compiler
	$(CARGO) build --release --locked -p weir -p weir-bench
	$(WEIR_BENCH_BIN) $(BENCH)

compiler:
	@tests/setup compiler

chromium:
	@tests/setup chromium

$(VENV)/installed: tests/requirements.txt tests/setup
	@tests/setup python $(VENV)
	@touch $@

tests/clients/node_modules/installed: tests/clients/package-lock.json tests/setup
	@tests/setup node tests/clients
	@touch $@

clients/bullmq/node_modules/installed: clients/bullmq/package-lock.json tests/setup
	@tests/setup node clients/bullmq
	@touch $@

examples/%/node_modules/installed: examples/%/package-lock.json clients/bullmq/dist/built
	@tests/setup node examples/$*
	@touch $@

clients/bullmq/dist/built: clients/bullmq/node_modules/installed $(wildcard clients/bullmq/src/*.ts clients/bullmq/*.json)
	cd clients/bullmq && npm run --silent build
	@touch $@

clean:
	$(CARGO) clean
	rm -rf $(VENV)
