rule prove:
    input:
        commitment=f"{WORK}/committed/commitment.json",
        images=f"{WORK}/images_{{batch}}.npy",
    output:
        proof=f"{WORK}/proofs/{{batch}}.proof",
        statement=f"{WORK}/proofs/{{batch}}.statement.json",
        summary=f"{WORK}/proofs/{{batch}}.prove.json",
    log:
        f"{LOGS}/prove_{{batch}}.log",
    conda:
        "../envs/zkbench.yaml"
    threads: workflow.cores
    resources:
        timing_slot=1,
        gpu=int(TARGET == "cuda"),
    params:
        model=folder_of("commitment"),
        target=TARGET,
        seed=config["seed"],
        package=PACKAGE,
    shell:
        "zkbench prove --model {params.model} --input {input.images}"
        " --out {output.proof} --statement {output.statement}"
        " --target {params.target} --seed {params.seed} --json > {output.summary} 2> {log}"
