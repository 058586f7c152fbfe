TABLE_PACKAGE = ["experiments/tables/formats.py", "zkbench/bench/records.py"]


rule table_digits:
    input:
        script="experiments/tables/digits.py",
        package=TABLE_PACKAGE,
        records="results/work/records.jsonl",
    output:
        report("results/tables/digits.csv", caption="../captions/digits.rst", category="Tables"),
        "results/tables/digits.md",
        "results/tables/digits.tex",
    log:
        f"{LOGS}/table_digits.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --out results/tables/digits"
        " > {log} 2>&1"


rule table_proven_labels:
    input:
        script="experiments/tables/proven_labels.py",
        package=TABLE_PACKAGE,
        labels=f"{WORK}/test_y.npy",
        statements=expand(f"{WORK}/proofs/{{batch}}.statement.json", batch=config["batches"]),
        verdicts=expand(f"{WORK}/proofs/{{batch}}.verify.json", batch=config["batches"]),
        soundness=expand(f"{WORK}/proofs/{{batch}}.soundness.json", batch=config["batches"]),
    output:
        report(
            "results/tables/proven_labels.csv",
            caption="../captions/proven_labels.rst",
            category="Tables",
        ),
        "results/tables/proven_labels.md",
        "results/tables/proven_labels.tex",
    log:
        f"{LOGS}/table_proven_labels.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --labels {input.labels} --statements {input.statements}"
        " --verdicts {input.verdicts} --out results/tables/proven_labels > {log} 2>&1"


rule table_accuracy:
    input:
        script="experiments/tables/accuracy.py",
        package=TABLE_PACKAGE,
        accuracy=f"{WORK}/accuracy.csv",
    output:
        report("results/tables/accuracy.csv", caption="../captions/accuracy.rst", category="Tables"),
        "results/tables/accuracy.md",
        "results/tables/accuracy.tex",
    log:
        f"{LOGS}/table_accuracy.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --accuracy {input.accuracy} --out results/tables/accuracy"
        " > {log} 2>&1"


rule table_protocols:
    input:
        script="experiments/tables/protocols.py",
        package=TABLE_PACKAGE,
        records="results/work/records.jsonl",
    output:
        report(
            "results/tables/protocols.csv",
            caption="../captions/protocols.rst",
            category="Tables",
        ),
        "results/tables/protocols.md",
        "results/tables/protocols.tex",
    log:
        f"{LOGS}/table_protocols.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --out results/tables/protocols"
        " > {log} 2>&1"


rule table_ceilings:
    input:
        script="experiments/tables/ceilings.py",
        package=[*TABLE_PACKAGE, "zkbench/bench/ceilings.py", "zkbench/bench/roofline.py"],
        ceilings=CEILINGS,
    output:
        report(
            "results/tables/ceilings.csv",
            caption="../captions/ceilings_table.rst",
            category="Tables",
        ),
        "results/tables/ceilings.md",
        "results/tables/ceilings.tex",
    log:
        f"{LOGS}/table_ceilings.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --ceilings {input.ceilings}"
        " --out results/tables/ceilings > {log} 2>&1"


rule table_roofline:
    input:
        script="experiments/tables/roofline.py",
        package=[*TABLE_PACKAGE, "zkbench/bench/ceilings.py", "zkbench/bench/roofline.py"],
        records="results/work/records.jsonl",
        operations="experiments/operations.csv",
        ceilings=CEILINGS,
    output:
        report(
            "results/tables/roofline.csv",
            caption="../captions/roofline_table.rst",
            category="Tables",
        ),
        "results/tables/roofline.md",
        "results/tables/roofline.tex",
    log:
        f"{LOGS}/table_roofline.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --operations {input.operations}"
        " --ceilings {input.ceilings}"
        " --out results/tables/roofline > {log} 2>&1"


rule table_published:
    input:
        script="experiments/tables/published.py",
        package=TABLE_PACKAGE,
        published="results/published/protocols.csv",
    output:
        report(
            "results/tables/published.csv",
            caption="../captions/published.rst",
            category="Tables",
        ),
        "results/tables/published.md",
        "results/tables/published.tex",
    log:
        f"{LOGS}/table_published.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --published {input.published} --out results/tables/published"
        " > {log} 2>&1"


rule table_benchmarks:
    input:
        script="experiments/tables/benchmarks.py",
        package=TABLE_PACKAGE,
        results="results/work/pytest_benchmarks.json",
    output:
        report(
            "results/tables/benchmarks.csv",
            caption="../captions/benchmarks.rst",
            category="Tables",
        ),
        "results/tables/benchmarks.md",
        "results/tables/benchmarks.tex",
    log:
        f"{LOGS}/table_benchmarks.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --results {input.results} --out results/tables/benchmarks"
        " > {log} 2>&1"


rule table_language:
    input:
        script="experiments/tables/language.py",
        package=[*TABLE_PACKAGE, "zkbench/bench/language_records.py"],
        records="results/work/records.jsonl",
    output:
        report(
            "results/tables/language.csv",
            caption="../captions/language.rst",
            category="Tables",
        ),
        "results/tables/language.md",
        "results/tables/language.tex",
    log:
        f"{LOGS}/table_language.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --out results/tables/language"
        " > {log} 2>&1"


rule table_zkllm:
    input:
        script="experiments/tables/zkllm.py",
        package=[*TABLE_PACKAGE, "zkbench/bench/language_records.py"],
        records="results/work/records.jsonl",
        published="results/published/inference.csv",
    output:
        report(
            "results/tables/zkllm.csv",
            caption="../captions/zkllm.rst",
            category="Tables",
        ),
        "results/tables/zkllm.md",
        "results/tables/zkllm.tex",
    log:
        f"{LOGS}/table_zkllm.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --published {input.published} --out results/tables/zkllm"
        " > {log} 2>&1"


rule table_perplexity:
    input:
        script="experiments/tables/perplexity.py",
        package=TABLE_PACKAGE,
        perplexity="results/work/perplexity.csv",
        published="results/published/inference.csv",
    output:
        report(
            "results/tables/perplexity.csv",
            caption="../captions/perplexity.rst",
            category="Tables",
        ),
        "results/tables/perplexity.md",
        "results/tables/perplexity.tex",
    log:
        f"{LOGS}/table_perplexity.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --perplexity {input.perplexity} --published {input.published} --out results/tables/perplexity"
        " > {log} 2>&1"


rule table_training:
    input:
        script="experiments/tables/training.py",
        package=[*TABLE_PACKAGE, "zkbench/bench/training_records.py"],
        records="results/work/records.jsonl",
        published="results/published/training.csv",
    output:
        report(
            "results/tables/training.csv",
            caption="../captions/training.rst",
            category="Tables",
        ),
        "results/tables/training.md",
        "results/tables/training.tex",
    log:
        f"{LOGS}/table_training.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --published {input.published} --out results/tables/training"
        " > {log} 2>&1"


rule table_trained_digits:
    input:
        script="experiments/tables/trained_digits.py",
        package=TABLE_PACKAGE,
        trained=f"{TRAINING}/train.json",
        proven=f"{TRAINING}/prove.json",
        verified=f"{TRAINING}/verify.json",
    output:
        report(
            "results/tables/trained_digits.csv",
            caption="../captions/trained_digits.rst",
            category="Tables",
        ),
        "results/tables/trained_digits.md",
        "results/tables/trained_digits.tex",
    log:
        f"{LOGS}/table_trained_digits.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --trained {input.trained} --proven {input.proven}"
        " --verified {input.verified} --out results/tables/trained_digits > {log} 2>&1"
