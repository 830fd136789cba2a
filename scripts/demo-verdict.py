#!/usr/bin/env python3
"""The last lines of the demo: which lines leak, how fast, and what to type next.

    demo-verdict.py SEEP NAME=DIFF.json...

Everything comes out of `seep diff --format json`. Ends with status 1 when nothing grew.
"""
import json
import os
import sys

SHARE = 0.05  # rows that make less of the growth are noise beside the leak


def place(line):
    """A line of source as one would type it from here."""
    path = line.get("file") or line.get("module") or "?"
    near = os.path.relpath(path) if os.path.isabs(path) else os.path.normpath(path)
    if os.path.isabs(path) and near.startswith(".."):
        near = path
    return f"{near}:{line['line']}" if line.get("line") else near


def leading_rows(diff):
    grown = [row for row in diff["rows"] if row["delta_bytes"] > 0]
    total = sum(row["delta_bytes"] for row in grown)
    return [row for row in grown if row["delta_bytes"] >= SHARE * total]


def rate(bytes_per_s):
    return f"{bytes_per_s:,.0f} bytes/s" if bytes_per_s is not None else "rate unknown"


def describe(row):
    site = row["site"]
    words = f"{site.get('function') or row['name']} at {place(site)}"
    if "inlined_in" in row:
        words += f", inlined into {row['inlined_in']['function']}"
    blocks = row["delta_blocks"]
    size = f" of {row['delta_bytes'] // blocks:,} bytes" if blocks else ""
    return f"{words}: {rate(row['bytes_per_s'])}, {blocks:,} blocks{size} stayed"


def main(seep, results):
    leading = []
    for result in results:
        name, path = result.split("=", 1)
        with open(path, encoding="utf-8") as file:
            diff = json.load(file)
        rows = leading_rows(diff)
        if not rows:
            print(f"{name}: nothing grew")
            return 1
        print(f"{name}: leaks {rate(sum(row['bytes_per_s'] or 0 for row in rows))}")
        for row in rows:
            print(f"    {describe(row)}")
        leading.append((diff, rows[0]))

    diff, row = leading[0]
    before, after = diff["before"]["file"], diff["after"]["file"]
    site = row["site"]
    print("\nWhat to type next:")
    if site.get("line"):
        where = place(site).rsplit(":", 1)[0]
        print(f"    {os.environ.get('EDITOR') or 'vi'} +{site['line']} {where}")
    print(f"    {seep} diff --full {before} {after}")
    print(f"    {seep} run -- YOUR-PROGRAM        # and then snap, snap, diff, as above")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
