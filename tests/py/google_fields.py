"""Compares the table in docs/fields.md, whose path is the argument, with the fields of the installed google-genai."""

import re
import sys

from google.genai import types

CLASSES = {
    "GenerateContentConfig": [types.GenerateContentConfig],
    "Part": [types.Part],
    "Candidate": [types.Candidate],
    "UsageMetadata": [types.GenerateContentResponseUsageMetadata, types.UsageMetadata],
}

with open(sys.argv[1], encoding="utf-8") as page:
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", page.read(), re.S | re.M))

wrong = []
for name, classes in CLASSES.items():
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in sections[name].splitlines() if line.startswith("| `")]
    told = [field for row in rows for field in re.findall(r"`(\w+)`", row[0])]
    there = {field for kind in classes for field in kind.model_fields}
    wrong += [f"{name}.{field} is not in the table" for field in sorted(there - set(told))]
    wrong += [f"{name}.{field} is no field of the package" for field in sorted(set(told) - there)]
    wrong += [f"{name}.{field} is there twice" for field in sorted(set(told)) if told.count(field) > 1]
    wrong += [f"{name}: {row[0].strip()} has {len(row)} columns, or an empty one"
              for row in rows if len(row) != 5 or not all(cell.strip() for cell in row)]
    words = ("passed", "mapped", "refused", "left out")
    wrong += [f"{name}: {row[0].strip()} says {cell.strip()!r}"
              for row in rows for cell in row[2:] if not cell.strip().startswith(words)]

if wrong:
    sys.exit("\n".join(wrong))
