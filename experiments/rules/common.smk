import hashlib
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from zkbench.bench.gpu import find_gpu
from zkbench.bench.sheet import SheetRow, read_sheet
from zkbench.bench.validation import check_against
from zkbench.errors import UnusableInput

WORK = "results/work/digits"
TRAINING = "results/work/training"
RAW = "results/raw/local"
LOGS = "results/work/logs"

ROOT = Path(workflow.basedir)
COMMITTED_RECORDS = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "results/raw").rglob("*.jsonl")
    if "local" not in path.relative_to(ROOT).parts
)
COMMITTED_CEILINGS = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "results/raw").rglob("ceilings-*.json")
    if "local" not in path.relative_to(ROOT).parts
)

TABLES = ("digits", "proven_labels", "accuracy", "protocols", "ceilings", "roofline")
TABLES += ("published", "benchmarks", "language", "zkllm", "perplexity")
TABLES += ("training", "trained_digits")
FIGURES = ("proving_time", "tlookup", "matmul", "commitment", "proof_size", "verifier_time")
FIGURES += ("memory", "phases", "roofline", "accuracy", "zkattn", "model_sizes")
FIGURES += ("language_phases", "zkrelu", "training_curves", "training_cost", "aggregation")


wildcard_constraints:
    batch=r"\d+",
    target="cpu|cuda",
    benchmark="[a-z_]+",


def checked_sheet() -> list[SheetRow]:
    """Check the config and read its run sheet; what is wrong is said in one sentence."""
    try:
        check_against(ROOT / "experiments/schemas/config.schema.json", config, "config")
        return read_sheet(ROOT / config["sheet"])
    except UnusableInput as error:
        raise WorkflowError(str(error)) from None


def folder_of(name: str):
    """A parameter: the folder of the input or output called `name`."""
    return lambda wildcards, input, output: Path({**input, **output}[name]).parent


def targets() -> list[str]:
    gpu = find_gpu()
    if config["target"] == "cuda" and gpu is None:
        raise WorkflowError("config: target is cuda, but there is no CUDA GPU here")
    if config["target"] != "auto":
        return [config["target"]]
    return ["cpu", "cuda"] if gpu else ["cpu"]


def package_digest() -> str:
    """Hash of the package: among the parameters of all that measures, so as to measure anew."""
    digest = hashlib.sha256()
    for path in sorted((ROOT / "zkbench").rglob("*")):
        if path.suffix in (".py", ".json"):
            digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()


def sheet_rows(benchmark: str, target: str) -> list[str]:
    rows = (row for row in SHEET if (row.benchmark, row.target) == (benchmark, target))
    return [f"{row} x{row.repeats} {row.machine}" for row in rows]


SHEET = checked_sheet()
TARGETS = targets()
TARGET = TARGETS[-1]
PACKAGE = package_digest()
CEILINGS = [*expand(f"{RAW}/ceilings-{{target}}.json", target=TARGETS), *COMMITTED_CEILINGS]
MICROBENCHMARKS = sorted({(row.benchmark, row.target) for row in SHEET if row.target in TARGETS})

logger.info(f"Proving on {find_gpu().name if TARGET == 'cuda' else 'the CPU'}.")
