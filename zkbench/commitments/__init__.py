"""Commitments to tensors: a Merkle tree over interleaved Reed-Solomon rows, and its openings.

A back end is a frozen dataclass of parameters with ``commit``, ``commitment``, ``prove``,
``verify``, ``soundness_terms`` and ``to_json``. ``ligero`` is the small reference; WHIR takes its
place beside it, on the same ``interleaved`` commitment and the same claims.
"""
