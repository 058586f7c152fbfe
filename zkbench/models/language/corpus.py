"""The English text that comes with every Python: the help topics of `pydoc_data`.

Its wording and its line breaks differ between Python versions. So paragraphs are compared, and
held out, by the hash of their words: the same paragraph is held out under every version, however
its lines are broken.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from pydoc_data.topics import topics

HELD_OUT = 26  # of 256: a tenth

_BLANK_LINES = re.compile(r"\n\s*\n")


def paragraphs(texts: Mapping[str, str] = topics) -> list[str]:
    """All different paragraphs of the texts, in order of their names, without outer whitespace."""
    found: dict[bytes, str] = {}
    for name in sorted(texts):
        for paragraph in _BLANK_LINES.split(texts[name]):
            if paragraph.strip():
                found.setdefault(word_hash(paragraph), paragraph.strip())
    return list(found.values())


def word_hash(paragraph: str) -> bytes:
    """SHA-256 of the paragraph's words, joined by single spaces."""
    return hashlib.sha256(" ".join(paragraph.split()).encode()).digest()


def is_held_out(paragraph: str) -> bool:
    """Whether the paragraph belongs to the tenth that no model is trained or calibrated on."""
    return word_hash(paragraph)[0] < HELD_OUT


def training_text() -> str:
    """The paragraphs to train and to calibrate with, blank lines between them."""
    return _joined(text for text in paragraphs() if not is_held_out(text))


def held_out_text() -> str:
    """The paragraphs to measure with, blank lines between them."""
    return _joined(text for text in paragraphs() if is_held_out(text))


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(texts)
