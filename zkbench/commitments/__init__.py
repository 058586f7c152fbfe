"""Commitments to tensors: a Merkle tree over interleaved Reed-Solomon rows, and its openings.

A back end is a frozen dataclass of parameters with ``commit``, ``commitment``, ``prove``,
``verify``, ``soundness_terms``, ``opening_terms`` and ``to_json``; ``schemes`` reads any of them
back. ``ligero`` is the small reference: one combined column in clear for each commitment. ``whir``
folds it instead, once for all commitments: its proofs are smaller from about 2^15 values on. Both
share the ``interleaved`` commitment, the claims and their ``reduction``, and the opened ``rows``.
"""
