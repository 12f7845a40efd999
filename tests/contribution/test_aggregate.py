"""The closed form of a layer's contributions equals the literal one that holds hidden feature maps."""

import copy

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from modellego.contribution import windows
from modellego.contribution.aggregate import Accumulator, LayerSums, aggregate, table, votes

from .reference import contribution_table

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}
DTYPES = st.sampled_from([torch.float32, torch.float64])


def assert_same(layer: nn.Module, x: Tensor, found: Tensor) -> None:
    """Equal to the reference in float64, relative to its largest magnitude."""
    expected = contribution_table(copy.deepcopy(layer).double(), x.double())
    assert found.dtype == torch.float64
    assert found.shape == expected.shape
    error = (found - expected).abs().max() / expected.abs().max().clamp(min=1e-30)
    assert error <= TOLERANCE[x.dtype], error


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[nn.Module, Tensor]:
    rank = draw(st.sampled_from([1, 2]))
    groups = draw(st.integers(1, 3))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(rank))
    dilation = tuple(draw(st.integers(1, 2)) for _ in range(rank))
    size = tuple(draw(st.integers(d * (k - 1) + 1, 9)) for k, d in zip(kernel, dilation, strict=True))
    same = draw(st.booleans())
    padding = "same" if same else tuple(draw(st.integers(0, 2)) for _ in range(rank))
    mode = draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
    if mode in ("reflect", "circular"):  # torch's own conditions on how far these may reach
        reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)] if same else list(padding)
        assume(all(r < s for r, s in zip(reach, size, strict=True)))
    torch.manual_seed(draw(st.integers(0, 10**6)))
    layer = {1: nn.Conv1d, 2: nn.Conv2d}[rank](
        groups * draw(st.integers(1, 4)),
        groups * draw(st.integers(1, 4)),
        kernel,
        1 if same else tuple(draw(st.integers(1, 3)) for _ in range(rank)),
        padding,
        dilation,
        groups,
        padding_mode=mode,
        dtype=draw(DTYPES),
    )
    x = torch.randn(draw(st.integers(1, 11)), layer.in_channels, *size, dtype=layer.weight.dtype)
    return layer, x + draw(st.sampled_from([0.0, 1.0]))


@given(convolutions())
@settings(max_examples=150, deadline=None)
def test_convolution_of_any_shape(case: tuple[nn.Module, Tensor]) -> None:
    layer, x = case
    assert_same(layer, x, table(layer, aggregate(layer, x)))


@given(convolutions())
@settings(max_examples=50, deadline=None)
def test_axes_summed_one_after_the_other(case: tuple[nn.Module, Tensor]) -> None:
    layer, x = case
    limit = windows.DIRECT_LIMIT
    windows.DIRECT_LIMIT = 0
    windows._matrices.cache_clear()
    try:
        assert_same(layer, x, table(layer, aggregate(layer, x)))
    finally:
        windows.DIRECT_LIMIT = limit
        windows._matrices.cache_clear()


@given(
    st.tuples(st.integers(1, 9), st.integers(1, 40), st.integers(1, 12)),
    st.integers(0, 3),
    DTYPES,
    st.integers(0, 10**6),
)
@settings(max_examples=60, deadline=None)
def test_linear_on_features_and_on_tokens(
    sizes: tuple[int, int, int], rank: int, dtype: torch.dtype, seed: int
) -> None:
    n, p, q = sizes
    torch.manual_seed(seed)
    layer = nn.Linear(p, q, dtype=dtype)
    x = torch.randn(n, *([3] * rank), p, dtype=dtype)
    assert_same(layer, x, table(layer, aggregate(layer, x)))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_flatten_into_linear(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5 * 3 * 2, 7, dtype=dtype)
    x = torch.randn(11, 5, 3, 2, dtype=dtype).relu().flatten(1)
    assert_same(layer, x, table(layer, aggregate(layer, x)))


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_flatten_into_linear_summed_over_maps_is_the_convolution_of_the_map(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = nn.Linear(5 * 3 * 2, 7, dtype=dtype)
    convolution = nn.Conv2d(5, 7, (3, 2), dtype=dtype)
    convolution.weight = nn.Parameter(layer.weight.view(7, 5, 3, 2).detach())
    x = torch.randn(11, 5, 3, 2, dtype=dtype)
    assert_same(convolution, x, table(layer, aggregate(layer, x.flatten(1), maps=6)))


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("samples", [1, 7, 8, 21])
@pytest.mark.parametrize("groups", [1, 2])
def test_compiled_loop_on_whole_and_broken_blocks_of_samples(samples: int, groups: int, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 10, 3, groups=groups, dtype=dtype)
    x = torch.randn(samples, 6, 5, 4, dtype=dtype)
    assert_same(layer, x, table(layer, aggregate(layer, x, backend="numba")))


def test_wide_layer_takes_the_compiled_loop_by_itself() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(96, 96, 3, padding=1)
    x = torch.randn(10, 96, 6, 6).relu()
    assert_same(layer, x, table(layer, aggregate(layer, x)))


@pytest.mark.parametrize("kernel", [1, 3])
def test_channels_last_input(kernel: int) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 5, kernel, padding=1)
    x = torch.randn(4, 6, 7, 8).to(memory_format=torch.channels_last)
    assert_same(layer, x, table(layer, aggregate(layer, x)))


def test_input_that_is_a_strided_view() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 5, 3)
    x = torch.randn(4, 6, 14, 8)[:, :, ::2]
    assert_same(layer, x, table(layer, aggregate(layer, x)))


def test_three_dimensional_convolution() -> None:
    torch.manual_seed(0)
    layer = nn.Conv3d(3, 4, (2, 3, 1), stride=(1, 2, 1), padding=(1, 0, 1))
    x = torch.randn(3, 3, 5, 7, 4)
    assert_same(layer, x, table(layer, aggregate(layer, x)))


@pytest.mark.parametrize("layer", [nn.Conv2d(4, 6, 3), nn.Conv2d(4, 6, 1, groups=2)])
def test_sums_of_two_halves_add_up(layer: nn.Module) -> None:
    torch.manual_seed(0)
    layer = copy.deepcopy(layer).double()
    x = torch.randn(10, 4, 6, 6, dtype=torch.float64)
    both = aggregate(layer, x[:3]) + aggregate(layer, x[3:])
    assert both.samples == 10
    assert_same(layer, x, table(layer, both))


def test_sums_of_different_layers_do_not_add_up() -> None:
    one = aggregate(nn.Conv2d(2, 2, 1), torch.ones(1, 2, 3, 3))
    three = aggregate(nn.Conv2d(2, 2, 3), torch.ones(1, 2, 3, 3))
    with pytest.raises(ValueError, match="different layers"):
        _ = one + three


def test_rows_of_the_table() -> None:
    torch.manual_seed(0)
    for layer in (nn.Conv2d(4, 6, 3, groups=2), nn.Conv2d(4, 6, 1, groups=2), nn.Conv2d(4, 6, 3)):
        sums = aggregate(layer, torch.randn(5, 4, 6, 6))
        rows = torch.tensor([5, 0, 3])
        assert torch.equal(table(layer, sums, rows), table(layer, sums)[rows])


def test_reset_forgets_the_last_class() -> None:
    accumulator = Accumulator(nn.Conv2d(2, 2, 3))
    accumulator.add(torch.rand(4, 2, 5, 5))
    kept = accumulator.sums()
    before = kept.pairs.clone()
    accumulator.reset()
    assert accumulator.sums().samples == 0
    assert float(accumulator.sums().pairs.abs().sum()) == 0
    assert torch.equal(kept.pairs, before)


def test_half_precision_input_is_summed_in_float32() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 5, 3).bfloat16()
    x = torch.randn(6, 4, 7, 7).bfloat16()
    found = table(layer, aggregate(layer, x))
    assert_same(layer.float(), x.float(), found)


def test_depthwise_layers_do_not_vote() -> None:
    assert not votes(nn.Conv2d(4, 8, 3, groups=4))
    assert votes(nn.Conv2d(1, 8, 3))
    assert not votes(nn.BatchNorm2d(4))


def test_nothing_of_samples_by_pairs_is_held() -> None:
    """The largest tensor made for a wide layer stays far below samples x out x in channels."""
    layer = nn.Conv2d(256, 256, 3, padding=1)
    x = torch.rand(64, 256, 4, 4)
    sizes: list[int] = []
    with torch.profiler.profile(profile_memory=True) as profile:
        aggregate(layer, x, backend="torch")
    sizes = [event.cpu_memory_usage for event in profile.events()]
    assert max(sizes) < 64 * 256 * 256 * 4 / 4


def test_empty_sums_know_their_samples() -> None:
    assert LayerSums(3).samples + LayerSums(4).samples == (LayerSums(3) + LayerSums(4)).samples
