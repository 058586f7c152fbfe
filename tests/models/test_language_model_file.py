"""Integer language models on disk: what is saved comes back, and nothing else is accepted."""

import json
from dataclasses import replace

import numpy as np
import pytest
from language_case import CONFIGS, integer_model, some_tokens

from zkbench.errors import UnusableInput
from zkbench.models.language.checkpoint import RandomWeights
from zkbench.models.language.integer_model import IntegerLanguageModel
from zkbench.models.language.integer_tensors import described_tensors
from zkbench.models.tensor_files import read_safetensors, write_safetensors
from zkbench.quant.language_calibration import calibrate_language_model

FILE = "integer_model.safetensors"


@pytest.mark.parametrize("kind", CONFIGS)
def test_save_and_load(tmp_path, kind):
    model = integer_model(kind)
    model.save(tmp_path / "new")
    found = IntegerLanguageModel.load(tmp_path / "new")
    assert found.config == model.config
    assert found.formats == model.formats
    for name, (shape, dtype) in described_tensors(model.config).items():
        assert found.tensor(name).dtype == dtype
        assert found.tensor(name).shape == shape
        np.testing.assert_array_equal(found.tensor(name), model.tensor(name))
    tokens = some_tokens(model.config, 9)
    np.testing.assert_array_equal(found.logits(tokens), model.logits(tokens))


def test_the_same_model_is_the_same_file(tmp_path):
    """Also when its weights are quantised as they are written, rather than held."""
    config = CONFIGS["llama"]
    streamed, _ = calibrate_language_model(
        RandomWeights(config, 1), some_tokens(config, 401), window=20
    )
    streamed.save(tmp_path / "a")
    integer_model("llama").save(tmp_path / "b")
    assert (tmp_path / "a" / FILE).read_bytes() == (tmp_path / "b" / FILE).read_bytes()


@pytest.fixture
def saved(tmp_path):
    integer_model("llama").save(tmp_path)
    return tmp_path


def rewrite(folder, change_tensors=None, change_header=None):
    tensors, metadata = read_safetensors(folder / FILE)
    header = json.loads(metadata["zkbench"])
    tensors = dict(tensors)
    if change_tensors:
        change_tensors(tensors)
    if change_header:
        change_header(header)
    write_safetensors(folder / FILE, tensors, {"zkbench": json.dumps(header)})


NAME = "layers.1.q"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(NAME), f"tensor {NAME} is missing"),
        (lambda t: t.update({NAME: t[NAME][:, 1:]}), f"tensor {NAME} is int16 of shape"),
        (lambda t: t.update({NAME: t[NAME].astype(np.int64)}), f"tensor {NAME} is int64"),
        (lambda t: t.update(more=t[NAME]), "tensor more is not part of the model"),
    ],
)
def test_damaged_tensors_are_named(saved, change, message):
    rewrite(saved, change_tensors=change)
    with pytest.raises(UnusableInput, match=f"{FILE} is not an integer language model: {message}"):
        IntegerLanguageModel.load(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.update(version=2), "its kind or version is another"),
        (lambda h: h.update(kind="integer MLP"), "its kind or version is another"),
        (lambda h: h.pop("formats"), "its description is damaged"),
        (lambda h: h["formats"].pop("logits"), "the number formats are incomplete"),
        (lambda h: h["formats"]["shifts"].update(q=17), r"the shift of q is 17; it must be in"),
        (lambda h: h["formats"]["layers"].pop(), "2 layers have formats, not 3"),
        (lambda h: h["formats"]["shifts"].pop("h"), "the shift h is missing"),
        (lambda h: h["formats"]["shifts"].update(x=3), "the shift x is unknown"),
        (lambda h: h["formats"]["layers"][1].pop("u"), "the format of layer 1 for u is missing"),
        (lambda h: h["formats"]["layers"][1].update(u=1.5), "layer 1 for u is missing or no"),
        (lambda h: h["formats"]["layers"][1].update(q=1), "of layer 1 do not fit together"),
        (lambda h: h["formats"]["layers"][2].update(a=1), "of layer 2 do not fit together"),
        (lambda h: h["formats"]["layers"][2].update(h=1), "of layer 2 do not fit together"),
        (lambda h: h["formats"]["layers"][2].update(m=40), "of layer 2 do not fit together"),
        (lambda h: h["formats"]["layers"][2].update(o=-60), "of layer 2 do not fit together"),
        (lambda h: h["formats"].update(embedding=90), "of the embedding do not fit the residual"),
        (lambda h: h["formats"].update(residual=1.5), "residual is 1.5; it must be an integer"),
        (lambda h: h["formats"].update(positions=1), "have positions for another family"),
        (lambda h: h["formats"].update(epsilon=0), "epsilon is 0"),
        (lambda h: h["formats"].update(tolerance=0), "tolerance is 0; it must be in"),
        (lambda h: h["config"].update(heads=3), "3 heads cannot share 2 key heads"),
        (lambda h: h["config"].update(more=3), "an unknown key 'more'"),
        (lambda h: h["config"].pop("heads"), "the model description is incomplete"),
    ],
)
def test_damaged_descriptions(saved, change, message):
    rewrite(saved, change_header=change)
    with pytest.raises(UnusableInput, match=message):
        IntegerLanguageModel.load(saved)


@pytest.mark.parametrize("name", ["embedding", "positions", "y"])
def test_formats_of_a_first_layer_that_reads_embeddings_as_they_are(name):
    model = integer_model("opt, norms last")
    formats = model.formats
    first = {**formats.layers[0], "y": formats.layers[0]["y"] - 1}
    changes = {"layers": (first, *formats.layers[1:])} if name == "y" else {name: 3}
    with pytest.raises(UnusableInput, match="of the embedding do not fit the first layer"):
        replace(formats, **changes).check(model.config)


def test_other_files(tmp_path):
    with pytest.raises(UnusableInput, match="cannot read"):
        IntegerLanguageModel.load(tmp_path)
    write_safetensors(tmp_path / FILE, {"a": np.zeros(2, np.float32)})
    with pytest.raises(UnusableInput, match="it has no description"):
        IntegerLanguageModel.load(tmp_path)
