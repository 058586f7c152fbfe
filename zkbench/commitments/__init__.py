"""Commitments to tensors: a Merkle tree over interleaved Reed-Solomon rows, and its openings.

``ligero`` is the small reference back end. Another one (WHIR) commits in the same way and offers the
same ``commit``, ``prove`` and ``verify``.
"""
