rule train:
    input:
        "experiments/train_digits.py",
    output:
        model=f"{WORK}/model.safetensors",
        arrays=expand(f"{WORK}/{{part}}_{{kind}}.npy", part=("train", "test"), kind=("x", "y")),
    log:
        f"{LOGS}/train.log",
    conda:
        "../envs/zkbench.yaml"
    params:
        out=folder_of("model"),
        seed=config["seed"],
    shell:
        "python {input} --out {params.out} --seed {params.seed} > {log} 2>&1"
