#!/usr/bin/env python3
"""Writes what the program is built from to standard output: a CycloneDX 1.5 bill of materials in JSON.

    deploy/sbom.py [TARGET]

Listed are the crates that are compiled into the binary for TARGET (this machine, if not given), each with version,
licence and the checksum that Cargo.lock demands of it. Needs cargo and nothing else; takes everything
from `cargo metadata` and Cargo.lock.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def output(*command):
    return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def host():
    lines = output("rustc", "-vV").splitlines()
    return next(line.removeprefix("host: ") for line in lines if line.startswith("host: "))


def component(package, checksums):
    name, version = package["name"], package["version"]
    purl = f"pkg:cargo/{name}@{version}"
    entry = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    if package["license"]:
        # `MIT/Apache-2.0` is how expressions were written before SPDX's.
        entry["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    if checksum := checksums.get((name, version)):
        entry["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return entry


def main():
    target = sys.argv[1] if len(sys.argv) > 1 else host()
    metadata = json.loads(output("cargo", "metadata", "--locked", "--format-version=1", "--filter-platform", target))
    text = (ROOT / "Cargo.lock").read_text()
    locked = re.findall(r'name = "(.+)"\nversion = "(.+)"\n(?:source = .+\n)?checksum = "(.+)"', text)
    checksums = {(name, version): checksum for name, version, checksum in locked}
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}

    def linked(node):
        """What is compiled in: neither build scripts' and tests' dependencies nor procedural macros."""
        for dependency in node["deps"]:
            is_normal = any(kind["kind"] is None for kind in dependency["dep_kinds"])
            kinds = {kind for built in packages[dependency["pkg"]]["targets"] for kind in built["kind"]}
            if is_normal and "proc-macro" not in kinds:
                yield dependency["pkg"]

    root = metadata["resolve"]["root"]
    found, waiting = {root}, [root]
    while waiting:
        for dependency in linked(nodes[waiting.pop()]):
            if dependency not in found:
                found.add(dependency)
                waiting.append(dependency)
    entries = {id: component(packages[id], checksums) for id in found}
    program = entries.pop(root) | {"type": "application"}
    references = {id: entry["bom-ref"] for id, entry in entries.items()} | {root: program["bom-ref"]}
    graph = [
        {"ref": references[id], "dependsOn": sorted(references[dependency] for dependency in linked(nodes[id]))}
        for id in found
    ]
    print(json.dumps({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": program, "properties": [{"name": "target", "value": target}]},
        "components": sorted(entries.values(), key=lambda entry: entry["bom-ref"]),
        "dependencies": sorted(graph, key=lambda entry: entry["ref"]),
    }, indent=1))


main()
