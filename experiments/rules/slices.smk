rule slices:
    input:
        script="experiments/slice_batch.py",
        images=f"{WORK}/test_x.npy",
    output:
        f"{WORK}/images_{{batch}}.npy",
    log:
        f"{LOGS}/slices_{{batch}}.log",
    conda:
        "../envs/zkbench.yaml"
    shell:
        "python {input.script} --input {input.images} --batch {wildcards.batch} --out {output}"
        " > {log} 2>&1"
