# The shipped language models on held-out text, in floating point and in integers.
rule perplexity:
    input:
        script="experiments/perplexity.py",
    output:
        "results/work/perplexity.csv",
    log:
        f"{LOGS}/perplexity.log",
    conda:
        "../envs/zkbench.yaml"
    params:
        tokens=config["perplexity_tokens"],
        package=PACKAGE,
    shell:
        "OPENBLAS_NUM_THREADS=1 python {input.script} --tokens {params.tokens} --out {output} > {log} 2>&1"
