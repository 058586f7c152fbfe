"""Collects records: the newest of each run, as JSON Lines and as a flat table."""

import argparse
from pathlib import Path

import pandas as pd

from zkbench.bench.records import flatten, iterate_records, latest_of_each_run, write_records


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, nargs="+", required=True, help="files or folders")
    parser.add_argument("--out", type=Path, required=True, help="JSON Lines")
    parser.add_argument("--table", type=Path, required=True, help="CSV, one row a record")
    options = parser.parse_args(arguments)
    records = latest_of_each_run(iterate_records(options.records))
    records.sort(key=lambda record: (record["benchmark"], record["machine"], record["values"]))
    write_records(options.out, records)
    pd.DataFrame([flatten(record) for record in records]).to_csv(options.table, index=False)
    print(f"{len(records)} records")


if __name__ == "__main__":
    main()
