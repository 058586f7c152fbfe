# Records measured here, and those of other machines that are part of the repository.
rule collect:
    input:
        script="experiments/collect.py",
        package="zkbench/bench/records.py",
        here=[
            *expand(
                f"{RAW}/inference-{{target}}-{{batch}}.jsonl",
                target=TARGETS,
                batch=config["batches"],
            ),
            *(f"{RAW}/{benchmark}-{target}.jsonl" for benchmark, target in MICROBENCHMARKS),
        ],
        elsewhere=COMMITTED_RECORDS,
    output:
        records="results/work/records.jsonl",
        table="results/tables/records.csv",
    log:
        f"{LOGS}/collect.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.here} {input.elsewhere}"
        " --out {output.records} --table {output.table} > {log} 2>&1"
