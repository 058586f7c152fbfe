rule inference:
    input:
        commitment=f"{WORK}/committed/commitment.json",
        images=f"{WORK}/images_{{batch}}.npy",
    output:
        f"{RAW}/inference-{{target}}-{{batch}}.jsonl",
    log:
        f"{LOGS}/inference_{{target}}_{{batch}}.log",
    conda:
        "../envs/zkbench.yaml"
    threads: workflow.cores
    resources:
        timing_slot=1,
        gpu=lambda wildcards: int(wildcards.target == "cuda"),
    params:
        model=folder_of("commitment"),
        seed=config["seed"],
        repeats=config["repeats"],
        package=PACKAGE,
    shell:
        "zkbench bench inference --param model={params.model} --param input={input.images}"
        " --target {wildcards.target} --seed {params.seed} --repeats {params.repeats}"
        " --out {output} > {log} 2>&1"


# The sheet is `ancient`: what counts are the rows of this benchmark, which are among the params.
rule microbench:
    input:
        sheet=ancient(config["sheet"]),
    output:
        f"{RAW}/{{benchmark}}-{{target}}.jsonl",
    log:
        f"{LOGS}/{{benchmark}}_{{target}}.log",
    conda:
        "../envs/zkbench.yaml"
    threads: workflow.cores
    resources:
        timing_slot=1,
        gpu=lambda wildcards: int(wildcards.target == "cuda"),
    params:
        rows=lambda wildcards: sheet_rows(wildcards.benchmark, wildcards.target),
        seed=config["seed"],
        package=PACKAGE,
    shell:
        "zkbench bench --sheet {input.sheet} --only {wildcards.benchmark}"
        " --target {wildcards.target} --seed {params.seed} --out {output} > {log} 2>&1"


rule ceilings:
    output:
        f"{RAW}/ceilings-{{target}}.json",
    log:
        f"{LOGS}/ceilings_{{target}}.log",
    conda:
        "../envs/zkbench.yaml"
    threads: workflow.cores
    resources:
        timing_slot=1,
        gpu=lambda wildcards: int(wildcards.target == "cuda"),
    params:
        package=PACKAGE,
    shell:
        "zkbench ceilings --target {wildcards.target} --out {output} > {log} 2>&1"


rule pytest_benchmarks:
    output:
        "results/work/pytest_benchmarks.json",
    log:
        f"{LOGS}/pytest_benchmarks.log",
    conda:
        "../envs/zkbench.yaml"
    threads: workflow.cores
    resources:
        timing_slot=1,
        gpu=int(TARGET == "cuda"),
    params:
        folder="benchmarks",
        package=PACKAGE,
    shell:
        "python -m pytest {params.folder} --benchmark-json={output} > {log} 2>&1"
