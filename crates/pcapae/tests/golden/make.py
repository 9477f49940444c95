"""Makes the golden numbers beside it that do not come from the original, with benches/torch/network.py.

    python3 make.py          (needs torch 2.15, numpy, safetensors)

A folder for each configuration: `config.json` (as in a model file), `init_state.safetensors`, `input_u8.npy`
[3, frames + predict_frames, 256], and what PyTorch computes of them in double precision: `output_f64.npy`
[3, frames emitted, 256], `codes_f64.npy` [3, 64], `loss.json` and `grads_f64.npz`, the gradient of that loss.

The folder `torch`: files as torch.save writes them, all with the weights of `gru16_f1`. All but `legacy.pth`, which names
its storages by their addresses in memory, come out the same in every run.
"""

import json
import os
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[3] / "benches" / "torch"))

import network  # noqa: E402

BATCH = 3

CONFIGS = {
    "lstm16_f2": dict(cell="lstm", frames=2),
    "gru16_line": dict(shape="line"),
    "gru16_predict": dict(predict_frames=1),
    "gru16_sigmoid": dict(head="sigmoid"),
    "gru16_no_norm": dict(norm="none"),
    "lstm16_no_norm": dict(cell="lstm", norm="none"),
}


def fragment(rng, size):
    """Bytes like those of traffic: a header that hardly changes, counters, text, noise, padding."""
    header = np.frombuffer(bytes.fromhex("0050c2a1b2c30050c2a1b2c408004500"), np.uint8)
    counters = np.arange(16, dtype=np.uint8) * rng.integers(1, 9, dtype=np.uint8)
    text = rng.integers(0x20, 0x7F, rng.integers(40, 90)).astype(np.uint8)
    noise = rng.integers(0, 256, rng.integers(40, 100)).astype(np.uint8)
    written = np.concatenate([header, counters, text, noise])[:size]
    return np.pad(written, (0, size - len(written)))


def weights_away_from_the_start(net):
    """Normalisations begin as the identity, where a mistake in them would not show."""
    for module in net.modules():
        if isinstance(module, nn.GroupNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)


def make_numbers(seed, name, settings):
    config = network.Config(side=16, **settings)
    torch.manual_seed(seed)
    net = network.Network(config)
    weights_away_from_the_start(net)
    rng = np.random.default_rng(seed)
    shown = config.frames + config.predict_frames
    bytes_ = np.stack([[fragment(rng, 256) for _ in range(shown)] for _ in range(BATCH)])

    folder = HERE / name
    folder.mkdir(exist_ok=True)
    save_file(net.state_dict(), folder / "init_state.safetensors")
    np.save(folder / "input_u8.npy", bytes_)

    net.double()
    frames = torch.from_numpy(bytes_).double() / 255
    windows = frames[:, : config.frames]
    target = frames[:, config.frames :] if config.predict_frames else windows
    output = net(windows)
    loss = network.loss(config, output, target)
    loss.backward()
    np.save(folder / "output_f64.npy", output.detach().numpy())
    np.save(folder / "codes_f64.npy", net.encode(windows).detach().numpy())
    np.savez_compressed(folder / "grads_f64.npz", **{key: p.grad.numpy() for key, p in net.named_parameters()})
    stored = {key: value for key, value in vars(config).items() if key != "dropout"}
    (folder / "config.json").write_text(json.dumps(stored) + "\n")
    (folder / "loss.json").write_text(json.dumps({"loss": loss.item()}) + "\n")


class RunsACommand:
    """Unpickled by Python, this would run a command."""

    def __reduce__(self):
        return os.system, ("touch pcapae-ran-a-pickle",)


class CGRU_cell(network.GruCell):
    """A cell under the class name that the original pickles it under."""

    __module__ = "lib.ConvRNN"


def cells_of_the_original(net):
    cells = [getattr(net, f"rnn{s}") for s in (1, 2, 3)]
    for cell in cells:
        cell.__class__ = CGRU_cell
    return cells


def checkpoint(net):
    """All that the original saves. The optimiser has two tensors only, which keeps the file small."""
    optimizer = torch.optim.AdamW(list(net.parameters())[-2:])
    net(torch.zeros(1, 1, 256)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    net.load_state_dict(load_file(HERE / "gru16_f1" / "init_state.safetensors"))
    encoder = [[OrderedDict(conv1_leaky_1=[1, 2, 3, 1, 1])], cells_of_the_original(net.encoder)]
    decoder = [[OrderedDict(deconv1_leaky_1=[4, 4, 4, 2, 1])], cells_of_the_original(net.decoder)]
    return {
        "epoch": 7,
        "state_dict": net.state_dict(),
        "optimizer": optimizer.state_dict(),
        "meta": [encoder, decoder, 3, 0],
    }


def make_torch_files():
    sys.modules["lib"] = types.ModuleType("lib")
    sys.modules["lib.ConvRNN"] = sys.modules["__main__"]
    folder = HERE / "torch"
    folder.mkdir(exist_ok=True)
    net = network.Network(network.Config(side=16))
    torch.save(checkpoint(net), folder / "checkpoint.pth.tar")
    torch.save(net.state_dict(), folder / "legacy.pth", _use_new_zipfile_serialization=False)

    types_ = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
    weights = enumerate(net.state_dict().items())
    mixed = OrderedDict((f"module.{key}", value.to(types_[i % 4])) for i, (key, value) in weights)
    torch.save(mixed, folder / "mixed.pth")

    torch.save(RunsACommand(), folder / "hostile.pth")
    half = OrderedDict((key, value.half()) for key, value in net.state_dict().items())
    torch.save({"state_dict": half, "meta": [RunsACommand(), RunsACommand(), 2, 0]}, folder / "hostile_meta.pth.tar")


if __name__ == "__main__":
    for seed, (name, settings) in enumerate(CONFIGS.items()):
        make_numbers(seed, name, settings)
    make_torch_files()
