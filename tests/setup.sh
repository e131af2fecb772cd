#!/usr/bin/env bash
# Installs what the tests need beside a Rust toolchain, Python 3, make and a C compiler: Python's venv module, curl, Node.js for
# the JavaScript packages, Prometheus' promtool, Chromium and a font with Chinese for the admin page, Redis for replicas, nginx and Caddy for the
# files in deploy/, python3-yaml to read them, libfaketime for clocks that jump. As root on Debian it installs the packages; elsewhere it says in one sentence what is missing.
set -euo pipefail
cd "$(dirname "$0")"

missing=()
command -v python3 >/dev/null || missing+=(python3)
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
command -v node >/dev/null || missing+=(nodejs)
command -v npm >/dev/null || missing+=(npm)
command -v curl >/dev/null || missing+=(curl)
# One has a microphone, the other takes half of the processor.
command -v chromium >/dev/null || missing+=(chromium)
command -v chromium-headless-shell >/dev/null || missing+=(chromium-headless-shell)
python3 -c 'import yaml' 2>/dev/null || missing+=(python3-yaml)
command -v redis-server >/dev/null || missing+=(redis-server)
# Without one, Chinese is boxes on the screenshots.
[ -n "$(fc-list :lang=zh-cn 2>/dev/null)" ] || missing+=(fontconfig fonts-wqy-zenhei)
if [ "$(id -u)" = 0 ]; then
    # For tests/deploy.rs, tests/clock_jumps.rs and `make bench`; without them those tests say so and are skipped.
    command -v nginx >/dev/null || missing+=(nginx-light)
    command -v caddy >/dev/null || missing+=(caddy)
    command -v haproxy >/dev/null || missing+=(haproxy)
    command -v faketime >/dev/null || missing+=(faketime)
fi

if [ "${#missing[@]}" -gt 0 ]; then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "The tests need these Debian packages or their like: ${missing[*]}. Please install them, then run make test again." >&2
        exit 1
    fi
    apt-get update -q
    # Their services are not wanted. A machine that has just been started may be updating itself.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -qy --no-install-recommends "${missing[@]}"
fi

# The JavaScript packages, at the versions of package-lock.json.
if [ -f package-lock.json ] && ! cmp -s package-lock.json node_modules/.installed-lock; then
    npm ci --no-audit --no-fund --silent
    cp package-lock.json node_modules/.installed-lock
fi

# promtool out of Debian's package, without installing it: that would start a server.
if ! command -v promtool >/dev/null && [ ! -x .cache/promtool ]; then
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        echo "The tests need promtool, a part of Prometheus. Please install it, then run make test again." >&2
        exit 1
    fi
    mkdir -p .cache/prometheus
    (
        cd .cache/prometheus
        # apt writes as a user of its own where it can.
        apt-get download -q prometheus 2>/dev/null || { [ "$(id -u)" = 0 ] && apt-get update -q && apt-get download -q prometheus; }
        dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool
    )
    mv .cache/prometheus/usr/bin/promtool .cache/promtool
    rm -rf .cache/prometheus
fi
