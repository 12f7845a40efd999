"""Preprocessing: sizes, channels and normalisation."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modellego.errors import DataError
from modellego.preprocess import RESIZES, Frame, Preprocess, apply, resized, with_channels

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


def test_same_size_and_channels_is_normalisation_alone() -> None:
    images = torch.rand(4, 3, 8, 9)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.25, 1.0)
    wanted = torch.stack([(images[:, c] - mean[c]) / std[c] for c in range(3)], 1)
    torch.testing.assert_close(apply(Preprocess(3, 8, 9, mean, std), images), wanted)


@settings(max_examples=40, deadline=None)
@given(SIZES, SIZES, st.sampled_from([1, 3]), st.sampled_from([1, 3]), st.sampled_from(RESIZES))
def test_any_image_comes_out_in_the_wanted_shape(
    size: tuple[int, int], out: tuple[int, int], channels: int, wanted: int, resize: str
) -> None:
    preprocess = Preprocess(wanted, *out, resize=resize)
    assert apply(preprocess, torch.rand(2, channels, *size)).shape == (2, wanted, *out)


@settings(max_examples=25, deadline=None)
@given(SIZES, SIZES, st.sampled_from(RESIZES), st.floats(0, 1, width=32))
def test_a_constant_image_stays_constant(
    size: tuple[int, int], out: tuple[int, int], resize: str, value: float
) -> None:
    image = resized(torch.full((1, 1, *size), value), out, resize)
    torch.testing.assert_close(image, torch.full((1, 1, *out), value))


def test_crop_takes_the_centre_without_distortion() -> None:
    image = torch.zeros(1, 1, 4, 12)
    image[..., 4:8] = 1
    assert resized(image, (4, 4), "crop").unique().tolist() == [1.0]


def test_grey_to_rgb_and_back_is_the_identity() -> None:
    grey = torch.rand(3, 1, 5, 5)
    torch.testing.assert_close(with_channels(with_channels(grey, 3), 1), grey)


def test_luma_is_the_bt601_sum() -> None:
    image = torch.tensor([1.0, 0.5, 0.25]).view(1, 3, 1, 1)
    assert with_channels(image, 1).item() == pytest.approx(0.299 + 0.2935 + 0.0285)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_dtype_stays(dtype: torch.dtype) -> None:
    assert apply(Preprocess(3, 4, 4, (0.5,), (0.5,)), torch.rand(1, 1, 4, 4).to(dtype)).dtype == dtype


def test_gradients_flow_to_the_pixels() -> None:
    images = torch.rand(1, 3, 16, 16, requires_grad=True)
    apply(Preprocess(1, 8, 8), images).sum().backward()
    assert images.grad is not None
    assert bool((images.grad > 0).all())


def test_bytes_are_refused_with_the_remedy() -> None:
    with pytest.raises(DataError, match="divide bytes by 255"):
        apply(Preprocess(3, 4, 4), torch.zeros(1, 3, 4, 4, dtype=torch.uint8))


def test_two_channels_are_refused() -> None:
    with pytest.raises(DataError, match="have 2 channels and the network wants 3"):
        apply(Preprocess(3, 4, 4), torch.zeros(1, 2, 4, 4))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"mean": (0.1, 0.2)}, "mean has 2 values for 3 channels"),
        ({"std": (1.0, 0.0, 1.0)}, "std must be positive"),
        ({"height": 0}, "is empty"),
        ({"resize": "stretch"}, "squash, crop"),
    ],
)
def test_values_without_sense_are_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Preprocess(**{"channels": 3, "height": 4, "width": 4, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mean", "std", "says"),
    [
        (
            (123.675, 116.28, 103.53),
            (58.395, 57.12, 57.375),
            "divide by 255, mean 0.485,0.456,0.406, and std 0.229,0.224,0.225",
        ),
        ((103.939, 116.779, 123.68), (1,), "mean 0.408,0.458,0.485, and std 0.00392,0.00392,0.00392"),
        ((0.485, 0.456, 0.406), (58.4,), "std 58.4,58.4,58.4 .* divide by 255, std 0.229"),
        ((0.5,), (4.37,), "std is 1 over each, 0.229,0.229,0.229"),
        ((-0.5,), (0.5,), "is negative, .* so give 0.5,0.5,0.5"),
        ((float("nan"),), (1,), "give numbers from 0 to 1"),
        ((0.5,), (0,), "std must be positive"),
    ],
)
def test_numbers_of_no_images_in_0_to_1_are_refused_with_what_was_meant(
    mean: tuple[float, ...], std: tuple[float, ...], says: str
) -> None:
    with pytest.raises(DataError, match=says):
        Preprocess(3, 8, 8, mean, std)


def test_a_share_of_what_covers_the_size_is_cropped() -> None:
    images = torch.rand(2, 3, 40, 64)
    torch.testing.assert_close(resized(images, (35, 35), "crop", 0.875), images[..., 2:37, 14:49])
    assert resized(images, (70, 35), "crop", 0.875).shape[-2:] == (70, 35)


def test_bicubic_images_stay_within_0_and_1() -> None:
    edges = (torch.arange(48) // 8 % 2).float().expand(1, 1, 48, 48)
    smooth, sharp = (resized(edges, (30, 30), interpolation=how) for how in ("bilinear", "bicubic"))
    assert (sharp.min(), sharp.max()) == (0, 1)
    assert not torch.equal(smooth, sharp)


def test_a_frame_says_all_of_how_an_image_is_brought_to_size() -> None:
    assert Preprocess(3, 8, 8, resize="crop", crop_share=0.9, interpolation="bicubic").frame == Frame(
        (3, 8, 8), "crop", 0.9, "bicubic"
    )


@pytest.mark.parametrize(
    ("given", "says"), [({"crop_share": 0}, "lies from 0.1 to 1"), ({"interpolation": "sinc"}, "bilinear, bicubic")]
)
def test_a_crop_or_interpolation_that_there_is_none_of_is_refused(given: dict[str, object], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Preprocess(3, 8, 8, **given)  # type: ignore[arg-type]
