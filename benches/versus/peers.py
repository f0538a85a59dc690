"""The engines that a user would take instead, as one warm process: a request of JSON a line, an answer of JSON a line.

The first line it writes tells which engines there are. Times are taken around the engine's work alone, on two threads each.
"""

import decimal
import glob
import json
import os
import shutil
import sys
import time

THREADS = 2
os.environ.setdefault("POLARS_MAX_THREADS", str(THREADS))


def load(name):
    try:
        return __import__(name)
    except ImportError:
        return None


duckdb, polars, chdb = load("duckdb"), load("polars"), load("chdb")
if load("pyarrow"):
    import pyarrow.csv
    import pyarrow.parquet
pyarrow = sys.modules.get("pyarrow")


def connect():
    con = duckdb.connect()
    con.execute(f"SET threads = {THREADS}")
    con.execute("SET TimeZone = 'UTC'")
    return con


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def listed(files):
    return "[" + ", ".join(map(quoted, files)) + "]"


con = connect() if duckdb else None


def export(request):
    """One Parquet file of evidence as CSV into a file."""
    file, out, columns = request["file"], request["out"], request["columns"]
    names = ", ".join(f'"{name}"' for name in columns)
    match request["engine"]:
        case "duckdb":
            con.execute(f"COPY (SELECT {names} FROM read_parquet({quoted(file)})) TO {quoted(out)} (FORMAT csv, HEADER)")
        case "clickhouse":
            chdb.query(
                f"SELECT {names} FROM file({quoted(file)}, Parquet) INTO OUTFILE {quoted(out)} TRUNCATE "
                f"FORMAT CSVWithNames SETTINGS max_threads = {THREADS}"
            )
        case "polars":
            polars.read_parquet(file, columns=columns).write_csv(out)
        case "pyarrow":
            pyarrow.csv.write_csv(pyarrow.parquet.read_table(file, columns=columns), out)
    return {"bytes": os.path.getsize(out)}


def ingest(request):
    """Files of activities into Parquet by day, sorted by user and time, zstd."""
    out, columns = request["out"], request["columns"]
    shutil.rmtree(out, ignore_errors=True)
    types = "{" + ", ".join(f"{quoted(name)}: {quoted(kind)}" for name, kind in columns.items()) + "}"
    match request["format"]:
        case "ndjson":
            source = f"read_json({listed(request['files'])}, format = 'newline_delimited', columns = {types})"
        case "parquet":
            source = f"read_parquet({listed(request['files'])})"
    con.execute(
        f"""COPY (
            SELECT *, lower(trim("user")) AS "userKey", strftime(make_timestamp("timeStamp" * 1000), '%Y-%m-%d') AS "day"
            FROM {source} ORDER BY "day", "userKey", "timeStamp"
        ) TO {quoted(out)} (FORMAT parquet, PARTITION_BY ("day"), COMPRESSION zstd, OVERWRITE_OR_IGNORE)"""
    )
    return {}


def rows_of(request):
    """Rows in the files that an ingest wrote, to be sure that it did the same work."""
    files = glob.glob(os.path.join(request["out"], "**", "*.parquet"), recursive=True)
    return {"rows": con.execute(f"SELECT count(*) FROM read_parquet({listed(files)})").fetchone()[0]}


def attach(request):
    """Makes the files and the anomalies known under the names that queries use."""
    con.execute(
        f"CREATE OR REPLACE VIEW activities AS SELECT * FROM read_parquet({listed(request['files'])}, hive_partitioning = true)"
    )
    con.execute(
        "CREATE OR REPLACE TABLE anomalies (anomalyId BIGINT, userKey VARCHAR, windowFrom TIMESTAMP, windowTo TIMESTAMP)"
    )
    for row in request["anomalies"]:
        con.execute("INSERT INTO anomalies VALUES (?, ?, make_timestamp(? * 1000), make_timestamp(? * 1000))", row)
    return {}


def query(request):
    return {"rows": con.sql(request["sql"], params=request["params"]).to_arrow_table().num_rows}


def plain(value):
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value


def rows(request):
    """The rows of a query, to be compared."""
    cursor = con.execute(request["sql"], request["params"])
    names = [column[0] for column in cursor.description]
    return {"rows": [dict(zip(names, map(plain, row))) for row in cursor.fetchall()]}


DO = {"export": export, "ingest": ingest, "rows_of": rows_of, "attach": attach, "query": query, "rows": rows}

versions = {"duckdb": duckdb, "polars": polars, "clickhouse": chdb, "pyarrow": pyarrow}
print(json.dumps({name: module.__version__ for name, module in versions.items() if module}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    begun = time.perf_counter()
    try:
        answer = DO[request["op"]](request)
        answer["seconds"] = time.perf_counter() - begun
    except Exception as error:  # told to whoever asked, who ends the run
        answer = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
