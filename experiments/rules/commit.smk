rule commit:
    input:
        weights=f"{WORK}/model.safetensors",
        calibration=f"{WORK}/train_x.npy",
    output:
        commitment=f"{WORK}/committed/commitment.json",
        summary=f"{WORK}/commit.json",
    log:
        f"{LOGS}/commit.log",
    conda:
        "../envs/zkbench.yaml"
    threads: workflow.cores
    resources:
        timing_slot=1,
        gpu=int(TARGET == "cuda"),
    params:
        out=folder_of("commitment"),
        target=TARGET,
        seed=config["seed"],
        package=PACKAGE,
    shell:
        "zkbench commit --weights {input.weights} --calibration {input.calibration}"
        " --out {params.out} --target {params.target} --seed {params.seed} --json"
        " > {output.summary} 2> {log}"
