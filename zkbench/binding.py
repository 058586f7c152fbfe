"""What all proofs of inference share: to what they are bound, and how much soundness is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from blake3 import blake3

from zkbench.errors import UnusableInput
from zkbench.fields import Field
from zkbench.proof import Proof, ProofRejected, canonical_json
from zkbench.security import Term, total_bits
from zkbench.transcript import ProverTranscript, VerifierTranscript


class Public(Protocol):
    """What prover and verifier both know: a model's commitment, or a statement."""

    @property
    def digest(self) -> str:
        """A hash of everything in ``to_json``."""

    def to_json(self) -> dict[str, Any]: ...


def digest_of(value: Any) -> str:
    """BLAKE3 of a JSON value in its one encoding, in hexadecimal."""
    return blake3(canonical_json(value)).hexdigest()


def same_json(a: Any, b: Any) -> bool:
    """Equal as JSON: Python's own comparison takes 1 for true and for 1.0."""
    return canonical_json(a) == canonical_json(b)


def header(protocol: dict[str, Any], statement: Public) -> dict[str, Any]:
    """The digest is there for a clear message; what binds the statement is the transcript."""
    return {"protocol": protocol, "statement": statement.digest}


def bind(transcript: Any, public: Public, statement: Public) -> None:
    """All public data goes in first: nothing of it can be chosen after a challenge is known."""
    transcript.bind("model", public.to_json())
    transcript.bind("statement", statement.to_json())


def require_header(proof: Proof, protocol: dict[str, Any], statement: Public) -> None:
    """Raises ProofRejected unless a proof says that it is one of this statement by this protocol."""
    if not same_json(proof.header.get("protocol"), protocol):
        raise ProofRejected("the proof was made with other parameters")
    if not same_json(proof.header, header(protocol, statement)):
        raise ProofRejected("the proof is of another statement")


def require_bits(terms: Sequence[Term], minimum_bits: float, remedy: str) -> None:
    """For provers: raises UnusableInput, with the remedy, below ``minimum_bits`` of soundness."""
    bits = total_bits(terms)
    if not bits >= minimum_bits:  # so that NaN is never enough
        raise UnusableInput(
            f"these sizes and parameters give {bits:.1f} bits of soundness, below {minimum_bits:g};"
            f" {remedy}, or ask for it by --minimum-bits"
        )


def begin_proof(
    field: Field, protocol: dict[str, Any], public: Public, statement: Public
) -> ProverTranscript:
    """A proof's transcript, with all that is public in it."""
    transcript = ProverTranscript(field, header(protocol, statement))
    bind(transcript, public, statement)
    return transcript


def verify_bound(
    proof: bytes,
    field: Field,
    protocol: dict[str, Any],
    public: Public,
    statement: Public,
    script: Callable[[VerifierTranscript], None],
) -> None:
    """Run a verifier's script on a proof that is bound to this; raises ProofRejected."""
    parsed = Proof.from_bytes(proof)
    require_header(parsed, protocol, statement)
    transcript = VerifierTranscript(field, parsed)
    bind(transcript, public, statement)
    script(transcript)
    transcript.finish()


def sufficient_bits(terms: Sequence[Term], minimum_bits: float) -> float:
    """For verifiers: the bits of soundness; raises ProofRejected below ``minimum_bits``."""
    bits = total_bits(terms)
    if not bits >= minimum_bits:  # so that NaN is never enough
        raise ProofRejected(f"its parameters give only {bits:.1f} bits of soundness")
    return bits


def require_model(public: Public, model: str) -> None:
    """Raises ProofRejected unless a statement's ``model`` is this one."""
    if model != public.digest:
        raise ProofRejected("the statement is about another model")


def claimed_protocol(proof: bytes, what: str) -> dict[str, Any]:
    """The protocol that a proof's header claims; nothing is verified.

    Raises UnusableInput for what is no proof of an inference.
    """
    try:
        claimed = Proof.from_bytes(proof).header.get("protocol")
    except ProofRejected as error:
        raise UnusableInput(f"{what} cannot be read: {error}") from error
    if not isinstance(claimed, dict):
        raise UnusableInput(f"{what} is not the proof of an inference")
    return claimed


def claimed_count(claimed: dict[str, Any], key: str, most: int, what: str) -> int:
    """A number of things that a header claims."""
    count = claimed.get(key)
    if type(count) is not int or not 1 <= count <= most:
        raise UnusableInput(f"{what} is not the proof of an inference")
    return count


def require_protocol(claimed: dict[str, Any], protocol: dict[str, Any], what: str) -> None:
    """Raises UnusableInput unless a header claims this protocol."""
    if not same_json(claimed, protocol):
        raise UnusableInput(f"{what} was made with other parameters than the commitment's")
