# Snakemake does not see what a script imports: its own modules and those of the package that it
# draws with are inputs, too.
FIGURE_STYLE = [
    "experiments/figures/style.py",
    "experiments/figures/zkbench.mplstyle",
    "zkbench/bench/records.py",
]


rule figure_proving_time:
    input:
        script="experiments/figures/proving_time.py",
        style=FIGURE_STYLE,
        records="results/work/records.jsonl",
    output:
        report(
            "paper_figures/proving_time.png",
            caption="../captions/proving_time.rst",
            category="Figures",
        ),
        "paper_figures/proving_time.pdf",
    log:
        f"{LOGS}/figure_proving_time.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --out paper_figures/proving_time"
        " > {log} 2>&1"


rule figure_tlookup:
    input:
        script="experiments/figures/tlookup.py",
        style=[*FIGURE_STYLE, "experiments/figures/throughput.py"],
        records="results/work/records.jsonl",
        published="results/published/protocols.csv",
    output:
        report(
            "paper_figures/tlookup.png",
            caption="../captions/tlookup.rst",
            category="Figures",
        ),
        "paper_figures/tlookup.pdf",
    log:
        f"{LOGS}/figure_tlookup.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --published {input.published} --out paper_figures/tlookup"
        " > {log} 2>&1"


rule figure_matmul:
    input:
        script="experiments/figures/matmul.py",
        style=FIGURE_STYLE,
        records="results/work/records.jsonl",
    output:
        report(
            "paper_figures/matmul.png",
            caption="../captions/matmul.rst",
            category="Figures",
        ),
        "paper_figures/matmul.pdf",
    log:
        f"{LOGS}/figure_matmul.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --out paper_figures/matmul" " > {log} 2>&1"


rule figure_commitment:
    input:
        script="experiments/figures/commitment.py",
        style=[*FIGURE_STYLE, "experiments/figures/throughput.py"],
        records="results/work/records.jsonl",
        published="results/published/protocols.csv",
    output:
        report(
            "paper_figures/commitment.png",
            caption="../captions/commitment.rst",
            category="Figures",
        ),
        "paper_figures/commitment.pdf",
    log:
        f"{LOGS}/figure_commitment.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --published {input.published} --out paper_figures/commitment"
        " > {log} 2>&1"


rule figure_accuracy:
    input:
        script="experiments/figures/accuracy.py",
        style=FIGURE_STYLE,
        accuracy=f"{WORK}/accuracy.csv",
    output:
        report(
            "paper_figures/accuracy.png",
            caption="../captions/accuracy_figure.rst",
            category="Figures",
        ),
        "paper_figures/accuracy.pdf",
    log:
        f"{LOGS}/figure_accuracy.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --accuracy {input.accuracy} --out paper_figures/accuracy"
        " > {log} 2>&1"
