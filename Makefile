# Everything from a bare clone: needs Python ≥ 3.11 with venv, and make.

PYTHON ?= python3
VENV := .venv
READY := $(VENV)/.ready
BIN := $(VENV)/bin
WORK := bench/.work
LITELLM := tests/litellm/.venv
BENCH := $(WORK)/.ready
PROXIES := tests/gateways/.work
GATEWAYS := $(PROXIES)/.ready
AS_ROOT = $(if $(filter 0,$(shell id -u)),,sudo -E)
NGINX := nginx libnginx-mod-http-lua gettext-base
APART := proof or gateways or litellm or browser or deploy
MEASURE := $(WORK)/venv/bin/python -m bench $(if $(QUICK),--quick)
DEPLOY_WORK := tests/deploy/.work
DEPLOY := $(DEPLOY_WORK)/.ready
DEPLOY_PACKAGES := buildah podman runc netavark aardvark-dns iptables debootstrap debian-archive-keyring prometheus \
	systemd libseccomp2 systemd-journal-remote jq nginx openssl
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' governance/__init__.py)
IMAGE ?= localhost/model-limits:$(VERSION)
SBOM ?= sbom.cdx.json
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-strip-extras --python-version 3.11 --no-header
BROWSER_WORK := tests/browser/.work
BROWSER := $(BROWSER_WORK)/.ready
VENDOR := governance/web/dashboard/static/vendor
REDIS := redis-tools libatomic1 libjemalloc2 liblzf1 libssl3 libsystemd0

# $(call environment,FOLDER): an environment of Python in that folder, with what the locks among the prerequisites list.
define environment
$(PYTHON) -m venv $(1)
$(1)/bin/pip install --quiet --disable-pip-version-check --require-hashes $(addprefix -r ,$(filter %.lock,$^))
endef

# Without bytecode, each process that a test starts would compile 500 files, which takes a third of a second.
test proofs browser: export PYTHONDONTWRITEBYTECODE :=

.PHONY: help run test cov proofs gateways litellm lint format bench bench-list bench-decide bench-scale bench-hops bench-history bench-gateways bench-dashboard browser screenshots deploy image sbom vendor lock clean

help:  ## list the targets
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / { printf "%-13s %s\n", $$1, $$2 }' Makefile

run: $(READY)  ## start the service on 127.0.0.1:8080 (HOST and PORT change that)
	@$(BIN)/python -c 'import wsgi' && exec $(BIN)/gunicorn wsgi:app  # a bad setting is told before gunicorn reads it

test: $(READY)  ## run the test suite, without what starts proxies, browsers or deaths, on two cores
	$(BIN)/pytest -m 'not ($(APART))' -n 2 --dist loadfile $(if $(COV),--cov --cov-report=term:skip-covered)

cov:  ## the same with branch coverage, which must not fall under the floor in pyproject.toml
	$(MAKE) test COV=1

proofs: $(READY)  ## kill -9, a model, faults and hostile peers: at most 10 minutes; longer with PROOF_SECONDS=3600
	$(BIN)/pytest -m proof tests/proofs

# nginx with Lua is Debian's or Ubuntu's, which needs root for its folders; everything else is in an environment of its own.
gateways: $(GATEWAYS)  ## install real Envoy, nginx, Traefik and Caddy, and test the recipes of examples/gateways: 2 minutes
	@test -e /usr/lib/nginx/modules/ngx_http_lua_module.so -a -n "$$(command -v envsubst)" || { \
		$(AS_ROOT) apt-get update -qq && \
		$(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(NGINX); }
	$(AS_ROOT) env PYTHONDONTWRITEBYTECODE=1 $(PROXIES)/venv/bin/pytest -p no:cacheprovider -m gateways -n 2 --dist loadgroup tests/gateways

litellm: $(READY) $(LITELLM)/.ready  ## test the recipe for LiteLLM with its real proxy: installs 740 MB, so CI does not run it
	$(LITELLM)/bin/pytest -q -p no:cacheprovider --noconftest -m litellm tests/litellm

browser: $(BROWSER)  ## the dashboard in a real Chromium, and behind nginx; both must be installed
	$(BROWSER_WORK)/venv/bin/python -m pytest -m browser tests/browser

# The tools that are no Python packages are Debian's.
deploy: $(DEPLOY)  ## build, check and start what deploy/ holds, as an operator would
	@dpkg -s $(DEPLOY_PACKAGES) >/dev/null 2>&1 || { $(AS_ROOT) apt-get update -qq && \
		$(AS_ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(DEPLOY_PACKAGES); }
	$(AS_ROOT) env PYTHONDONTWRITEBYTECODE=1 $(DEPLOY_WORK)/venv/bin/pytest -p no:cacheprovider -m deploy tests/deploy

# BASE: another image with Python >= 3.11 and pip. BUILD_FLAGS: more options of buildah, such as --volume for the
# certificates or the pip.conf of a mirror. Only the format of Docker stores a health check.
image:  ## build the container image $(IMAGE) with buildah
	buildah build --format docker --label org.opencontainers.image.version=$(VERSION) \
		$(if $(BASE),--build-arg BASE=$(BASE)) $(BUILD_FLAGS) --file deploy/Containerfile --tag $(IMAGE) .

sbom: $(DEPLOY)  ## list what the image installs, as CycloneDX, in sbom.cdx.json
	$(DEPLOY_WORK)/venv/bin/cyclonedx-py requirements --output-reproducible --of JSON --pyproject pyproject.toml \
		-o $(SBOM) requirements.lock

screenshots: $(BROWSER)  ## the pictures of docs/dashboard.md, anew
	$(BROWSER_WORK)/venv/bin/python -m tests.browser.screenshots

vendor:  ## fetch the browser libraries of the dashboard anew, and check their hashes
	bin/vendor $(VENDOR)/manifest.json $(VENDOR)

lint: $(READY)  ## ruff and mypy, as CI does
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## mend what ruff can mend, and lay the code out
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BENCH)  ## all measurements, into bench/RESULTS.md: about 12 minutes; QUICK=1: in a minute, and kept apart
	$(MEASURE) $(if $(AGAINST),--against $(AGAINST))  # AGAINST=<commit>: what a request costs in both trees, 5 minutes

bench-list: $(BENCH)  ## how fast a page is, beside bare WSGI, raw sqlite3, FastAPI and datasette
	$(MEASURE) list

bench-decide: $(BENCH)  ## decisions a second beside a no-op POST and Flask-Limiter, and dollars over a cap
	$(MEASURE) decide

bench-scale: $(BENCH)  ## the memory of a worker at 100,000 limits: loading, following, reading
	$(MEASURE) scale

bench-hops: $(READY)  ## how many functions and files a request enters; LIST=create: which; TREE=<folder>: in another checkout
	$(BIN)/python -m bench.hops $(if $(TREE),--tree $(TREE)) $(if $(LIST),--list $(LIST))

bench-gateways: $(READY)  ## authorizing a proxied call, beside reservations
	$(BIN)/python -m bench.gateways

bench-dashboard: $(READY)  ## the pages of the dashboard, over 100,000 limits and a month of usage
	$(BIN)/python -m bench.dashboard $(if $(QUICK),--quick)

bench-history: $(READY)  ## questions about usage over a month of a million calls, beside reservations
	$(BIN)/python -m bench.history $(if $(QUICK),--quick)

lock: $(READY)  ## requirements.txt changed: write its hashed closures anew
	$(BIN)/pip install --quiet uv
	$(COMPILE) requirements.txt -o requirements-dev.lock
	sed '/^# Development/,$$d' requirements.txt | $(COMPILE) - -c requirements-dev.lock -o requirements.lock
	$(COMPILE) tests/gateways/requirements.txt -c requirements-dev.lock -o tests/gateways/requirements.lock
	$(COMPILE) tests/deploy/requirements.txt -c requirements-dev.lock -o tests/deploy/requirements.lock
	$(COMPILE) tests/litellm/requirements.txt -o tests/litellm/requirements.lock

# An environment of the bench's own: what the service stands on, and what it is measured beside. A machine without a
# Redis gets Debian's, unpacked here and nowhere else; where that cannot be, the bench goes without.
$(BENCH): requirements.lock bench/requirements.txt
	$(call environment,$(WORK)/venv)
	$(WORK)/venv/bin/pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@command -v redis-server >/dev/null || { mkdir -p $(WORK)/redis && cd $(WORK)/redis && \
		apt-get download --quiet $(REDIS) && for package in *.deb; do dpkg -x "$$package" . || exit; done; } || \
		echo 'There is no redis-server: Flask-Limiter will not be measured.' >&2
	@touch $@

$(GATEWAYS): requirements-dev.lock tests/gateways/requirements.lock
	$(call environment,$(PROXIES)/venv)
	@touch $@

# LiteLLM pins what it stands on more tightly than the service, so its environment has a closure of its own.
$(LITELLM)/.ready: tests/litellm/requirements.lock
	$(call environment,$(LITELLM))
	@touch $@

$(DEPLOY): requirements-dev.lock tests/deploy/requirements.lock
	$(call environment,$(DEPLOY_WORK)/venv)
	@touch $@

# An environment of the browser tests' own: what the service and its tests stand on, Playwright, and axe.
$(BROWSER): requirements-dev.lock tests/browser/requirements.txt tests/browser/manifest.json
	$(call environment,$(BROWSER_WORK)/venv)
	$(BROWSER_WORK)/venv/bin/pip install --quiet --disable-pip-version-check -r tests/browser/requirements.txt
	bin/vendor tests/browser/manifest.json $(BROWSER_WORK)
	@touch $@

clean:  ## remove what make made; the database in instance/ stays
	test ! -e $(DEPLOY_WORK) || $(AS_ROOT) rm -rf $(DEPLOY_WORK)
	rm -rf $(VENV) $(WORK) $(PROXIES) $(LITELLM) $(BROWSER_WORK) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

$(READY): requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'Python 3.11 or newer is needed: make PYTHON=python3.12' >&2; exit 1; }
	$(call environment,$(VENV))
	@touch $@
