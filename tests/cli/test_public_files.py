"""Statements and commitments from strangers: malformed ones end in one sentence, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_case import COMMITMENT, assign, every_wrong_value, refused, verify, zkbench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

STATEMENT = "statement.json"
PUBLIC = [STATEMENT, COMMITMENT]

DEEP = '{"format":' * 900 + "1" + "}" * 900


@pytest.fixture(autouse=True)
def _in_the_folder(files):
    """All tests run in a copy of the files."""


@pytest.mark.parametrize("name", PUBLIC)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "1",
        '"text"',
        "NaN",
        "[" * 900 + "]" * 900,
        "[" * 100_000,
        '{"format":' * 100_000,
        DEEP,
        "1" * 5000,
        '{"format": 1e999}',
        "\ufeff{}",
        '{"format": "\\ud800"}',
    ],
    ids=lambda text: text[:12],
)
def test_json_that_is_something_else(files, name, text):
    (files / name).write_text(text, encoding="utf-8")
    refused(verify(), name)


@pytest.mark.parametrize("name", PUBLIC)
def test_deep_json_inside_a_right_file(files, edit, name):
    edit(name, assign("extra", json.loads(DEEP)))
    refused(verify(), name)
    edit(name, lambda value: value.pop("extra"))
    edit(name, assign("kind", json.loads(DEEP)))
    refused(verify(), name)


@pytest.mark.parametrize("name", PUBLIC)
def test_key_that_occurs_twice(files, name):
    """One reader would see the first, another the last."""
    text = (files / name).read_text()
    key = "labels" if name == STATEMENT else "root"
    (files / name).write_text(text.replace("{", f'{{"{key}": [0, 0, 0, 0, 0], ', 1))
    refused(verify(), name, f"the key '{key}' occurs twice")


@pytest.mark.parametrize("name", PUBLIC)
def test_missing_and_extra_keys(files, edit, name):
    original = json.loads((files / name).read_text())
    for key in original:
        (files / name).write_text(json.dumps({k: v for k, v in original.items() if k != key}))
        refused(verify(), name)
    (files / name).write_text(json.dumps({**original, "note": "trust me"}))
    refused(verify(), f"{name} is malformed", "'note' was unexpected")


@pytest.mark.parametrize("name", PUBLIC)
def test_another_format_version(edit, name):
    edit(name, assign("version", 2))
    refused(verify(), f"{name} is malformed at ['version']", "1 was expected")


@pytest.mark.parametrize("name", PUBLIC)
def test_wrong_types_everywhere(files, name):
    """Every value of the file, at any depth, by each of a list of wrong ones."""
    assert every_wrong_value(files / name, verify) == {1, 2}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("inputs", "shape"), [5.0, 4]),
        (("labels",), [0.0, 1, 2, 0, 1]),
        (("labels",), [0, 1, 2]),
        (("labels",), [-1, 0, 0, 0, 0]),
        (("labels",), [2**31, 0, 0, 0, 0]),
        (("inputs", "shape"), [2**20, 2**20]),
        (("inputs", "shape"), [4, 5]),
        (("inputs", "int16"), "no base64!"),
        (("inputs", "int16"), "AAAA"),
        (("model",), "F" * 64),
        (("model",), "0" * 64 + "\n"),
    ],
)
def test_statements_that_are_none(edit, path, value):
    edit(STATEMENT, assign(*path, value))
    refused(verify(), f"{STATEMENT} is malformed")


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("dims",), [4.0, 6, 6, 3], "dims"),
        (("dims",), [4], "dims"),
        (("dims",), [4, 6, 6, 2**21], "dims"),
        (("dims",), [4] * 5000, "dims"),
        (("dims",), [4, 6, 3], "needs one number format a layer"),
        (("shift",), 0, "shift"),
        (("shift",), 17, "shift"),
        (("shift",), 16.0, "shift"),
        (("root",), "0" * 63, "root"),
        (("root",), "0" * 64 + "\n", "root"),
        (("formats", 0, "bits"), 17, "bits"),
        (("formats", 0, "frac_bits"), 10**9, "frac_bits"),
        (("formats", 0, "signed"), False, "signed"),
        (("input_format", "frac_bits"), "1", "frac_bits"),
        (("scheme",), {}, "unknown commitment scheme"),
        (("scheme", "scheme"), "hyrax", "unknown commitment scheme"),
        (("scheme", "field"), "bn254", "unknown field 'bn254'"),
        (("scheme", "field"), ["goldilocks"], "unknown field"),
        (("scheme", "security_bits"), -1, "out of range"),
        (("scheme", "security_bits"), 10**6, "out of range"),
        (("scheme", "security_bits"), 100.0, "out of range"),
        (("scheme", "grinding_bits"), 64, "out of range"),
        (("scheme", "log_inv_rate"), True, "out of range"),
        (("scheme", "log_rows"), 40, "out of range"),
        (("scheme", "note"), 1, "malformed"),
    ],
)
def test_commitments_that_are_none(edit, path, value, words):
    edit(COMMITMENT, assign(*path, value))
    refused(verify(), COMMITMENT, words)
    refused(zkbench("soundness", "--batch", 1, "--commitment", COMMITMENT), words)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("root",), "0" * 64),
        (("shift",), 15),
        (("dims",), [4, 6, 6, 4]),
        (("dims",), [2**20] * 4),
        (("input_format", "frac_bits"), 3),
        (("scheme", "grinding_bits"), 0),
        (("scheme", "log_rows"), 30),
    ],
)
def test_commitments_to_other_models(edit, path, value):
    """Well-formed, but not what the statement is about."""
    edit(COMMITMENT, assign(*path, value))
    done = verify()
    assert (done.code, done.out) == (1, "rejected: the statement is about another model\n")


def test_weak_scheme_in_the_commitment(files, edit):
    """With the statement's digest repaired: the verifier's minimum is what counts."""
    from zkbench.inference import read_commitment

    edit(COMMITMENT, assign("scheme", "security_bits", 1))
    edit(STATEMENT, assign("model", read_commitment(files / COMMITMENT).digest))
    done = verify()
    assert done.code == 1
    assert done.out.startswith("rejected: its parameters give only ")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)
quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@quick
@given(data=st.data(), value=json_values)
@pytest.mark.parametrize("name", PUBLIC)
def test_random_edits_of_public_files(made, files, name, data, value):
    parsed = json.loads((made / name).read_text())
    place, key = parsed, data.draw(st.sampled_from(sorted(parsed)))
    while isinstance(place[key], dict) and place[key] and data.draw(st.booleans()):
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place)))
    if place[key] == value:
        return
    place[key] = value
    (files / name).write_text(json.dumps(parsed))
    done = verify()
    assert done.code in (1, 2), done
    assert len((done.out + done.err).splitlines()) == 1


@quick
@given(content=st.binary(max_size=300))
@pytest.mark.parametrize("argument", ["proof", "statement", "commitment"])
def test_random_bytes_for_every_file(files, argument, content):
    Path("junk").write_bytes(content)
    done = verify("junk") if argument == "proof" else verify(**{argument: "junk"})
    assert done.code == (1 if argument == "proof" else 2)
    assert len((done.out + done.err).splitlines()) == 1
