# make run, make test: all that a fresh Debian 12 needs.
#   make run               a controller and two compute hosts, then a live tail (Ctrl-C ends it)
#   make run ONCE=1        the same without the tail; exits 0 when all that was sent is stored
#   make run FILE=nova.log replays that file instead of our own
#   make test              every test, then lint and types
#   make ui                the web UI, from dashboards/src to dashboards/dist
#   make bench             ingest against rsyslogd, freshness, nova-api; the newest tables into README
#   make bench-query       questions to 20 million rows against raw SQL, over HTTP, beside ingest (ARGS="--rows 2000000 --no-json")
#   make bench-tail        the live tail: one client, a slow one, 100 at once, judged against the store (ARGS="--seconds 10 --no-json")
#   make bench-ui          the web UI in Chromium: frames under load, memory over minutes (ARGS="--minutes 1 --data DIR --no-json")
#   make chaos             the collector killed 100 times and other faults: what is lost, doubled, out of order
#   make kills             kill -9 of each daemon at every step of every move (ARGS="--moves cold --steps post")
#   make sim               500 simulated hosts: 5,000 boots, 500 migrations, every event counted (ARGS="--hosts 50 --boots 500")
#   make soak              ten minutes at half of the maximum (ARGS="--seconds 20 --no-json")
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SETUP := $(VENV)/.installed
UI := dashboards/dist/index.html
UI_SOURCES := $(shell find dashboards/src dashboards/public dashboards/index.html dashboards/*.ts dashboards/*.js -type f)

.PHONY: help run ui test lint bench bench-query bench-tail bench-ui chaos kills sim soak setup clean
help:
	@sed -n 's/^#   //p' Makefile

run: setup
	@$(MAKE) --no-print-directory ui || echo "make run: going on without the web UI"
	@.ci/need rsyslogd rsyslog "forwards each host's log lines" \
		'/usr/lib/*/rsyslog/omrelp.so' rsyslog-relp "acknowledged forwarding" || echo "make run: going on without rsyslogd: services send to the collector"
	@exec $(BIN)/cloud up $(if $(ONCE),--once) $(if $(FILE),--replay "$(FILE)")

test: setup ui
	@.ci/need rsyslogd rsyslog "forwards log lines" \
		/usr/bin/redis-server redis-server "one of two brokers" \
		/usr/lib/rabbitmq/bin/rabbitmq-server rabbitmq-server "the other broker" \
		'/usr/lib/postgresql/*/bin/postgres' postgresql "one of two databases" \
		'/usr/lib/*/rsyslog/omrelp.so' rsyslog-relp "acknowledged forwarding" \
		'/usr/lib/*/rsyslog/lmnsd_gtls.so' rsyslog-gnutls "syslog over TLS" \
		'/usr/lib/*/rsyslog/lmnsd_ossl.so' rsyslog-openssl "the other TLS" \
		openssl openssl "makes certificates" \
		logrotate logrotate "rotates nova.log" \
		systemd-analyze systemd "checks the collector's unit" \
		/usr/sbin/sshd openssh-server "lets backfill be tested over ssh" \
		/usr/bin/chromium chromium "shows the web UI"
	@failed=0; \
	$(if $(ARGS),,.ci/npm dashboards run test || failed=1;) \
	$(BIN)/python -m pytest -m "not server" --numprocesses=logical $(ARGS) || [ $$? = 5 ] || failed=1; \
	$(BIN)/python -m pytest -m "server and not alone" --numprocesses=2 --dist=loadfile $(ARGS) || [ $$? = 5 ] || failed=1; \
	$(BIN)/python -m pytest -m alone $(ARGS) || [ $$? = 5 ] || failed=1; \
	exit $$failed  # 5 is for ARGS that name none of them
	@$(MAKE) --no-print-directory lint

bench: setup
	@.ci/need rsyslogd rsyslog "is what the collector is compared with" \
		'/usr/lib/*/rsyslog/omrelp.so' rsyslog-relp "sends RELP" openssl openssl "makes certificates"
	@$(BIN)/python -m bench.ingest $(ARGS)
	@$(BIN)/python -m bench.freshness
	@$(BIN)/python -m bench.api
	@$(BIN)/python -m bench.report

bench-query: setup
	@$(BIN)/python -m bench.query $(ARGS)
	@$(BIN)/python -m bench.report

bench-tail: setup
	@$(BIN)/python -m bench.tail $(ARGS)
	@$(BIN)/python -m bench.report

bench-ui: setup ui
	@.ci/need /usr/bin/chromium chromium "shows the web UI"
	@$(BIN)/python -m bench.ui $(ARGS)
	@$(BIN)/python -m bench.report

chaos: setup
	@.ci/need rsyslogd rsyslog "sends" '/usr/lib/*/rsyslog/omrelp.so' rsyslog-relp "is acknowledged" \
		faketime faketime "moves the collector's clock"
	@$(BIN)/python -m tests.chaos.run $(ARGS)

kills: setup
	@.ci/need rsyslogd rsyslog "forwards each host's log lines" /usr/bin/redis-server redis-server "is the bus"
	@$(BIN)/python -m tests.kills.run $(ARGS)

sim: setup
	@.ci/need /usr/bin/redis-server redis-server "is the bus" '/usr/lib/postgresql/*/bin/postgres' postgresql "is the database"
	@$(BIN)/python -m bench.sim $(ARGS)

soak: setup
	@$(BIN)/python -m bench.soak $(ARGS)

lint: setup ui
	@.ci/npm dashboards run check
	@.ci/npm dashboards run lint
	@$(BIN)/ruff check .
	@$(BIN)/mypy

ui: setup $(UI)

$(UI): dashboards/node_modules/.installed $(UI_SOURCES)
	@.ci/npm dashboards run build

dashboards/node_modules/.installed: dashboards/package-lock.json dashboards/package.json | $(SETUP)
	@echo "ui: installing what dashboards/package-lock.json names into dashboards/node_modules"
	@.ci/npm dashboards ci
	@touch $@

setup: $(SETUP)

# Marked as done at the end, so that an interrupted install is not taken for a whole one.
$(SETUP): requirements.lock pyproject.toml
	@.ci/need-venv "$(PYTHON)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@echo "setup: installing what requirements.lock names into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

clean:
	rm -rf $(VENV) dashboards/node_modules dashboards/dist .run .mypy_cache .pytest_cache .ruff_cache .hypothesis
