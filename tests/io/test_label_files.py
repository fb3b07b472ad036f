"""Label images into files and back: unchanged, whole or not at all."""

import os
import warnings

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_segrefiner.errors import InputError, SegRefinerError
from napari_segrefiner.io.atomic import write_text, write_whole
from napari_segrefiner.io.labels import check_writable, read_labels, write_labels
from napari_segrefiner.io.rasters import file_format

LABELS = np.arange(12, dtype=np.uint16).reshape(3, 4)
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


@pytest.mark.parametrize("ending", [".tif", ".tiff", ".npy", ".NPY"])
@pytest.mark.parametrize("dtype", [*INTEGERS, "bool"])
def test_labels_come_back_unchanged(tmp_path, dtype, ending):
    labels = (LABELS % 7).astype(dtype)
    write_labels(tmp_path / f"a{ending}", labels)
    read = read_labels(tmp_path / f"a{ending}")
    assert read.dtype == labels.dtype
    np.testing.assert_array_equal(read, labels)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "uint16"])
def test_png_keeps_labels_that_it_can_hold(tmp_path, dtype):
    labels = (LABELS % 7).astype(dtype)
    write_labels(tmp_path / "a.png", labels)
    read = read_labels(tmp_path / "a.png")
    assert read.dtype == labels.dtype
    np.testing.assert_array_equal(read, labels)


def test_largest_ids_come_back_unchanged(tmp_path):
    labels = np.array([[0, 65535]], np.uint16)
    write_labels(tmp_path / "a.png", labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), labels)
    large = np.array([[0, 2**63 - 1]], np.int64)
    write_labels(tmp_path / "a.tif", large)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), large)


@pytest.mark.parametrize("shape", [(3, 5, 4), (5, 4, 3), (2, 3, 5, 4), (1, 5, 4)])
def test_stack_of_labels_comes_back_in_its_shape(tmp_path, shape):
    labels = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    write_labels(tmp_path / "a.tif", labels)
    read = read_labels(tmp_path / "a.tif")
    np.testing.assert_array_equal(read, labels)


def test_big_endian_labels_are_written(tmp_path):
    write_labels(tmp_path / "a.png", LABELS.astype(">u2"))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), LABELS)


@pytest.mark.parametrize(
    ("name", "labels", "remedy"),
    [
        ("a.png", LABELS.astype(np.int32), "use .tif"),
        ("a.png", LABELS.astype(np.int8), "use .tif"),
        ("a.png", np.zeros((2, 3, 4), np.uint8), "use .tif"),
        ("a.jpg", LABELS, "use .tif, .png or .npy"),
        ("a.bmp", LABELS, "use .tif, .png or .npy"),
        ("a", LABELS, "use .tif, .png or .npy"),
    ],
)
def test_format_that_cannot_hold_the_labels_is_refused(tmp_path, name, labels, remedy):
    with pytest.raises(InputError, match=remedy):
        write_labels(tmp_path / name, labels)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="links need permissions there")
@pytest.mark.parametrize("ending", ["tif", "png", "npy"])
def test_the_name_of_a_link_says_the_format(tmp_path, ending):
    labels, link = np.arange(12, dtype=np.uint8).reshape(3, 4), tmp_path / f"a.{ending}"
    link.symlink_to(tmp_path / "store")
    write_labels(link, labels)
    assert file_format(tmp_path / "store") == {"tif": "TIFF"}.get(
        ending, ending.upper()
    )
    np.testing.assert_array_equal(read_labels(link), labels)


def test_existing_file_is_kept_without_overwrite(tmp_path):
    path = tmp_path / "a.tif"
    path.write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        write_labels(path, LABELS)
    assert path.read_text() == "precious"
    write_labels(path, LABELS, overwrite=True)
    np.testing.assert_array_equal(read_labels(path), LABELS)


def test_missing_folder_and_folder_as_file_are_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        check_writable(tmp_path / "none" / "a.tif", LABELS)
    (tmp_path / "a.tif").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        check_writable(tmp_path / "a.tif", LABELS, overwrite=True)


def write_and_fail(path, error):
    """Write half a file, then raise."""
    with write_whole(path, overwrite=True) as part:
        part.write_bytes(b"half of")
        raise error


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, ValueError, MemoryError])
def test_interrupted_writing_leaves_the_old_file_and_nothing_else(tmp_path, interrupt):
    path = tmp_path / "a.tif"
    path.write_text("precious")
    with pytest.raises(interrupt):
        write_and_fail(path, interrupt())
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_is_a_sentence_and_leaves_nothing(tmp_path):
    full = OSError(28, "No space left on device")
    with pytest.raises(SegRefinerError, match="No space left") as failed:
        write_and_fail(tmp_path / "a.tif", full)
    assert not isinstance(failed.value, InputError)
    assert not list(tmp_path.iterdir())


def test_file_that_appears_during_writing_is_kept(tmp_path):
    path = tmp_path / "a.txt"

    def write_late():
        with write_whole(path) as part:
            part.write_text("late")
            path.write_text("first")

    with pytest.raises(InputError, match="exists already"):
        write_late()
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_names_as_long_as_the_system_takes_are_written(tmp_path):
    path = tmp_path / ("a" * 251 + ".tif")
    write_labels(path, LABELS)
    np.testing.assert_array_equal(read_labels(path), LABELS)
    assert list(tmp_path.iterdir()) == [path]


def test_names_that_the_system_refuses_are_a_sentence(tmp_path):
    path = tmp_path / ("a" * 300 + ".tif")
    with pytest.raises(InputError, match="cannot be written"):
        write_labels(path, LABELS)
    with pytest.raises(InputError, match="cannot be read"):
        read_labels(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has other pipes")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    with pytest.raises(InputError, match="is a pipe"):
        read_labels(tmp_path / "a.tif")


def test_text_is_written_in_utf8(tmp_path):
    write_text(tmp_path / "a.json", "µm")
    assert (tmp_path / "a.json").read_bytes() == "µm".encode()


def test_jpeg_labels_are_refused(tmp_path):
    Image.fromarray(LABELS.astype(np.uint8)).save(tmp_path / "a.jpg")
    with pytest.raises(InputError, match="JPEG"):
        read_labels(tmp_path / "a.jpg")


@pytest.mark.parametrize(
    ("dtype", "highest", "integers"),
    [
        (np.float16, 2**11 - 1, np.uint16),
        (np.float32, 9, np.uint8),
        (np.float32, 2**24 - 1, np.uint32),
        (np.float64, 300, np.uint16),
        (np.float64, 2**53 - 1, np.uint64),
    ],
)
@pytest.mark.parametrize("ending", ["npy", "tif"])
def test_whole_numbers_saved_as_floats_are_labels(
    tmp_path, dtype, highest, integers, ending
):
    values = np.array([[0, 1, 2], [3, 4, highest]], dtype)
    path = tmp_path / f"a.{ending}"
    if ending == "npy":
        np.save(path, values)
    else:
        tifffile.imwrite(path, values)
    read = read_labels(path)
    assert read.dtype == integers
    np.testing.assert_array_equal(read, [[0, 1, 2], [3, 4, highest]])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("value", ["0.5", "nan", "inf", "-inf", "limit", "-limit"])
def test_other_floats_are_no_labels(tmp_path, dtype, value):
    limit = 2.0 ** (np.finfo(dtype).nmant + 1)
    number = limit * (-1) ** value.startswith("-") if "limit" in value else float(value)
    np.save(tmp_path / "a.npy", np.array([[0, 1, number]], dtype))
    with pytest.raises(InputError, match="whole numbers below"):
        read_labels(tmp_path / "a.npy")


def test_negative_floats_are_told_as_negative_labels(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[0.0, -1.0]]))
    with pytest.raises(InputError, match="negative value -1"):
        read_labels(tmp_path / "a.npy")


def test_negative_labels_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", LABELS.astype(np.int16) - 1)
    with pytest.raises(InputError, match="negative value -1"):
        read_labels(tmp_path / "a.npy")


def test_colour_pictures_are_refused_as_labels(tmp_path):
    colours = np.zeros((5, 6, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "a.png")
    tifffile.imwrite(tmp_path / "a.tif", colours, photometric="rgb")
    for name in ("a.png", "a.tif"):
        with pytest.raises(InputError, match="colour picture"):
            read_labels(tmp_path / name)


def as_napari(path, array):
    """Save as napari does, which leaves the kind of picture to tifffile."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tifffile.imwrite(path, array, compression="zlib")


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.int64])
@pytest.mark.parametrize("shape", [(3, 20, 30), (4, 20, 30), (2, 3, 20, 30)])
def test_few_planes_that_tifffile_calls_colours_are_a_stack(tmp_path, dtype, shape):
    labels = (np.arange(np.prod(shape)) % 7).astype(dtype).reshape(shape)
    as_napari(tmp_path / "a.tif", labels)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.pages.first.photometric == tifffile.PHOTOMETRIC.RGB
    for like in (None, shape, (*shape, 3)):
        read = read_labels(tmp_path / "a.tif", like)
        assert read.dtype == dtype
        np.testing.assert_array_equal(read, labels)


def test_colours_of_an_image_without_such_planes_are_no_labels(tmp_path, caplog):
    as_napari(tmp_path / "a.tif", np.ones((3, 20, 30), np.uint8))
    for like in ((20, 30), (20, 30, 3), (4, 20, 30)):
        with pytest.raises(InputError, match="colour picture"):
            read_labels(tmp_path / "a.tif", like)
    assert not caplog.text
    read_labels(tmp_path / "a.tif", (3, 20, 30))  # either is possible
    assert "a.tif can be a picture in colours or a stack" in caplog.text


def test_planes_of_colours_from_other_programs_are_no_labels(tmp_path):
    colours = np.ones((3, 20, 30), np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, colours, photometric="rgb", planarconfig="separate", metadata=None
    )
    with pytest.raises(InputError, match="colour picture"):
        read_labels(path)


def test_palette_indices_are_the_labels(tmp_path):
    image = Image.new("P", (4, 3))
    image.putpalette([k for k in range(12) for _ in range(3)])
    image.putdata(LABELS.ravel().tolist())
    image.save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), LABELS)
