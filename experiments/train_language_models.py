"""Trains the byte-level language models that ship with zkbench, on Python's own help texts.

Writes into --out/<name> a checkpoint as Hugging Face's libraries would, config.json and
model.safetensors in float16, and training.json: the seed, the steps, the digests of the text and
the bits a byte of the weights as written on the held-out paragraphs. Needs PyTorch
(`pip install torch==2.13.0`), which nothing else in zkbench does. The same seed, text and versions
on the same kind of CPU give the same files.
"""

import argparse
import hashlib
import json
import math
import platform
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from zkbench.errors import UnusableInput
from zkbench.files import write_atomically
from zkbench.models.language.corpus import held_out_text, training_text
from zkbench.models.tensor_files import write_safetensors

WINDOW = 128
BATCH = 8
WARM_UP = 60
LEARNING_RATE = 2.5e-3
WEIGHT_DECAY = 0.05
INITIAL_STD = 0.03

CONFIGS = {
    "llama-bytes": {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "vocab_size": 256,
        "hidden_size": 192,
        "intermediate_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "hidden_act": "silu",
        "max_position_embeddings": 1024,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
    },
    "opt-bytes": {
        "model_type": "opt",
        "architectures": ["OPTForCausalLM"],
        "vocab_size": 256,
        "hidden_size": 128,
        "word_embed_proj_dim": 128,
        "ffn_dim": 512,
        "num_hidden_layers": 6,
        "num_attention_heads": 4,
        "max_position_embeddings": WINDOW,
        "activation_function": "relu",
        "do_layer_norm_before": True,
        "enable_bias": True,
        "layer_norm_elementwise_affine": True,
        "tie_word_embeddings": True,
        "torch_dtype": "float16",
    },
}

Parameters = dict[str, torch.Tensor]


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Causal attention; batch x heads x positions x width, where k and v may have fewer heads."""
    group = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return mixed.transpose(1, 2).flatten(2)


def split_heads(x: torch.Tensor, width: int) -> torch.Tensor:
    return x.unflatten(2, (-1, width)).transpose(1, 2)


@dataclass
class Llama:
    config: dict
    parameters: Parameters

    @staticmethod
    def shapes(config: dict) -> dict[str, tuple[int, ...]]:
        width, inner, head = (config[k] for k in ("hidden_size", "intermediate_size", "head_dim"))
        queries = config["num_attention_heads"] * head
        keys = config["num_key_value_heads"] * head
        shapes = {"model.embed_tokens.weight": (config["vocab_size"], width)}
        for layer in range(config["num_hidden_layers"]):
            name = f"model.layers.{layer}."
            shapes |= {
                f"{name}input_layernorm.weight": (width,),
                f"{name}self_attn.q_proj.weight": (queries, width),
                f"{name}self_attn.k_proj.weight": (keys, width),
                f"{name}self_attn.v_proj.weight": (keys, width),
                f"{name}self_attn.o_proj.weight": (width, queries),
                f"{name}post_attention_layernorm.weight": (width,),
                f"{name}mlp.gate_proj.weight": (inner, width),
                f"{name}mlp.up_proj.weight": (inner, width),
                f"{name}mlp.down_proj.weight": (width, inner),
            }
        shapes["model.norm.weight"] = (width,)
        return shapes | {"lm_head.weight": (config["vocab_size"], width)}

    def logits(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.parameters["model.embed_tokens.weight"][tokens]
        for layer in range(self.config["num_hidden_layers"]):
            x = self.block(f"model.layers.{layer}.", x)
        return self.norm("model.norm", x) @ self.parameters["lm_head.weight"].T

    def block(self, name: str, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(f"{name}input_layernorm", x)
        head = self.config["head_dim"]
        q, k, v = (split_heads(self.linear(f"{name}self_attn.{c}_proj", y), head) for c in "qkv")
        mixed = attention(self.rotate(q), self.rotate(k), v)
        x = x + self.linear(f"{name}self_attn.o_proj", mixed)
        y = self.norm(f"{name}post_attention_layernorm", x)
        gate = F.silu(self.linear(f"{name}mlp.gate_proj", y))
        return x + self.linear(f"{name}mlp.down_proj", gate * self.linear(f"{name}mlp.up_proj", y))

    def rotate(self, x: torch.Tensor) -> torch.Tensor:
        half = self.config["head_dim"] // 2
        angles = torch.arange(x.shape[2])[:, None] * self.config["rope_theta"] ** (
            -torch.arange(half) / half
        )
        a, b = x[..., :half], x[..., half:]
        cos, sin = angles.cos(), angles.sin()
        return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        mean_square = x.square().mean(-1, keepdim=True) + self.config["rms_norm_eps"]
        return x * mean_square.rsqrt() * self.parameters[f"{name}.weight"]

    def linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ self.parameters[f"{name}.weight"].T


@dataclass
class Opt:
    config: dict
    parameters: Parameters

    @staticmethod
    def shapes(config: dict) -> dict[str, tuple[int, ...]]:
        width, inner = config["hidden_size"], config["ffn_dim"]
        linear = {f"self_attn.{c}_proj": (width, width) for c in ("q", "k", "v", "out")}
        linear |= {"fc1": (inner, width), "fc2": (width, inner)}
        shapes = {
            "model.decoder.embed_tokens.weight": (config["vocab_size"], width),
            # Positions count from 2, as OPT's do.
            "model.decoder.embed_positions.weight": (config["max_position_embeddings"] + 2, width),
        }
        norms = ["model.decoder.final_layer_norm"]
        for layer in range(config["num_hidden_layers"]):
            name = f"model.decoder.layers.{layer}."
            norms += [f"{name}self_attn_layer_norm", f"{name}final_layer_norm"]
            for matrix, shape in linear.items():
                shapes |= {f"{name}{matrix}.weight": shape, f"{name}{matrix}.bias": shape[:1]}
        for norm in norms:
            shapes |= {f"{norm}.weight": (width,), f"{norm}.bias": (width,)}
        return shapes

    def logits(self, tokens: torch.Tensor) -> torch.Tensor:
        embeddings = self.parameters["model.decoder.embed_tokens.weight"]
        positions = self.parameters["model.decoder.embed_positions.weight"]
        x = embeddings[tokens] + positions[2 : 2 + tokens.shape[1]]
        for layer in range(self.config["num_hidden_layers"]):
            x = self.block(f"model.decoder.layers.{layer}.", x)
        return self.norm("model.decoder.final_layer_norm", x) @ embeddings.T

    def block(self, name: str, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(f"{name}self_attn_layer_norm", x)
        head = self.config["hidden_size"] // self.config["num_attention_heads"]
        q, k, v = (split_heads(self.linear(f"{name}self_attn.{c}_proj", y), head) for c in "qkv")
        x = x + self.linear(f"{name}self_attn.out_proj", attention(q, k, v))
        inner = F.relu(self.linear(f"{name}fc1", self.norm(f"{name}final_layer_norm", x)))
        return x + self.linear(f"{name}fc2", inner)

    def norm(self, name: str, x: torch.Tensor) -> torch.Tensor:
        weight, bias = (self.parameters[f"{name}.{kind}"] for kind in ("weight", "bias"))
        return F.layer_norm(x, x.shape[-1:], weight, bias, eps=1e-5)

    def linear(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return x @ self.parameters[f"{name}.weight"].T + self.parameters[f"{name}.bias"]


FAMILIES = {"llama": Llama, "opt": Opt}


def initial_parameters(shapes: dict[str, tuple[int, ...]], depth: int) -> Parameters:
    """Normal weights, those that write to the residual stream smaller; norms one, biases zero."""
    parameters = {}
    for name, shape in shapes.items():
        if len(shape) == 1:
            parameters[name] = torch.full(shape, float("norm.weight" in name))
        else:
            writes = any(part in name for part in ("o_proj", "out_proj", "down_proj", "fc2"))
            std = INITIAL_STD / math.sqrt(2 * depth) if writes else INITIAL_STD
            parameters[name] = std * torch.randn(shape)
        parameters[name].requires_grad_()
    return parameters


def learning_rate(step: int, steps: int) -> float:
    """A linear warm-up, then half a cosine down to a twentieth."""
    if step < WARM_UP:
        return LEARNING_RATE * (step + 1) / WARM_UP
    done = (step - WARM_UP) / max(1, steps - WARM_UP)
    return LEARNING_RATE * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def optimiser_for(parameters: Parameters) -> torch.optim.AdamW:
    """AdamW; biases and norms do not decay."""
    matrices = [p for p in parameters.values() if p.ndim == 2]
    vectors = [p for p in parameters.values() if p.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": WEIGHT_DECAY},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98))


def bits(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten()) / math.log(2)


def train(model, text: torch.Tensor, steps: int, generator: torch.Generator) -> None:
    """Steps on random windows of the text."""
    optimiser = optimiser_for(model.parameters)
    begin = time.monotonic()
    for step in range(steps):
        starts = torch.randint(len(text) - WINDOW, (BATCH,), generator=generator)
        windows = torch.stack([text[i : i + WINDOW + 1] for i in starts])
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, steps)
        loss = bits(model.logits(windows[:, :-1]), windows[:, 1:])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters.values(), 1.0)
        optimiser.step()
        if step % 50 == 0:
            seconds = time.monotonic() - begin
            print(
                f"step {step}: {float(loss.detach()):.3f} bits a byte, {seconds:.0f} s", flush=True
            )


@torch.no_grad()
def bits_a_byte(model, text: torch.Tensor) -> float:
    """The mean over the text in consecutive windows; each byte but the first is predicted once."""
    windows = (len(text) - 1) // WINDOW
    given = text[: windows * WINDOW].reshape(windows, WINDOW)
    targets = text[1 : windows * WINDOW + 1].reshape(windows, WINDOW)
    return float(bits(model.logits(given), targets))


def as_bytes(text: str) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(text.encode(), np.uint8).astype(np.int64))


def run(out: Path, name: str, seed: int, steps: int) -> float:
    """Trains and writes one model; the bits a byte of what was written."""
    config = CONFIGS[name]
    torch.manual_seed(seed)
    family = FAMILIES[config["model_type"]]
    shapes = family.shapes(config)
    model = family(config, initial_parameters(shapes, config["num_hidden_layers"]))
    text, held_out = as_bytes(training_text()), as_bytes(held_out_text())
    train(model, text, steps, torch.Generator().manual_seed(seed + 1))
    rounded = {key: value.detach().half() for key, value in model.parameters.items()}
    measured = bits_a_byte(family(config, {k: v.float() for k, v in rounded.items()}), held_out)
    write(out / name, config, rounded, provenance(seed, steps, measured))
    return measured


def provenance(seed: int, steps: int, measured: float) -> dict:
    """What one needs to know to make the model again."""
    digests = {
        part: hashlib.sha256(text.encode()).hexdigest()
        for part, text in (("training", training_text()), ("held_out", held_out_text()))
    }
    return {
        "script": "experiments/train_language_models.py",
        "seed": seed,
        "steps": steps,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "text_sha256": digests,
        "held_out_bits_a_byte": round(measured, 4),
    }


def write(folder: Path, config: dict, parameters: Parameters, training: dict) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UnusableInput(f"cannot create {folder}: {error.strerror}") from error
    arrays = {name: value.numpy() for name, value in parameters.items()}
    write_safetensors(folder / "model.safetensors", arrays, {"format": "pt"})
    for name, content in (("config.json", config), ("training.json", training)):
        write_atomically(folder / name, (json.dumps(content, indent=2) + "\n").encode())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoints")
    parser.add_argument("--model", choices=sorted(CONFIGS), action="append", help="default: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=1600)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # more would add in another order, and on a busy machine be slower
    torch.use_deterministic_algorithms(True)
    try:
        for name in options.model or sorted(CONFIGS):
            measured = run(options.out, name, options.seed, options.steps)
            print(f"{name}: {measured:.4f} bits a byte on held-out paragraphs")
    except UnusableInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
