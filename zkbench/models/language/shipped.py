"""The checkpoints that come with the package."""

from pathlib import Path

from zkbench.errors import UnusableInput

SHIPPED = ("llama-bytes", "opt-bytes")

_FOLDER = Path(__file__).parents[1] / "shipped"


def shipped(name: str) -> Path:
    """The folder of a shipped checkpoint; raises `UnusableInput` for another name."""
    if name not in SHIPPED:
        raise UnusableInput(f"no model {name!r} is shipped; there are {', '.join(SHIPPED)}")
    return _FOLDER / name
