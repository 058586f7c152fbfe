rule verify:
    input:
        commitment=f"{WORK}/committed/commitment.json",
        proof=f"{WORK}/proofs/{{batch}}.proof",
        statement=f"{WORK}/proofs/{{batch}}.statement.json",
    output:
        f"{WORK}/proofs/{{batch}}.verify.json",
    log:
        f"{LOGS}/verify_{{batch}}.log",
    conda:
        "../envs/zkbench.yaml"
    threads: workflow.cores
    resources:
        timing_slot=1,
    params:
        package=PACKAGE,
    shell:
        "zkbench verify {input.proof} --statement {input.statement}"
        " --commitment {input.commitment} --json > {output} 2> {log}"


rule soundness:
    input:
        commitment=f"{WORK}/committed/commitment.json",
        proof=f"{WORK}/proofs/{{batch}}.proof",
        statement=f"{WORK}/proofs/{{batch}}.statement.json",
    output:
        f"{WORK}/proofs/{{batch}}.soundness.json",
    log:
        f"{LOGS}/soundness_{{batch}}.log",
    conda:
        "../envs/zkbench.yaml"
    params:
        package=PACKAGE,
    shell:
        "zkbench soundness {input.proof} --statement {input.statement}"
        " --commitment {input.commitment} --json > {output} 2> {log}"
