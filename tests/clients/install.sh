#!/usr/bin/env bash
# Installs what `make clients` runs, below this folder: `node_modules` (1.7 GB), `.venv` (400 MB) and `.aider` (600 MB), which pins
# other versions of what the others use. About four minutes on two busy cores; again only what changed.
set -euo pipefail
cd "$(dirname "$0")"

if ! cmp -s package-lock.json node_modules/.installed-lock; then
    # `npm ci` refuses a lock without those optional packages of Qwen Code that no registry has.
    npm install --no-save --no-audit --no-fund --silent
    cp package-lock.json node_modules/.installed-lock
fi
for environment in .venv:requirements.txt .aider:aider.txt; do
    folder=${environment%:*} wanted=${environment#*:}
    if ! cmp -s "$wanted" "$folder/installed"; then
        rm -rf "$folder"
        python3 -m venv "$folder"
        "$folder/bin/python" -m pip install --quiet --no-compile --disable-pip-version-check -r "$wanted"
        cp "$wanted" "$folder/installed"
    fi
done
