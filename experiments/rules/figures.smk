# Snakemake does not see what a script imports: its own modules and those of the package that it
# draws with are inputs, too.
FIGURE_STYLE = [
    "experiments/figures/style.py",
    "experiments/figures/zkbench.mplstyle",
    "zkbench/bench/records.py",
]
LANGUAGE = "zkbench/bench/language_records.py"
TRAINING_FIGURES = ["experiments/figures/training.py", "zkbench/bench/training_records.py"]
SCHEMES = ["experiments/figures/schemes.py", "zkbench/bench/commitment_case.py"]
SCHEMES += ["zkbench/commitments/ligero.py", "zkbench/commitments/whir.py"]
SCHEMES += ["zkbench/commitments/whir_schedule.py"]


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
        style=[*FIGURE_STYLE, *SCHEMES, "experiments/figures/throughput.py"],
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


rule figure_proof_size:
    input:
        script="experiments/figures/proof_size.py",
        style=[*FIGURE_STYLE, *SCHEMES],
        records="results/work/records.jsonl",
    output:
        report(
            "paper_figures/proof_size.png",
            caption="../captions/proof_size.rst",
            category="Figures",
        ),
        "paper_figures/proof_size.pdf",
    log:
        f"{LOGS}/figure_proof_size.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --out paper_figures/proof_size"
        " > {log} 2>&1"


rule figure_verifier_time:
    input:
        script="experiments/figures/verifier_time.py",
        style=[*FIGURE_STYLE, *SCHEMES],
        records="results/work/records.jsonl",
    output:
        report(
            "paper_figures/verifier_time.png",
            caption="../captions/verifier_time.rst",
            category="Figures",
        ),
        "paper_figures/verifier_time.pdf",
    log:
        f"{LOGS}/figure_verifier_time.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --out paper_figures/verifier_time"
        " > {log} 2>&1"


rule figure_memory:
    input:
        script="experiments/figures/memory.py",
        style=[*FIGURE_STYLE, *SCHEMES],
        records="results/work/records.jsonl",
    output:
        report(
            "paper_figures/memory.png",
            caption="../captions/memory.rst",
            category="Figures",
        ),
        "paper_figures/memory.pdf",
    log:
        f"{LOGS}/figure_memory.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --out paper_figures/memory" " > {log} 2>&1"


rule figure_phases:
    input:
        script="experiments/figures/phases.py",
        style=[*FIGURE_STYLE, *SCHEMES, "experiments/figures/proving_time.py"],
        records="results/work/records.jsonl",
    output:
        report(
            "paper_figures/phases.png",
            caption="../captions/phases.rst",
            category="Figures",
        ),
        "paper_figures/phases.pdf",
    log:
        f"{LOGS}/figure_phases.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --out paper_figures/phases" " > {log} 2>&1"


rule figure_roofline:
    input:
        script="experiments/figures/roofline.py",
        style=FIGURE_STYLE,
        package=["zkbench/bench/ceilings.py", "zkbench/bench/roofline.py"],
        operations="experiments/operations.csv",
        ceilings=CEILINGS,
        records="results/work/records.jsonl",
    output:
        report(
            "paper_figures/roofline.png",
            caption="../captions/roofline.rst",
            category="Figures",
        ),
        "paper_figures/roofline.pdf",
    log:
        f"{LOGS}/figure_roofline.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --operations {input.operations}"
        " --ceilings {input.ceilings} --out paper_figures/roofline"
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


rule figure_zkattn:
    input:
        script="experiments/figures/zkattn.py",
        style=FIGURE_STYLE,
        records="results/work/records.jsonl",
        published="results/published/protocols.csv",
    output:
        report(
            "paper_figures/zkattn.png",
            caption="../captions/zkattn.rst",
            category="Figures",
        ),
        "paper_figures/zkattn.pdf",
    log:
        f"{LOGS}/figure_zkattn.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --published {input.published} --out paper_figures/zkattn"
        " > {log} 2>&1"


rule figure_model_sizes:
    input:
        script="experiments/figures/model_sizes.py",
        style=[*FIGURE_STYLE, LANGUAGE],
        records="results/work/records.jsonl",
        published="results/published/inference.csv",
    output:
        report(
            "paper_figures/model_sizes.png",
            caption="../captions/model_sizes.rst",
            category="Figures",
        ),
        "paper_figures/model_sizes.pdf",
    log:
        f"{LOGS}/figure_model_sizes.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --published {input.published} --out paper_figures/model_sizes"
        " > {log} 2>&1"


rule figure_language_phases:
    input:
        script="experiments/figures/language_phases.py",
        style=[
            *FIGURE_STYLE,
            LANGUAGE,
            *SCHEMES,
            "experiments/figures/phases.py",
            "experiments/figures/proving_time.py",
        ],
        records="results/work/records.jsonl",
    output:
        report(
            "paper_figures/language_phases.png",
            caption="../captions/language_phases.rst",
            category="Figures",
        ),
        "paper_figures/language_phases.pdf",
    log:
        f"{LOGS}/figure_language_phases.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --out paper_figures/language_phases"
        " > {log} 2>&1"


rule figure_zkrelu:
    input:
        script="experiments/figures/zkrelu.py",
        style=FIGURE_STYLE,
        records="results/work/records.jsonl",
    output:
        report(
            "paper_figures/zkrelu.png",
            caption="../captions/zkrelu.rst",
            category="Figures",
        ),
        "paper_figures/zkrelu.pdf",
    log:
        f"{LOGS}/figure_zkrelu.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --out paper_figures/zkrelu > {log} 2>&1"


rule figure_training_cost:
    input:
        script="experiments/figures/training_cost.py",
        style=[*FIGURE_STYLE, *TRAINING_FIGURES],
        records="results/work/records.jsonl",
        published="results/published/training.csv",
    output:
        report(
            "paper_figures/training_cost.png",
            caption="../captions/training_cost.rst",
            category="Figures",
        ),
        "paper_figures/training_cost.pdf",
    log:
        f"{LOGS}/figure_training_cost.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --published {input.published} --out paper_figures/training_cost"
        " > {log} 2>&1"


rule figure_aggregation:
    input:
        script="experiments/figures/aggregation.py",
        style=[*FIGURE_STYLE, *TRAINING_FIGURES],
        records="results/work/records.jsonl",
        published="results/published/training.csv",
    output:
        report(
            "paper_figures/aggregation.png",
            caption="../captions/aggregation.rst",
            category="Figures",
        ),
        "paper_figures/aggregation.pdf",
    log:
        f"{LOGS}/figure_aggregation.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --published {input.published} --out paper_figures/aggregation"
        " > {log} 2>&1"


rule figure_training_curves:
    input:
        script="experiments/figures/training_curves.py",
        style=FIGURE_STYLE,
        curves=f"{TRAINING}/curves.csv",
    output:
        report(
            "paper_figures/training_curves.png",
            caption="../captions/training_curves.rst",
            category="Figures",
        ),
        "paper_figures/training_curves.pdf",
    log:
        f"{LOGS}/figure_training_curves.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --curves {input.curves} --out paper_figures/training_curves"
        " > {log} 2>&1"
