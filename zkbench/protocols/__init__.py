"""Interactive proofs made non-interactive by a transcript: one protocol, one file."""
