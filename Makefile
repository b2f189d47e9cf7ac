# `make help` lists the targets. Each one does the set-up that it needs by itself.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
ROOMS := contracts broker edge stream exporters training vigia
TEST_ARGS ?=
RTSP_SERVER := python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-base \
	gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
# The surface images that the image model learns from; they are not part of this repository.
PIPED ?= ../shared/data/piped
# ONNX Runtime would tell its maker of every process that loads it.
export ORT_DISABLE_TELEMETRY := 1

.PHONY: help setup demo test check chaos chaos-full faults soak containers bench profile fuzz grade models dashboards grafana-schema bundle sbom lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.stamp-run $(VENV)/.stamp-kafka ## .venv with the command vigia, Kafka's jars, an MQTT broker
	@scripts/install-debian mosquitto

demo: setup ## the whole line on real data, live in this terminal (DEMO_SEED, DEMO_EVENTS, DEMO_SECONDS, DEMO_JSON)
	@$(BIN)/vigia demo

test: setup $(VENV)/.stamp-dev ## every test, on a real Kafka, Mosquitto, Prometheus, Alertmanager and RTSP server (TEST_ARGS="-k name")
	@scripts/install-debian prometheus prometheus-alertmanager libfaketime systemd systemd-container sudo iproute2 kubernetes-client mosquitto-clients $(RTSP_SERVER)
	@$(BIN)/python -m pytest $(TEST_ARGS)

check: $(VENV)/.stamp-dev ## ruff, mypy --strict and the directions of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

chaos: setup $(VENV)/.stamp-dev ## kill -9 under load against an uninterrupted run (CHAOS_SEED, CHAOS_ROWS, CHAOS_KILLS, CHAOS_JSON)
	@$(BIN)/python -m tests.chaos

chaos-full: setup $(VENV)/.stamp-dev ## from MQTT on: edge, workers and Kafka killed and stopped (also CHAOS_FAULTS, CHAOS_RATE)
	@$(BIN)/python -m tests.chaos.full

soak: setup $(VENV)/.stamp-dev ## half an hour with faults in it: memory, threads and open files of every process (SOAK_SECONDS, SOAK_SEED, SOAK_RATE, SOAK_JSON)
	@scripts/install-debian $(RTSP_SERVER)
	@$(BIN)/python -m tests.soak

containers: $(VENV)/.stamp-dev ## docker-compose.yml built and started on this machine's Docker, as root: an alarm, health, bounds, stop (CONTAINERS_WITHOUT="grafana")
	@$(BIN)/python -m tests.containers

faults: setup $(VENV)/.stamp-dev ## every fault that a site box meets, on a real line, as a table (FAULTS_ONLY, FAULTS_JSON, FAULTS_FOLDER)
	@scripts/install-debian libfaketime $(RTSP_SERVER)
	@$(BIN)/python -m tests.faults

bench: setup $(VENV)/.stamp-dev $(VENV)-peers/.stamp-peers ## speed beside the physical limits and a peer (BENCH_RUNS, BENCH_JSON)
	@$(BIN)/python -m tests.bench

profile: setup $(VENV)/.stamp-dev ## what a worker at full load spends its time on (py-spy; PROFILE_FOLDER keeps its files)
	@$(BIN)/python -m tests.bench.profile

fuzz: setup $(VENV)/.stamp-dev ## bytes that nobody would send, to every decoder (FUZZ_SECONDS, FUZZ_RUNS, FUZZ_SEED, FUZZ_TARGETS, FUZZ_JSON)
	@$(BIN)/python -m tests.fuzz

grade: $(VENV)/.stamp-dev ## how well frozen, moved, stuck and other lying sources are found (GRADE_SEED, GRADE_EACH, GRADE_PART, GRADE_OF, GRADE_JSON)
	@$(BIN)/python -m tests.grade.sources

models: $(VENV)-train/.stamp-train ## rebuild the shipped models from data that may ship (TensorFlow, in .venv-train; PIPED=folder)
	@$(VENV)-train/bin/python -m training
	@$(VENV)-train/bin/python -m training images $(PIPED)

dashboards: $(VENV)/.stamp-dev ## write deploy/grafana/dashboards anew
	@$(BIN)/python -m deploy.grafana

grafana-schema: ## make the schema of Grafana's dashboards anew from its own types (node and npm)
	@scripts/grafana-schema

bundle: setup ## one archive (in dist) from which a box installs and runs with its network off
	@scripts/bundle

sbom: $(VENV)/.stamp-dev ## a bill of materials of what runs (CycloneDX, dist/vigia.cdx.json)
	@mkdir -p dist
	@$(BIN)/python -W ignore -m scripts.sbom > dist/vigia.cdx.json

lock: ## write requirements/*.lock and broker/kafka-jars.lock anew
	@scripts/lock
	@$(MAKE) --no-print-directory $(VENV)/.stamp-run
	@$(BIN)/python scripts/lock_kafka_jars.py

clean: ## remove what was built; data under .vigia stays
	rm -rf $(VENV) $(VENV)-train $(VENV)-peers $(VENV)-lock build dist *.egg-info \
		.pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.stamp-run: requirements/run.lock pyproject.toml scripts/install-venv
	@scripts/install-venv $(VENV) run

$(VENV)/.stamp-dev: requirements/dev.lock $(VENV)/.stamp-run
	@scripts/install-venv $(VENV) dev

$(VENV)/.stamp-kafka: broker/kafka-jars.lock broker/kafka_jars.py $(VENV)/.stamp-run
	@$(BIN)/python -m broker.kafka_jars
	@touch $@

$(VENV)-peers/.stamp-peers: requirements/peers.lock pyproject.toml scripts/install-venv
	@scripts/install-venv $(VENV)-peers peers alone

$(VENV)-train/.stamp-train: requirements/train.lock pyproject.toml scripts/install-venv
	@scripts/install-venv $(VENV)-train train
