"""Asks DuckDB what the server was asked, over the same Parquet files, and compares the rows.

Usage: same_rows.py GIVEN, a file of JSON with `files` and `answers`, a list of `sql` and `rows`.
"""

import datetime
import decimal
import json
import math
import pathlib
import sys

import duckdb

GIVEN = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))

base = duckdb.connect()
base.execute("SET TimeZone = 'UTC'")
base.execute("CREATE MACRO to_timestamp_millis(ms) AS make_timestamp(ms * 1000)")
base.execute("CREATE MACRO regexp_like(text, pattern) AS regexp_matches(text, pattern)")
files = ", ".join("'" + file.replace("'", "''") + "'" for file in GIVEN["files"])
base.execute(f"CREATE VIEW activities AS SELECT * FROM read_parquet([{files}], hive_partitioning = true)")


def plain(value):
    """The value as the server's JSON has it."""
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def same(found, expected):
    if isinstance(expected, (int, float)) and not isinstance(expected, bool) and isinstance(found, (int, float)):
        return math.isclose(found, expected, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(expected, list) and isinstance(found, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return found == expected


wrong = 0
for answer in GIVEN["answers"]:
    cursor = base.execute(answer["sql"])
    names = [column[0] for column in cursor.description]
    expected = [dict(zip(names, map(plain, row))) for row in cursor.fetchall()]
    found = answer["rows"]
    equal = len(found) == len(expected) and all(
        same(row.get(name), wanted.get(name)) for row, wanted in zip(found, expected) for name in names
    )
    if not equal:
        wrong += 1
        print(f"{answer['sql']}\n  server: {found[:5]}\n  duckdb: {expected[:5]}")
print(f"{len(GIVEN['answers'])} questions, {wrong} with different rows")
sys.exit(1 if wrong else 0)
