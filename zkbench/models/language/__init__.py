"""Language models of the LLaMA and OPT families: checkpoints, and forward passes in floating
point and in integers."""
