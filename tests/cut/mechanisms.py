"""Small networks, one for each way in which architectures of the field tie, mix or move channels."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Net(nn.Module):
    """A stem, a body given as a function of the features, and a head; the parts are named like the arguments."""

    def __init__(
        self,
        body: Callable[[Any, Tensor], Tensor],
        width: int = 8,
        features: int = 8,
        flat: bool = False,
        **parts: Any,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        for name, part in parts.items():
            if isinstance(part, Tensor):
                self.register_parameter(name, nn.Parameter(part))
            else:
                setattr(self, name, part)
        self.body = body
        self.flat = flat
        self.head = nn.Linear(features, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(self, self.stem(x))
        if x.ndim == 4:
            x = x.flatten(1) if self.flat else x.mean((2, 3))
        return self.head(x)


def conv(p: int, q: int, k: int = 3, **options: Any) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(p, q, k, padding=k // 2, **options), nn.BatchNorm2d(q), nn.ReLU())


class StandardConv(nn.Conv2d):
    """A weight-standardised convolution with a gain, as in NFNet."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.gain = nn.Parameter(torch.rand(self.out_channels, 1, 1, 1) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        std, mean = torch.std_mean(self.weight, dim=[1, 2, 3], keepdim=True)
        weight = self.gain * (self.weight - mean) / (std + 1e-5)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class BlurPool(nn.Module):
    """A fixed depthwise filter, one copy per channel, made on the fly."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2.0, 1.0])
        self.channels = channels
        self.register_buffer("filter", (line[:, None] * line[None] / 16)[None, None])

    def forward(self, x: Tensor) -> Tensor:
        weight = self.filter.expand(self.channels, 1, 3, 3)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), weight, stride=2, groups=self.channels)


class Attention(nn.Module):
    """Self-attention with heads, the scores worked out by hand or by the fused op."""

    def __init__(self, width: int, heads: int, fused: bool) -> None:
        super().__init__()
        self.heads, self.fused = heads, fused
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v)
        else:
            y = ((q * (c // self.heads) ** -0.5) @ k.transpose(-2, -1)).softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, n, c))


class AttentionPool(nn.Module):
    """One learned query looks at all positions, as in CLIP's ResNets."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.place = nn.Parameter(torch.randn(17, width))
        self.q, self.kv, self.out = (
            nn.Linear(width, width),
            nn.Linear(width, 2 * width),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        b, c = x.shape[:2]
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(1, keepdim=True), x], 1) + self.place
        q = self.q(x[:, :1]).reshape(b, 1, self.heads, -1).transpose(1, 2)
        k, v = self.kv(x).reshape(b, -1, 2, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v)
        return self.out(y.transpose(1, 2).reshape(b, 1, c)[:, 0])


def _gate(m: Any, x: Tensor) -> Tensor:
    return x * m.up(F.relu(m.down(x.mean((2, 3), keepdim=True)))).sigmoid()


def _shuffle(m: Any, x: Tensor) -> Tensor:
    a, b = x.chunk(2, 1)
    x = torch.cat([a, m.b(b)], 1)
    n, c, h, w = x.shape
    return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def _res2net(m: Any, x: Tensor) -> Tensor:
    parts = torch.split(m.a(x), 4, 1)
    found = [m.b(parts[0])]
    found.append(m.c(parts[1] + found[0]))
    return x + m.d(torch.cat([*found, parts[2]], 1))


def _csp(m: Any, x: Tensor) -> Tensor:
    a, b = m.a(x).split(6, 1)
    b = m.b(b) + b
    return m.c(torch.cat([b, a], 1))


def _dual_path(m: Any, x: Tensor) -> Tensor:
    y = m.a(x)
    return torch.cat([x + y[:, :8], y[:, 8:]], 1)


def _ghost(m: Any, x: Tensor) -> Tensor:
    y = m.a(x)
    return torch.cat([y, m.b(y)], 1)[:, :9]


def _space_to_depth(m: Any, x: Tensor) -> Tensor:
    b, c, h, w = x.shape
    x = x.view(b, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(b, 4 * c, h // 2, w // 2)
    return m.a(x)


def _focus(m: Any, x: Tensor) -> Tensor:
    return m.a(torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2], x[..., ::2, 1::2], x[..., 1::2, 1::2]], 1))


def _tokens(m: Any, x: Tensor) -> Tensor:
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([m.token.expand(x.shape[0], -1, -1), x], 1) + m.place
    x = x + m.attention(x)
    return (x + m.fc2(F.gelu(m.fc1(x))))[:, 0]


def _in_place(m: Any, x: Tensor) -> Tensor:
    y = F.relu_(m.a(x))
    y += x
    return y.mul_(0.5)


def _selective(m: Any, x: Tensor) -> Tensor:
    x = torch.stack([m.a(x), m.b(x)], 1)
    weights = m.attend(m.reduce(x.sum(1).mean((2, 3), keepdim=True)).relu())
    weights = weights.view(-1, 2, 8, 1, 1).softmax(1)
    return (x * weights).sum(1)


def _eca(m: Any, x: Tensor) -> Tensor:
    y = m.slide(x.mean((2, 3))[:, None])
    return x * y[:, 0, :, None, None].sigmoid()


def _spatial_attention(m: Any, x: Tensor) -> Tensor:
    both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
    return x * m.a(both).sigmoid()


def _channel_statistics(m: Any, x: Tensor) -> Tensor:
    found = [x.amin(1, keepdim=True), x.std(1, keepdim=True), x.logsumexp(1, keepdim=True), x.norm(dim=1, keepdim=True)]
    return x * m.a(torch.cat(found, 1)).sigmoid()


def _response(m: Any, x: Tensor) -> Tensor:
    """Global response normalisation, as in ConvNeXt v2: a channel's energy over the channels' mean energy."""
    energy = x.norm(dim=(2, 3), keepdim=True)
    return m.b(x + m.gain * (x * energy / (energy.mean(1, keepdim=True) + 1e-6)))


def _recurrent(m: Any, x: Tensor) -> Tensor:
    y: Tensor = m.rnn(m.b(m.a(x)).flatten(2).transpose(1, 2))[0].mean(1)
    return y


def _convnext(m: Any, x: Tensor) -> Tensor:
    y = m.norm(m.a(x).permute(0, 2, 3, 1))
    return x + (m.fc2(F.gelu(m.fc1(y))) * m.gamma).permute(0, 3, 1, 2)


def _twice(m: Any, x: Tensor) -> Tensor:
    return m.a(m.a(x)) + x


def _padded_shortcut(m: Any, x: Tensor) -> Tensor:
    return m.a(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))


def _several_heads(m: Any, x: Tensor) -> Tensor:
    return torch.cat([x.mean((2, 3)), m.b(m.a(x)).amax((2, 3))], 1)


EXACT: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: Net(lambda m, x: m.a(x), a=conv(8, 8)),
    "residual": lambda: Net(lambda m, x: x + m.b(m.a(x)), a=conv(8, 12), b=conv(12, 8)),
    "gate": lambda: Net(_gate, down=nn.Conv2d(8, 4, 1), up=nn.Conv2d(4, 8, 1)),
    "depthwise": lambda: Net(lambda m, x: m.b(m.a(x)), a=conv(8, 8, groups=8), b=conv(8, 8, 1)),
    "depthwise_multiplier": lambda: Net(lambda m, x: m.b(m.a(x)), a=conv(8, 16, groups=8), b=conv(16, 8, 1)),
    "grouped": lambda: Net(lambda m, x: m.b(m.a(x)), a=conv(8, 12, groups=4), b=conv(12, 8, 1)),
    "grouped_twice": lambda: Net(
        lambda m, x: m.b(m.a(x)), width=12, a=conv(12, 12, groups=3), b=conv(12, 8, groups=2)
    ),
    "shuffle": lambda: Net(_shuffle, b=conv(4, 4)),
    "res2net": lambda: Net(_res2net, a=conv(8, 12, 1), b=conv(4, 4), c=conv(4, 4), d=conv(12, 8, 1)),
    "csp": lambda: Net(_csp, a=conv(8, 12, 1), b=conv(6, 6), c=conv(12, 8, 1)),
    "dual_path": lambda: Net(_dual_path, features=12, a=conv(8, 12)),
    "ghost": lambda: Net(_ghost, features=9, a=conv(8, 5, 1), b=conv(5, 5, groups=5)),
    "dense": lambda: Net(
        lambda m, x: m.b(y := torch.cat([x, m.a(x)], 1)) + m.c(y), a=conv(8, 4), b=conv(12, 8), c=conv(12, 8)
    ),
    "standardised": lambda: Net(
        lambda m, x: m.b(m.a(x)), a=StandardConv(8, 8, 3, padding=1), b=StandardConv(8, 8, 1, groups=2)
    ),
    "blur": lambda: Net(lambda m, x: m.a(m.blur(x)), a=conv(8, 8), blur=BlurPool(8)),
    "space_to_depth": lambda: Net(_space_to_depth, a=conv(32, 8, 1)),
    "pixel_shuffle": lambda: Net(lambda m, x: m.a(F.pixel_unshuffle(x, 2)), a=conv(32, 8, 1)),
    "focus": lambda: Net(_focus, a=conv(32, 8, 1)),
    "flatten": lambda: Net(lambda m, x: m.a(x), features=128, flat=True, a=conv(8, 8)),
    "attention": lambda: Net(_tokens, token=torch.randn(1, 1, 8), place=torch.randn(1, 17, 8),
                             attention=Attention(8, 4, False), fc1=nn.Linear(8, 16), fc2=nn.Linear(16, 8)),
    "attention_fused": lambda: Net(_tokens, token=torch.randn(1, 1, 8), place=torch.randn(1, 17, 8),
                                   attention=Attention(8, 2, True), fc1=nn.Linear(8, 16), fc2=nn.Linear(16, 8)),
    "attention_pool": lambda: Net(lambda m, x: m.pool(x), pool=AttentionPool(8, 2)),
    "in_place": lambda: Net(_in_place, a=nn.Conv2d(8, 8, 1)),
    "selective": lambda: Net(_selective, a=conv(8, 8), b=conv(8, 8), reduce=nn.Conv2d(8, 4, 1),
                             attend=nn.Conv2d(4, 16, 1)),
    "group_norm": lambda: Net(lambda m, x: m.b(m.norm(m.a(x))), a=conv(8, 8), norm=nn.GroupNorm(4, 8), b=conv(8, 8)),
    "recurrent": lambda: Net(_recurrent, features=12, a=conv(8, 12), b=conv(12, 8),
                             rnn=nn.LSTM(8, 6, batch_first=True, bidirectional=True)),
    "channel_sum": lambda: Net(lambda m, x: x * x.sum(1, keepdim=True).sigmoid()),
    "shared_layer": lambda: Net(_twice, a=conv(8, 8)),
    "padded_shortcut": lambda: Net(_padded_shortcut, features=12, a=conv(8, 12, stride=2)),
    "several_heads": lambda: Net(_several_heads, features=18, a=conv(8, 12), b=conv(12, 10)),
    "prelu": lambda: Net(lambda m, x: m.b(m.slope(m.a(x))), a=conv(8, 8), b=conv(8, 8), slope=nn.PReLU(8)),
    "one_scale": lambda: Net(lambda m, x: m.a(x * m.gain + m.offset), a=conv(8, 8), gain=torch.rand(1) + 0.5,
                             offset=torch.randn(1, 1, 4)),
    "scale_token": lambda: Net(lambda m, x: m.a(x * m.gain + m.offset), a=conv(8, 8), gain=torch.rand(8, 1, 1) + 0.5,
                               offset=torch.randn(1, 8, 1, 1)),
}  # fmt: skip

BY_DEFINITION: dict[str, Callable[[], nn.Module]] = {
    "eca": lambda: Net(_eca, slide=nn.Conv1d(1, 1, 3, padding=1, bias=False)),
    "spatial_attention": lambda: Net(_spatial_attention, a=nn.Conv2d(2, 1, 3, padding=1)),
    "channel_statistics": lambda: Net(_channel_statistics, a=nn.Conv2d(4, 1, 3, padding=1)),
    "global_response": lambda: Net(_response, b=conv(8, 8), gain=torch.rand(1, 8, 1, 1)),
    "layer_norm": lambda: Net(_convnext, a=nn.Conv2d(8, 8, 3, padding=1, groups=8), norm=nn.LayerNorm(8),
                              fc1=nn.Linear(8, 16), fc2=nn.Linear(16, 8), gamma=torch.rand(8)),
    "one_group": lambda: Net(lambda m, x: m.b(m.norm(m.a(x))), a=conv(8, 8), norm=nn.GroupNorm(1, 8), b=conv(8, 8)),
    "channel_softmax": lambda: Net(lambda m, x: m.b(m.a(x).softmax(1)), a=conv(8, 8), b=conv(8, 8)),
    "response_norm": lambda: Net(lambda m, x: m.b(m.norm(m.a(x))), a=conv(8, 8), norm=nn.LocalResponseNorm(3),
                                 b=conv(8, 8)),
}  # fmt: skip
