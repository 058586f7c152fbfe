rule accuracy:
    input:
        script="experiments/accuracy.py",
        package=["zkbench/models/mlp.py", "zkbench/quant/calibration.py"],
        model=f"{WORK}/model.safetensors",
        arrays=expand(f"{WORK}/{{name}}.npy", name=("train_x", "test_x", "test_y")),
    output:
        f"{WORK}/accuracy.csv",
    log:
        f"{LOGS}/accuracy.log",
    conda:
        "../envs/zkbench.yaml"
    params:
        digits=folder_of("model"),
        shifts=config["shifts"],
    shell:
        "python {input.script} --digits {params.digits} --shifts {params.shifts} --out {output}"
        " > {log} 2>&1"
