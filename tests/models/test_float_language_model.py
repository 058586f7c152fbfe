"""The float forward pass, against PyTorch's operators written out plainly and transformers."""

import numpy as np
import pytest
from language_case import CONFIGS, some_tokens

from zkbench.errors import UnusableInput
from zkbench.models.language.checkpoint import RandomWeights
from zkbench.models.language.config import LanguageModelConfig
from zkbench.models.language.float_model import FloatLanguageModel, gelu, relu, silu
from zkbench.models.language.perplexity import log_likelihoods, mean_nats, perplexity, windows
from zkbench.models.language.tensor_names import expected_shapes

KINDS = list(CONFIGS)


def batch_of_tokens(config, seed=0):
    return some_tokens(config, 2 * 17, seed).reshape(2, 17)


class TorchModel:
    """LLaMA and OPT in PyTorch's own operators: complex rotations, masks added, float64."""

    def __init__(self, torch, weights):
        self.torch, self.config = torch, weights.config
        self.tensors = {
            name: torch.from_numpy(weights.tensor(name)).double()
            for name in expected_shapes(self.config)
        }

    def logits(self, tokens):
        ids = self.torch.from_numpy(tokens)
        x = self.llama(ids) if self.config.is_llama else self.opt(ids)
        return x.numpy()

    def llama(self, ids):
        t = self.tensors
        x = self.torch.nn.functional.embedding(ids, t["model.embed_tokens.weight"])
        for layer in range(self.config.layers):
            p = f"model.layers.{layer}."
            y = self.rms(x, p + "input_layernorm")
            q, k, v = (self.heads(self.linear(f"{p}self_attn.{c}_proj", y)) for c in "qkv")
            x = x + self.linear(p + "self_attn.o_proj", self.mix(self.turn(q), self.turn(k), v))
            y = self.rms(x, p + "post_attention_layernorm")
            gate = self.torch.nn.functional.silu(self.linear(p + "mlp.gate_proj", y))
            x = x + self.linear(p + "mlp.down_proj", gate * self.linear(p + "mlp.up_proj", y))
        name = "model.embed_tokens" if self.config.tied else "lm_head"
        return self.linear(name, self.rms(x, "model.norm"))

    def opt(self, ids):
        t, functional, first = self.tensors, self.torch.nn.functional, self.config.norm_first
        x = functional.embedding(ids, t["model.decoder.embed_tokens.weight"])
        if self.config.has_projections:
            x = self.linear("model.decoder.project_in", x)
        x = x + t["model.decoder.embed_positions.weight"][2 : 2 + ids.shape[1]]
        for layer in range(self.config.layers):
            p = f"model.decoder.layers.{layer}."
            norm = p + "self_attn_layer_norm"
            y = self.layer_norm(x, norm) if first else x
            q, k, v = (self.heads(self.linear(f"{p}self_attn.{c}_proj", y)) for c in "qkv")
            x = x + self.linear(p + "self_attn.out_proj", self.mix(q, k, v))
            x = x if first else self.layer_norm(x, norm)
            norm = p + "final_layer_norm"
            y = self.layer_norm(x, norm) if first else x
            f = getattr(functional, self.config.activation)(self.linear(p + "fc1", y))
            x = x + self.linear(p + "fc2", f)
            x = x if first else self.layer_norm(x, norm)
        if first:
            x = self.layer_norm(x, "model.decoder.final_layer_norm")
        if self.config.has_projections:
            x = self.linear("model.decoder.project_out", x)
        return self.linear("model.decoder.embed_tokens" if self.config.tied else "lm_head", x)

    def linear(self, name, x):
        bias = self.tensors.get(f"{name}.bias")
        return self.torch.nn.functional.linear(x, self.tensors[f"{name}.weight"], bias)

    def rms(self, x, name):
        weight, eps = self.tensors[f"{name}.weight"], self.config.norm_eps
        return self.torch.nn.functional.rms_norm(x, x.shape[-1:], weight, eps)

    def layer_norm(self, x, name):
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        return self.torch.nn.functional.layer_norm(x, x.shape[-1:], weight, bias, 1e-5)

    def heads(self, x):
        return x.unflatten(-1, (-1, self.config.head_width)).transpose(1, 2)

    def turn(self, x):
        """The halves as real and imaginary parts, times e^(i position theta^(-2j/d))."""
        torch, half = self.torch, self.config.head_width // 2
        rates = self.config.rope_theta ** (-torch.arange(half).double() / half)
        angles = torch.outer(torch.arange(x.shape[2]).double(), rates)
        turned = torch.complex(x[..., :half], x[..., half:]) * torch.polar(
            torch.ones_like(angles), angles
        )
        return torch.cat((turned.real, turned.imag), dim=-1)

    def mix(self, q, k, v):
        group = q.shape[1] // k.shape[1]
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
        scores = q @ k.transpose(2, 3) / self.config.head_width**0.5
        future = self.torch.full(scores.shape[-2:], float("-inf")).double().triu(1)
        return (self.torch.softmax(scores + future, dim=-1) @ v).transpose(1, 2).flatten(2)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_vs_torch(kind):
    torch = pytest.importorskip("torch")
    weights = RandomWeights(CONFIGS[kind], 2)
    tokens = batch_of_tokens(weights.config)
    found = FloatLanguageModel(weights).logits(tokens)
    expected = TorchModel(torch, weights).logits(tokens)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    single = FloatLanguageModel(weights, np.float32).logits(tokens)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_vs_transformers(kind):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    weights = RandomWeights(CONFIGS[kind], 2)
    entries = weights.config.to_huggingface()
    entries.pop("model_type")
    if weights.config.is_llama:
        model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**entries))
    else:
        model = transformers.OPTForCausalLM(transformers.OPTConfig(**entries))
    state = {
        name: torch.from_numpy(weights.tensor(name)) for name in expected_shapes(weights.config)
    }
    left_out = model.load_state_dict(state, strict=False)
    assert not left_out.unexpected_keys
    assert set(left_out.missing_keys) <= {"lm_head.weight"}
    model.tie_weights()
    tokens = batch_of_tokens(weights.config)
    with torch.no_grad():
        expected = model.double().eval()(torch.from_numpy(tokens)).logits.numpy()
    found = FloatLanguageModel(weights).logits(tokens)
    # transformers computes rotations and softmax in float32 whatever the model's type
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["llama", "opt"])
def test_what_transformers_saves_is_read(tmp_path, name):
    pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from zkbench.models.language.checkpoint import Checkpoint

    entries = CONFIGS[name].to_huggingface()
    entries.pop("model_type")
    kinds = {"llama": ("LlamaForCausalLM", "LlamaConfig"), "opt": ("OPTForCausalLM", "OPTConfig")}
    model, config = (getattr(transformers, kind) for kind in kinds[name])
    model(config(**entries)).save_pretrained(tmp_path, max_shard_size="4KB")
    found = Checkpoint(tmp_path)
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    assert found.config == CONFIGS[name]


@pytest.mark.parametrize("kind", KINDS)
def test_later_tokens_change_nothing_before_them(kind):
    model = FloatLanguageModel(RandomWeights(CONFIGS[kind]))
    tokens = batch_of_tokens(model.config)
    whole, part = model.logits(tokens), model.logits(tokens[:, :9])
    np.testing.assert_allclose(whole[:, :9], part, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_rows(kind):
    model = FloatLanguageModel(RandomWeights(CONFIGS[kind]))
    tokens = batch_of_tokens(model.config)
    rows = [model.logits(row[None])[0] for row in tokens]
    np.testing.assert_allclose(model.logits(tokens), rows, rtol=0, atol=1e-12)


def test_activation_functions_at_known_values():
    x = np.array([-800.0, -1.0, 0.0, 1.0, 800.0])
    np.testing.assert_allclose(silu(x), [0, -0.2689414213699951, 0, 0.7310585786300049, 800])
    np.testing.assert_allclose(gelu(x), [0, -0.15865525393145707, 0, 0.8413447460685429, 800])
    assert relu(x).tolist() == [0, 0, 0, 1, 800]


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (np.array([[0, 19]]), "token 19 is outside of the vocabulary"),
        (np.array([[-1]]), "token -1 is outside of the vocabulary"),
        (np.zeros((1, 33), int), "33 positions; the model has 32"),
        (np.zeros((1, 0), int), "there are no tokens"),
    ],
)
def test_unusable_tokens(tokens, message):
    with pytest.raises(UnusableInput, match=message):
        FloatLanguageModel(RandomWeights(CONFIGS["opt"])).logits(tokens)


def test_likelihoods_are_those_of_a_softmax():
    rng = np.random.default_rng(0)
    logits = 300 * rng.standard_normal((3, 4, 5))
    targets = rng.integers(0, 5, (3, 4))
    found = log_likelihoods(logits, targets)
    exact = logits.astype(np.longdouble)
    p = np.exp(exact - exact.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    expected = np.log(np.take_along_axis(p, targets[..., None], -1)[..., 0])
    np.testing.assert_allclose(found, expected.astype(float), rtol=1e-12)


def test_windows_predict_every_token_but_the_first_once():
    given, targets = windows(np.arange(14), 4)
    assert given.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert targets.ravel().tolist() == list(range(1, 13))
    with pytest.raises(UnusableInput, match="the text has 4 tokens; a window takes 5"):
        windows(np.arange(4), 4)


def test_a_model_that_knows_nothing_has_the_vocabulary_as_its_perplexity():
    nats = mean_nats(lambda tokens: np.zeros((*tokens.shape, 7)), np.arange(100) % 7, 9, batch=2)
    assert perplexity(nats) == pytest.approx(7)


def test_configuration_survives(tmp_path):
    for config in CONFIGS.values():
        assert LanguageModelConfig.from_dict(config.to_dict()) == config
