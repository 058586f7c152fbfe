rule report:
    input:
        script="experiments/report.py",
        package=["zkbench/bench/records.py", "zkbench/bench/sheet.py"],
        records="results/work/records.jsonl",
        sheet=config["sheet"],
        tables=expand("results/tables/{table}.md", table=TABLES),
        figures=expand("paper_figures/{figure}.png", figure=FIGURES),
    output:
        "results/report.md",
    log:
        f"{LOGS}/report.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --records {input.records} --sheet {input.sheet}"
        " --tables {input.tables} --figures {input.figures} --out {output} > {log} 2>&1"
