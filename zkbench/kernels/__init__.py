"""Arithmetic on arrays of field elements: one file a kernel family, no transcript, no model."""
