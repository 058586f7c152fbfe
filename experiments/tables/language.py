"""Language models: committing to the weights, proving one more token, verifying."""

import argparse
from pathlib import Path

from formats import Column, bits, significant, write_table

from zkbench.bench.language_records import language_records
from zkbench.bench.records import read_records

GB = 1e9
COLUMNS = [
    Column("model", "model"),
    Column("machine", "machine"),
    Column("param_positions", "tokens", lambda value: f"{int(value):,}"),
    Column("segment", "layers at once", str),
    Column("extra_weights", "weights (million)", significant(4, 1e6)),
    Column("commit_s", "commit (s)", significant(3)),
    Column("prove_s_median", "prove (s)", significant(3)),
    Column("phase_witness_s", "of it the witness (s)", significant(3)),
    Column("proof_bytes", "proof (kB)", significant(4, 1e3)),
    Column("verify_s_median", "verify (s)", significant(3)),
    Column("host_peak_bytes", "host memory (GB)", significant(3, GB)),
    Column("device_peak_bytes", "GPU memory (GB)", significant(3, GB)),
    Column("soundness_bits", "soundness (bits)", bits),
    Column("extra_committed_values", "committed (million)", significant(4, 1e6)),
    Column("lookups", "looked up (million)", significant(4, 1e6)),
    Column("extra_forward_s", "plain forward pass (ms)", significant(3, 1e-3)),
    Column("extra_forward_with", "of", str),
    Column("overhead", "proof / forward pass", significant(3)),
]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="path without suffix")
    options = parser.parse_args(arguments)
    rows = language_records(read_records([options.records]), in_segments=True)
    write_table(rows, COLUMNS, options.out)


if __name__ == "__main__":
    main()
