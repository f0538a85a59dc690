"""Reads the files of a folder with pyarrow or DuckDB and compares rows, types and nulls with what was stored.

Usage: read_back.py pyarrow|duckdb FOLDER. For each format there are rows.EXT and none.EXT, the export of 400
activities and of none. `expected` holds the columns as [name, type, nullable] and the rows as JSON.
"""

import json
import pathlib
import sys

READER, FOLDER = sys.argv[1], pathlib.Path(sys.argv[2])
EXPECTED = json.loads((FOLDER / "expected").read_text(encoding="utf-8"))
COLUMNS, ROWS = EXPECTED["columns"], EXPECTED["rows"]
NAMES = [name for name, _, _ in COLUMNS]
EXTENSIONS = ["csv", "json", "ndjson", "arrow", "parquet"]


def check(extension, found, empty_is_null=False):
    """Compares rows, given as dicts; CSV cannot tell the empty text from null."""
    assert len(found) == len(ROWS), f"{extension}: {len(found)} rows"
    for place, (row, expected) in enumerate(zip(found, ROWS)):
        for name, kind, _ in COLUMNS:
            value, wanted = row.get(name), expected.get(name)
            if empty_is_null:
                value, wanted = value if value != "" else None, wanted if wanted != "" else None
            if kind == "double" and wanted is not None:
                wanted = float(wanted)
            where = f"{extension}, row {place}, {name}"
            assert type(value) is type(wanted), f"{where}: {value!r} is no {type(wanted).__name__}"
            assert value == wanted, f"{where}: {value!r} is not {wanted!r}"
    print(f"{extension}: {len(found)} rows")


def with_pyarrow():
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.json
    import pyarrow.parquet

    types = {"int64": pa.int64(), "double": pa.float64(), "bool": pa.bool_(), "string": pa.string()}
    schema = pa.schema([pa.field(name, types[kind], nullable) for name, kind, nullable in COLUMNS])
    anything = pa.schema([pa.field(field.name, field.type) for field in schema])

    def table(extension, stem):
        path = FOLDER / f"{stem}.{extension}"
        if extension == "arrow":
            found = pa.ipc.open_stream(path).read_all()
        elif extension == "parquet":
            found = pa.parquet.read_table(path)
        elif extension == "csv":
            parse = pa.csv.ParseOptions(newlines_in_values=True)
            convert = pa.csv.ConvertOptions(
                column_types=anything, null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=True
            )
            return pa.csv.read_csv(path, parse_options=parse, convert_options=convert)
        else:
            parse = pa.json.ParseOptions(explicit_schema=anything, unexpected_field_behavior="error")
            return pa.json.read_json(path, parse_options=parse)
        assert found.schema.equals(schema), f"{extension}: {found.schema}"
        found.validate(full=True)
        return found

    for extension in ["csv", "ndjson", "arrow", "parquet"]:
        check(extension, table(extension, "rows").to_pylist(), extension == "csv")
    for extension in ["csv", "arrow", "parquet"]:
        none = table(extension, "none")
        assert (none.num_rows, none.column_names) == (0, NAMES), extension
    # pyarrow reads lines of JSON only; the array is for Python's own reader.
    check("json", json.loads((FOLDER / "rows.json").read_text(encoding="utf-8")))


def with_duckdb():
    import duckdb

    types = {"int64": "BIGINT", "double": "DOUBLE", "bool": "BOOLEAN", "string": "VARCHAR"}
    columns = "{" + ", ".join(f"'{name}': '{types[kind]}'" for name, kind, _ in COLUMNS) + "}"

    def source(extension, stem):
        path = FOLDER / f"{stem}.{extension}"
        if extension == "parquet":
            return f"read_parquet('{path}')"
        if extension == "csv":
            dialect = "delim=',', quote='\"', escape='\"', new_line='\\n', header=true, parallel=false"
            return f"read_csv('{path}', columns={columns}, auto_detect=false, {dialect})"
        return f"read_json('{path}', columns={columns}, format='{'array' if extension == 'json' else 'nd'}')"

    def rows(query):
        result = duckdb.sql(query)
        kinds = [str(kind) for kind in result.types]
        assert (result.columns, kinds) == (NAMES, [types[kind] for _, kind, _ in COLUMNS]), f"{query}: {kinds}"
        return [dict(zip(NAMES, row)) for row in result.fetchall()]

    for extension in ["csv", "json", "ndjson", "parquet"]:
        check(extension, rows(f"SELECT * FROM {source(extension, 'rows')}"), extension == "csv")
        if extension != "ndjson":
            assert rows(f"SELECT * FROM {source(extension, 'none')}") == [], extension
    try:
        import pyarrow
    except ImportError:
        # DuckDB has no reader of its own for Arrow's stream.
        print("arrow: skipped, for there is no pyarrow")
        return
    table = pyarrow.ipc.open_stream(FOLDER / "rows.arrow").read_all()
    check("arrow", [dict(zip(NAMES, row)) for row in duckdb.from_arrow(table).fetchall()])


{"pyarrow": with_pyarrow, "duckdb": with_duckdb}[READER]()
