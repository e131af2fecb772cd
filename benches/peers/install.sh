#!/usr/bin/env bash
# Installs what `make bench-peers` measures beside the proxy, below this folder: `.venv` (760 MB) and `node_modules` (25 MB).
# About two minutes; again only what changed.
set -euo pipefail
cd "$(dirname "$0")"

if ! cmp -s package-lock.json node_modules/.installed-lock; then
    npm ci --no-audit --no-fund --silent
    cp package-lock.json node_modules/.installed-lock
fi
if ! cmp -s requirements.txt .venv/installed; then
    rm -rf .venv
    python3 -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
    cp requirements.txt .venv/installed
fi
