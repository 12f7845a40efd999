"""Every kind of image file becomes bytes of one or three channels."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from modellego.data import image_files, load_image
from modellego.data.decode import decode, images_below
from modellego.errors import DataError


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "WEBP", "TIFF", "PPM", "TGA"])
def test_lossless_formats_give_the_same_pixels(form: str, generator: np.random.Generator) -> None:
    pixels = generator.integers(0, 256, (7, 5, 3), np.uint8)
    options = {"lossless": True} if form == "WEBP" else {}
    assert (decode(encoded(Image.fromarray(pixels), form, **options), "x") == pixels).all()


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("LA", 1), ("RGB", 3), ("RGBA", 3), ("P", 3)],
)
def test_modes_become_grey_or_rgb(mode: str, channels: int) -> None:
    image = Image.new("RGB", (5, 7), (255, 255, 255)).convert(mode)
    array = decode(encoded(image, "PNG"), "x")
    assert (array.shape, array.dtype, array.min()) == ((7, 5, channels), np.uint8, 255)


@pytest.mark.filterwarnings("error")
def test_a_palette_with_transparent_colours_becomes_rgb_without_a_warning() -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    array = decode(encoded(image, "PNG", transparency=b"\xff\x80"), "x")
    assert np.unique(array.reshape(-1, 3), axis=0).tolist() == [[10, 20, 30]]


def test_cmyk_becomes_rgb() -> None:
    assert decode(encoded(Image.new("CMYK", (4, 4)), "JPEG"), "x").shape == (4, 4, 3)


def test_sixteen_bits_are_scaled_to_eight() -> None:
    values = np.array([[0, 257, 65535, 300]], np.uint16)
    assert decode(encoded(Image.fromarray(values), "PNG"), "x")[0, :, 0].tolist() == [0, 1, 255, 1]


def test_float_pixels_in_the_unit_interval_are_scaled() -> None:
    values = np.array([[0, 0.5, 1]], np.float32)
    assert decode(encoded(Image.fromarray(values), "TIFF"), "x")[0, :, 0].tolist() == [0, 128, 255]


def test_float_pixels_beyond_are_refused() -> None:
    data = encoded(Image.fromarray(np.array([[7.5]], np.float32)), "TIFF")
    with pytest.raises(DataError, match="x has float pixels outside"):
        decode(data, "x")


def test_the_rotation_of_the_camera_is_undone() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    assert decode(encoded(Image.new("RGB", (8, 4)), "JPEG", exif=exif), "x").shape == (8, 4, 3)


def test_an_animation_gives_its_first_frame() -> None:
    frames = [Image.new("L", (4, 4), v) for v in (10, 200)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert np.unique(decode(data, "x")).tolist() == [10]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP"])
def test_half_an_image_is_refused_by_name(form: str, generator: np.random.Generator) -> None:
    data = encoded(Image.fromarray(generator.integers(0, 256, (32, 32, 3), np.uint8)), form)
    with pytest.raises(DataError, match=r"half\.img cannot be decoded"):
        decode(data[: len(data) // 2], "half.img")


def test_no_bytes_are_refused() -> None:
    with pytest.raises(DataError, match="x is empty"):
        decode(b"", "x")


def test_load_image_is_float_of_three_axes(photos: Path) -> None:
    image = load_image(photos / "cat" / "2.png")
    assert (image.shape, image.dtype) == ((3, 6, 5), torch.float32)
    assert image.unique().item() == pytest.approx(20 / 255)


def test_load_image_names_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nothing\.png cannot be read"):
        load_image(tmp_path / "nothing.png")


def test_image_files_opens_folders(photos: Path) -> None:
    assert image_files([photos / "dog", photos / "cat" / "0.png"]) == [
        *(photos / "dog" / f"{i}.png" for i in range(3)),
        photos / "cat" / "0.png",
    ]


def test_image_files_names_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no image"):
        image_files([tmp_path / "sofa.jpg"])


@pytest.mark.parametrize(
    "suffix",
    [
        *("png", "jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "gif", "tif", "tiff"),
        *("ppm", "pgm", "pbm", "pnm", "tga", "jp2", "avif", "PNG", "Jpg"),
    ],
)
def test_files_of_every_image_format_are_found_by_their_ends(tmp_path: Path, suffix: str) -> None:
    for name in (f"a.{suffix}", f".hidden.{suffix}", f"b{suffix}", f"c.{suffix}.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert images_below(tmp_path) == [tmp_path / f"a.{suffix}"]
