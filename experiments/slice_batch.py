"""Writes the first images of a .npy file of images x features into another .npy file."""

import argparse
import sys
from pathlib import Path

from zkbench.errors import UnusableInput
from zkbench.models.tensor_files import load_inputs, write_npy


def slice_batch(images: Path, batch: int, out: Path) -> None:
    """Write images[:batch]; raises `UnusableInput` if there are fewer."""
    array = load_inputs(images)
    if not 1 <= batch <= len(array):
        raise UnusableInput(f"{images} has {len(array)} images, so no batch of {batch}")
    write_npy(out, array[:batch])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(arguments)
    try:
        slice_batch(options.input, options.batch, options.out)
    except UnusableInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
