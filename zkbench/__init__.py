"""zkbench: a benchmark suite for zero-knowledge deep learning."""

__version__ = "0.1.0"
