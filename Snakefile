# The digit classifier from training to verified proofs, a proof of its training, language models, the microbenchmarks, and
# every table, figure and the report that come of them: `snakemake all`.
from snakemake.utils import min_version

min_version("9.19")


configfile: "experiments/config.yaml"


include: "experiments/rules/common.smk"
include: "experiments/rules/train.smk"
include: "experiments/rules/training.smk"
include: "experiments/rules/slices.smk"
include: "experiments/rules/commit.smk"
include: "experiments/rules/prove.smk"
include: "experiments/rules/verify.smk"
include: "experiments/rules/accuracy.smk"
include: "experiments/rules/perplexity.smk"
include: "experiments/rules/microbench.smk"
include: "experiments/rules/collect.smk"
include: "experiments/rules/tables.smk"
include: "experiments/rules/figures.smk"
include: "experiments/rules/report.smk"


rule all:
    default_target: True
    input:
        "results/report.md",
        expand("paper_figures/{figure}.{kind}", figure=FIGURES, kind=("pdf", "png")),
        expand("results/tables/{table}.{kind}", table=TABLES, kind=("csv", "md", "tex")),
