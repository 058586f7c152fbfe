"""Models: from a checkpoint to the integer model that a proof is about."""
