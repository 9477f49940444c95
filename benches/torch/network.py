"""pcapae's network as a PyTorch module: an independent statement of what crates/pcapae/src/model computes.

It makes the golden numbers of the tests, stands beside pcapae in the benchmarks, and loads pcapae's model files:
its state dict has the names and shapes of the network of Kopp, "Representation Learning for Content-Sensitive
Anomaly Detection in Industrial Networks", 2022.

A fragment is a picture of side x side bytes, or, one-dimensional, a line of side * side bytes. What is k wide along
each axis of the picture is k * k long on the line: kernels, strides, and the padding that keeps lengths.
"""

from dataclasses import dataclass

import torch
from torch import nn

FIRST_CHANNELS = 2
STATE_CHANNELS = 4
CODE_SIZE = 64
LEAK = 0.2
LSTM_GROUP_SIZE = 2


@dataclass(frozen=True)
class Config:
    """The fields of the configuration in pcapae's model files, and dropout, which belongs to training."""

    cell: str = "gru"
    side: int = 32
    shape: str = "square"
    frames: int = 1
    predict_frames: int = 0
    norm: str = "group"
    head: str = "linear"
    dropout: float = 0.0

    def __post_init__(self):
        allowed = {
            "cell": ("gru", "lstm"),
            "side": (16, 32, 64),
            "shape": ("square", "line"),
            "norm": ("group", "none"),
            "head": ("linear", "sigmoid"),
        }
        for name, values in allowed.items():
            if getattr(self, name) not in values:
                raise ValueError(f"{name} is {getattr(self, name)!r}, not one of {values}")
        if self.frames < 1 or self.predict_frames < 0:
            raise ValueError("a window has at least one frame")

    @property
    def stages(self):
        """Stages of the encoder, and of the decoder: each but the first halves the side, down to 4."""
        return {16: 3, 32: 4, 64: 5}[self.side]

    @property
    def emitted(self):
        """Frames that the decoder gives back."""
        return self.predict_frames or self.frames

    def extent(self, stage):
        """The axes of a state of stage 1, 2, ...: a picture's two, or a line's one."""
        pixels = self.side >> (stage - 1)
        return (pixels, pixels) if self.shape == "square" else (pixels * pixels,)


def convolution(config, inputs, outputs, kernel, stride=1):
    """A convolution that keeps the extent, or divides it by the stride; on the line with squared sizes."""
    if config.shape == "square":
        return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2)
    return nn.Conv1d(inputs, outputs, kernel**2, stride**2, padding=kernel**2 // 2)


def doubling(config, channels):
    """The transposed convolution that doubles the side: a kernel of 4, a stride of 2."""
    if config.shape == "square":
        return nn.ConvTranspose2d(channels, channels, 4, 2, padding=1)
    return nn.ConvTranspose1d(channels, channels, 16, 4, padding=6)


def stage(config, *named):
    """Convolutions, each followed by a leaky rectifier; `named` are pairs of name and convolution."""
    layers = nn.Sequential()
    for name, layer in named:
        layers.add_module(name, layer)
        layers.add_module(f"{name}_rectifier", nn.LeakyReLU(LEAK))
    return layers


def normalised(config, layer, group_size):
    """A convolution inside a cell and, unless the configuration says no, its group normalisation."""
    if config.norm == "none":
        return nn.Sequential(layer)
    channels = layer.out_channels
    return nn.Sequential(layer, nn.GroupNorm(channels // group_size, channels))


class Cell(nn.Module):
    """What both cells share: a state of four channels, and dropout of whole channels of it."""

    def __init__(self, config, inputs, stage):
        super().__init__()
        self.inputs = inputs
        self.extent = config.extent(stage)
        # On the line, too, a channel is dropped as a whole: the extent does not matter to it.
        self.dropout = nn.Dropout2d(config.dropout) if config.shape == "square" else nn.Dropout1d(config.dropout)

    def zeros(self, like, channels):
        return like.new_zeros(like.shape[0], channels, *self.extent)


class GruCell(Cell):
    """Convolutional GRU (Ballas et al. 2016); the reset gate acts before the candidate's convolution."""

    def __init__(self, config, inputs, stage):
        super().__init__(config, inputs, stage)
        seen = inputs + STATE_CHANNELS
        self.conv_gates = normalised(config, convolution(config, seen, 2 * STATE_CHANNELS, 5), 1)
        self.conv_can = normalised(config, convolution(config, seen, STATE_CHANNELS, 5), 1)

    def start(self, like):
        return (self.zeros(like, STATE_CHANNELS),)

    def forward(self, x, state):
        (h,) = state
        reset, update = torch.sigmoid(self.conv_gates(torch.cat([x, h], 1))).chunk(2, 1)
        candidate = torch.tanh(self.conv_can(torch.cat([x, reset * h], 1)))
        return (self.dropout((1 - update) * h + update * candidate),)


class LstmCell(Cell):
    """Convolutional LSTM (Shi et al. 2015) without peepholes; gates in the order input, forget, cell, output."""

    def __init__(self, config, inputs, stage):
        super().__init__(config, inputs, stage)
        seen = inputs + STATE_CHANNELS
        self.conv = normalised(config, convolution(config, seen, 4 * STATE_CHANNELS, 5), LSTM_GROUP_SIZE)

    def start(self, like):
        return (self.zeros(like, STATE_CHANNELS), self.zeros(like, STATE_CHANNELS))

    def forward(self, x, state):
        h, c = state
        enter, forget, cell, leave = self.conv(torch.cat([x, h], 1)).chunk(4, 1)
        c = torch.sigmoid(forget) * c + torch.sigmoid(enter) * torch.tanh(cell)
        return (self.dropout(torch.sigmoid(leave) * torch.tanh(c)), c)


def cell(config, inputs, stage):
    return {"gru": GruCell, "lstm": LstmCell}[config.cell](config, inputs, stage)


class Encoder(nn.Module):
    """Stages 1 ... S: convolution, cell."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        for s in range(1, config.stages + 1):
            if s == 1:
                layer, channels = convolution(config, 1, FIRST_CHANNELS, 3), FIRST_CHANNELS
            else:
                layer, channels = convolution(config, STATE_CHANNELS, STATE_CHANNELS, 3, stride=2), STATE_CHANNELS
            setattr(self, f"stage{s}", stage(config, (f"conv{s}_leaky_1", layer)))
            setattr(self, f"rnn{s}", cell(config, channels, s))

    def forward(self, frames):
        """The last state of every stage, from frames [batch, 1, ...] in order."""
        states = [getattr(self, f"rnn{s}").start(frames[0]) for s in range(1, self.config.stages + 1)]
        for x in frames:
            for s in range(1, self.config.stages + 1):
                x = getattr(self, f"stage{s}")(x)
                states[s - 1] = getattr(self, f"rnn{s}")(x, states[s - 1])
                x = states[s - 1][0]
        return states


class Decoder(nn.Module):
    """Stages S ... 1: cell, transposed convolution; in stage 1 two convolutions instead."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        for s in range(config.stages, 0, -1):
            setattr(self, f"rnn{s}", cell(config, STATE_CHANNELS, s))
            if s > 1:
                named = [(f"deconv{4 - s}_leaky_1", doubling(config, STATE_CHANNELS))]
            else:
                named = [
                    ("conv3_leaky_1", convolution(config, STATE_CHANNELS, FIRST_CHANNELS, 3)),
                    ("conv4_leaky_1", convolution(config, FIRST_CHANNELS, 1, 1)),
                ]
            setattr(self, f"stage{s}", stage(config, *named))

    def forward(self, states):
        """Frames [batch, 1, ...], from the states of the encoder; the top cell gets zeros."""
        states, frames = list(states), []
        top = getattr(self, f"rnn{self.config.stages}")
        for _ in range(self.config.emitted):
            x = top.zeros(states[0][0], STATE_CHANNELS)
            for s in range(self.config.stages, 0, -1):
                states[s - 1] = getattr(self, f"rnn{s}")(x, states[s - 1])
                x = getattr(self, f"stage{s}")(states[s - 1][0])
            frames.append(torch.sigmoid(x) if self.config.head == "sigmoid" else x)
        return frames


class Network(nn.Module):
    """The autoencoder: windows [batch, frames, side * side] of bytes / 255 to as many frames, or the next ones."""

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def states(self, windows):
        extent = self.config.extent(1)
        return self.encoder([frame.reshape(-1, 1, *extent) for frame in windows.unbind(1)])

    def encode(self, windows):
        """The codes [batch, 64]: the last state of the encoder's last stage."""
        return self.states(windows)[-1][0].flatten(1)

    def forward(self, windows):
        return torch.stack([frame.flatten(1) for frame in self.decoder(self.states(windows))], 1)


def loss(config, output, target):
    """The mean over all pixels: of squared errors, or of cross-entropies (in nats) under a sigmoid."""
    if config.head == "sigmoid":
        return nn.functional.binary_cross_entropy(output, target)
    return nn.functional.mse_loss(output, target)


def self_check():
    """Every configuration gives its frames, 64 numbers as the code, and a gradient for every weight."""
    from itertools import product

    for cell, side, shape, norm in product(("gru", "lstm"), (16, 32, 64), ("square", "line"), ("group", "none")):
        for frames, predict_frames, head in ((1, 0, "linear"), (2, 1, "sigmoid")):
            config = Config(cell, side, shape, frames, predict_frames, norm, head, dropout=0.1)
            network = Network(config)
            windows = torch.rand(2, frames, side * side)
            output = network(windows)
            assert output.shape == (2, config.emitted, side * side), config
            assert network.encode(windows).shape == (2, CODE_SIZE), config
            loss(config, output, torch.rand_like(output)).backward()
            assert all(p.grad is not None for p in network.parameters()), config
    sizes = {("gru", 16): 14_929, ("gru", 32): 20_209, ("lstm", 16): 19_601, ("lstm", 32): 26_505}
    for (cell, side), size in sizes.items():
        for shape in ("square", "line"):
            network = Network(Config(cell, side, shape))
            assert sum(p.numel() for p in network.parameters()) == size, (cell, side, shape)
    print("every configuration is well formed")


if __name__ == "__main__":
    self_check()
