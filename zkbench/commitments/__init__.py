"""Commitments to integer tensors, and openings of claims about them."""
