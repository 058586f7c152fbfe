# A perceptron trained on digits in integers, in floating point beside it, and a proof of all its steps.
rule train_in_integers:
    output:
        run=directory(f"{TRAINING}/run"),
        curves=f"{TRAINING}/curves.csv",
        summary=f"{TRAINING}/train.json",
    log:
        f"{LOGS}/train_in_integers.log",
    conda:
        "../envs/zkbench.yaml"
    threads: workflow.cores
    resources:
        timing_slot=1,
        gpu=int(TARGET == "cuda"),
    params:
        widths=",".join(map(str, config["training"]["widths"])),
        rule="--batch {batch} --steps {steps} --lr {lr} --momentum {momentum}".format(
            **config["training"]
        ),
        target=TARGET,
        seed=config["seed"],
        package=PACKAGE,
    shell:
        "zkbench train --widths {params.widths} --data digits {params.rule} --out {output.run}"
        " --compare {output.curves} --target {params.target} --seed {params.seed} --json"
        " > {output.summary} 2> {log}"


# A proof that is in the run's folder would be taken from there, and not be timed.
rule prove_training:
    input:
        f"{TRAINING}/run",
    output:
        proof=f"{TRAINING}/proof.bin",
        statement=f"{TRAINING}/statement.json",
        summary=f"{TRAINING}/prove.json",
    log:
        f"{LOGS}/prove_training.log",
    conda:
        "../envs/zkbench.yaml"
    threads: workflow.cores
    resources:
        timing_slot=1,
        gpu=int(TARGET == "cuda"),
    params:
        target=TARGET,
        package=PACKAGE,
    shell:
        "rm -f {input}/proofs/* && zkbench prove --training {input} --out {output.proof}"
        " --statement {output.statement} --target {params.target} --json > {output.summary} 2> {log}"


rule verify_training:
    input:
        run=f"{TRAINING}/run",
        proof=f"{TRAINING}/proof.bin",
        statement=f"{TRAINING}/statement.json",
    output:
        f"{TRAINING}/verify.json",
    log:
        f"{LOGS}/verify_training.log",
    conda:
        "../envs/zkbench.yaml"
    threads: workflow.cores
    resources:
        timing_slot=1,
    params:
        package=PACKAGE,
    shell:
        "zkbench verify {input.proof} --statement {input.statement}"
        " --commitment {input.run}/commitment.json --json > {output} 2> {log}"
