"""Training of multilayer perceptrons in integers."""
