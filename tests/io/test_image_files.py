"""Images from files: every format as stored, every bad file refused in a sentence."""

import contextlib
import json
import logging
import struct
import threading
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_segrefiner.errors import InputError
from napari_segrefiner.io import memory, rasters
from napari_segrefiner.io.images import read_image
from napari_segrefiner.io.labels import read_labels

RNG = np.random.default_rng(5)
GREY8 = RNG.integers(0, 255, (21, 30), dtype=np.uint8)
GREY16 = RNG.integers(0, 65535, (21, 30), dtype=np.uint16)
RGB = RNG.integers(0, 255, (21, 30, 3), dtype=np.uint8)
RGBA = RNG.integers(0, 255, (21, 30, 4), dtype=np.uint8)
STACK = RNG.integers(0, 65535, (4, 21, 30), dtype=np.uint16)


@pytest.mark.parametrize("array", [GREY8, GREY16, RGB, RGBA, GREY8 > 99])
def test_png_is_read_as_stored(tmp_path, array):
    Image.fromarray(array).save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    "array", [GREY8, GREY16, RGB, STACK, STACK.astype(">u2"), STACK / 7, STACK > 9]
)
def test_npy_is_read_as_stored_in_native_byte_order(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    read = read_image(tmp_path / "a.npy")
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("array", [GREY16, RGB, STACK, (STACK / 9).astype(np.float32)])
def test_tiff_is_read_as_stored(tmp_path, array, compression):
    colour = "rgb" if array is RGB else "minisblack"
    tifffile.imwrite(
        tmp_path / "a.tif", array, compression=compression, photometric=colour
    )
    read = read_image(tmp_path / "a.tif")
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


def test_big_endian_tiff_is_read_in_native_byte_order(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GREY16, byteorder=">")
    read = read_image(tmp_path / "a.tif")
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, GREY16)


def test_tiff_with_lzw_is_read_without_optional_codecs(tmp_path):
    first, second = Image.fromarray(GREY8), Image.fromarray(255 - GREY8)
    first.save(
        tmp_path / "a.tif",
        compression="tiff_lzw",
        save_all=True,
        append_images=[second],
    )
    read = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(read, np.stack([GREY8, 255 - GREY8]))


def test_tiff_with_lzw_that_is_too_large_is_told_so(tmp_path, monkeypatch):
    Image.fromarray(GREY8).save(tmp_path / "a.tif", compression="tiff_lzw")
    monkeypatch.setattr(memory, "available_bytes", lambda: 2 * GREY8.nbytes)
    with pytest.raises(InputError, match="memory are free"):
        read_image(tmp_path / "a.tif")


def lzw(path, array, **tags):
    """Write pages as TIFF: each 128 bytes a code of 9 bits, after one that clears."""
    tifffile.imwrite(path, array, metadata=None, **tags)
    with tifffile.TiffFile(path, mode="r+") as file:
        for page in file.pages:
            (start,), (size,) = page.dataoffsets, page.databytecounts
            file.filehandle.seek(start)
            data, codes = file.filehandle.read(size), []
            for k in range(0, size, 128):
                codes += [256, *data[k : k + 128]]
            bits = "".join(f"{code:09b}" for code in [*codes, 257])
            bits += "0" * (-len(bits) % 8)
            coded = int(bits, 2).to_bytes(len(bits) // 8, "big")
            end = file.filehandle.seek(0, 2)
            file.filehandle.write(coded)
            page.tags["StripOffsets"].overwrite(end)
            page.tags["StripByteCounts"].overwrite(len(coded))
            page.tags["Compression"].overwrite(5)


@pytest.mark.parametrize("dtype", ["i1", "u2", "i2", "u4", "i4", "f4"])
def test_lzw_keeps_the_type_and_the_largest_numbers(tmp_path, dtype):
    values = (GREY16.astype(np.int64) * 70_000).astype(dtype)
    lzw(tmp_path / "a.tif", values, photometric="minisblack")
    read = read_image(tmp_path / "a.tif")
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, values)


def test_lzw_keeps_axes_and_the_order_of_colours(tmp_path):
    planes = STACK.reshape(2, 2, 21, 30)
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image '
        'ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" '
        'SizeX="30" SizeY="21" SizeZ="2" SizeC="2" SizeT="1"><TiffData/></Pixels>'
        "</Image></OME>"
    )
    lzw(tmp_path / "a.ome.tif", planes, photometric="minisblack", description=text)
    np.testing.assert_array_equal(read_image(tmp_path / "a.ome.tif"), planes)
    lzw(tmp_path / "b.tif", RGB, photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif"), RGB)


@pytest.mark.parametrize("array", [RGB.astype(np.uint16), GREY16.astype(float)])
def test_lzw_that_would_lose_bits_names_the_package(tmp_path, array):
    colour = "rgb" if array.ndim == 3 else "minisblack"
    lzw(tmp_path / "a.tif", array, photometric=colour)
    with pytest.raises(InputError, match="needs the package imagecodecs"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("write", [tifffile.imwrite, lzw])
def test_white_as_zero_is_read_as_stored(tmp_path, write):
    for array in (GREY8, GREY16):
        write(tmp_path / "a.tif", array, photometric="miniswhite")
        np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), array)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "group4", "tiff_deflate"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_masks_of_one_bit_are_white_inside(tmp_path, compression, photometric):
    Image.fromarray(GREY8 > 99).save(
        tmp_path / "a.tif", compression=compression, tiffinfo={262: photometric}
    )
    with Image.open(tmp_path / "a.tif") as image:
        np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), image)


@pytest.mark.parametrize("options", [{}, {"ome": True}, {"compression": "zlib"}])
def test_masks_of_one_bit_that_python_has_saved_are_as_stored(tmp_path, options):
    tifffile.imwrite(tmp_path / "a.tif", GREY8 > 99, **options)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), GREY8 > 99)


def test_printing_colours_are_refused(tmp_path):
    Image.new("CMYK", (8, 6), (0, 255, 255, 0)).save(tmp_path / "a.tif")
    with pytest.raises(InputError, match="convert it to RGB"):
        read_image(tmp_path / "a.tif")


def test_damaged_lzw_may_be_damaged(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (60, 50), np.uint8)
    lzw(tmp_path / "a.tif", noise, photometric="minisblack")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 60] = b"\xff" * 60
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(InputError, match="is damaged, or compressed"):
        read_image(tmp_path / "a.tif")


def test_jpeg_is_read_as_colours(tmp_path):
    smooth = np.broadcast_to(np.arange(64, dtype=np.uint8)[:, None, None], (64, 64, 3))
    Image.fromarray(smooth.copy()).save(tmp_path / "a.jpg", quality=95)
    read = read_image(tmp_path / "a.jpg")
    assert read.shape == (64, 64, 3)
    assert np.abs(read.astype(int) - smooth).max() < 4


def test_palette_of_a_tiff_is_looked_up_for_images(tmp_path):
    colours = RNG.integers(0, 255, (3, 256), dtype=np.uint16)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY8, photometric="palette", colormap=colours * 257)
    read = read_image(path)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, colours.T[GREY8])
    np.testing.assert_array_equal(read_labels(path), GREY8)


def test_colours_that_the_palette_of_a_tiff_lacks_are_black(tmp_path):
    path = tmp_path / "a.tif"
    colours = np.full((3, 256), 257, np.uint16)
    tifffile.imwrite(path, GREY8, photometric="palette", colormap=colours)
    whole = path.read_bytes()
    cut = whole.replace(
        struct.pack("<HHI", 320, 3, 768), struct.pack("<HHI", 320, 3, 9)
    )
    assert cut != whole
    path.write_bytes(cut)
    lookup = np.repeat(GREY8[..., None] < 3, 3, axis=2).astype(np.uint8)
    np.testing.assert_array_equal(read_image(path), lookup)


def test_palette_is_looked_up_for_images(tmp_path):
    image = Image.new("P", GREY8.shape[::-1])
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    image.putdata((GREY8 % 3).ravel().tolist())
    image.save(tmp_path / "a.png")
    read = read_image(tmp_path / "a.png")
    colours = np.array([[10, 20, 30], [40, 50, 60], [70, 80, 90]])
    np.testing.assert_array_equal(read, colours[GREY8 % 3])


def test_format_is_known_by_content_not_by_name(tmp_path):
    Image.fromarray(GREY8).save(tmp_path / "a.tif", format="PNG")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), GREY8)


def test_missing_file_and_folder_are_refused(tmp_path):
    with pytest.raises(InputError, match="There is no file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="is a folder"):
        read_image(tmp_path)


@pytest.mark.parametrize("ending", ["png", "tif", "npy", "jpg"])
def test_empty_file_is_refused(tmp_path, ending):
    (tmp_path / f"a.{ending}").touch()
    with pytest.raises(InputError, match="is empty"):
        read_image(tmp_path / f"a.{ending}")


@pytest.mark.parametrize("ending", ["png", "tif", "npy", "jpg"])
def test_text_named_as_image_is_refused(tmp_path, ending):
    (tmp_path / f"a.{ending}").write_text("Dear diary")
    with pytest.raises(InputError, match="not a TIFF, PNG, JPEG or NPY"):
        read_image(tmp_path / f"a.{ending}")


def whole_files(folder):
    """One good file of each kind."""
    Image.fromarray(RGB).save(folder / "a.png")
    Image.fromarray(RGB).save(folder / "a.jpg")
    np.save(folder / "a.npy", STACK)
    tifffile.imwrite(folder / "raw.tif", STACK, photometric="minisblack")
    tifffile.imwrite(
        folder / "zlib.tif", STACK, photometric="minisblack", compression="zlib"
    )
    with tifffile.TiffWriter(folder / "pages.tif") as writer:
        for plane in STACK:
            writer.write(plane, contiguous=False, metadata=None)
    pages = [Image.fromarray(p) for p in (STACK >> 8).astype(np.uint8)]
    pages[0].save(folder / "strips.tif", save_all=True, append_images=pages[1:])
    return sorted(folder.iterdir())


def test_files_cut_anywhere_are_refused(tmp_path):
    for path in whole_files(tmp_path):
        whole = path.read_bytes()
        read_image(path)
        ends = {5, 9, 50, len(whole) // 3, len(whole) // 2, len(whole) * 9 // 10}
        for end in ends:
            path.write_bytes(whole[:end])
            with pytest.raises(InputError) as refused:
                read_image(path)
            assert "\n" not in str(refused.value), (path.name, end)


@pytest.fixture
def silence():
    """Logging as a host program may have turned it off."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("silence")
def test_pages_that_are_cut_off_are_missed_though_nobody_logs_them(tmp_path):
    strips, ome, imagej = (tmp_path / f"{name}.tif" for name in ("a", "b.ome", "c"))
    pages = [Image.fromarray(p) for p in (STACK >> 8).astype(np.uint8)]
    pages[0].save(strips, save_all=True, append_images=pages[1:])
    tifffile.imwrite(ome, STACK, photometric="minisblack", metadata={"axes": "ZYX"})
    tifffile.imwrite(imagej, STACK, imagej=True)
    for path in (strips, ome, imagej):
        whole, there = path.read_bytes(), read_image(path)
        for end in range(300, len(whole), 5):
            path.write_bytes(whole[:end])
            with contextlib.suppress(InputError):  # or all that matters is there
                np.testing.assert_array_equal(read_image(path), there)


def test_damaged_bytes_never_escape_as_another_error(tmp_path):
    for path in whole_files(tmp_path):
        whole = bytearray(path.read_bytes())
        for start in range(4, min(len(whole), 400), 3):
            broken = whole.copy()
            broken[start : start + 3] = b"\xff\x80\x00"
            path.write_bytes(broken)
            with contextlib.suppress(InputError):  # or read, if nothing vital was hit
                read_image(path)


def test_arrays_of_objects_are_not_unpickled(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the file was executed",))

    np.save(tmp_path / "a.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="never unpickled"):
        read_image(tmp_path / "a.npy")


@pytest.mark.parametrize(
    "array",
    [
        np.array(["a", "b"]),
        np.zeros((3, 3), complex),
        np.zeros((3, 3), "M8[s]"),
        np.zeros((3, 3), [("a", int)]),
    ],
)
def test_arrays_of_no_numbers_are_refused(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match="integers, floats or bool"):
        read_image(tmp_path / "a.npy")


@pytest.mark.parametrize("shape", [(), (7,), (0, 5), (4, 0)])
def test_arrays_without_rows_and_columns_are_refused(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(InputError):
        read_image(tmp_path / "a.npy")


def npy_claiming(shape):
    """The bytes of an NPY file that says it holds `shape` and holds almost nothing."""
    header = repr({"descr": "<f8", "fortran_order": False, "shape": shape})
    header = header.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def png(width, height, data, *, depth=8, colour=0):
    """The bytes of a PNG file whose rows, each after a zero, are `data`."""

    def chunk(kind, data):
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(data)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def png_claiming(width, height):
    """A tiny, well-formed PNG that says it has `width` x `height` pixels."""
    return png(width, height, b"\0" * 1000)


@pytest.mark.parametrize(("n", "colour"), [(1, 0), (2, 4), (3, 2), (4, 6)])
def test_bits_that_are_cut_off_are_told(tmp_path, caplog, n, colour):
    row = b"\0" + b"\x12\x34" * n * 7
    (tmp_path / "a.png").write_bytes(png(7, 1, row, depth=16, colour=colour))
    image = read_image(tmp_path / "a.png")
    assert np.unique(image).tolist() == [0x1234 if n == 1 else 0x12]
    read_image(tmp_path / "a.png")
    assert caplog.text.count("a.png holds colours of 16 bits") == (n > 1)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_of_few_bits_keeps_the_stored_values(tmp_path, depth):
    values = np.array([[0, 1, 0, 1], [1, 0, 1, 1]], np.uint8) * (2**depth - 1)
    if depth > 1:
        values[0, 2] = 1
    bits = np.unpackbits(values[..., None], axis=-1)[..., 8 - depth :]
    rows = np.packbits(bits.reshape(2, -1), axis=-1)
    data = b"".join(b"\0" + row.tobytes() for row in rows)
    (tmp_path / "a.png").write_bytes(png(4, 2, data, depth=depth, colour=0))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png"), values)
    if depth > 1:  # white is white in an image
        shown = values * (255 // (2**depth - 1))
        np.testing.assert_array_equal(read_image(tmp_path / "a.png"), shown)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_rows_and_columns_are_as_stored(tmp_path, orientation, compression):
    pages = [
        Image.fromarray(np.arange(k, k + 12, dtype=np.uint8).reshape(3, 4))
        for k in (0, 50)
    ]
    pages[0].save(
        tmp_path / "a.tif",
        compression=compression,
        tiffinfo={274: orientation},
        save_all=True,
        append_images=pages[1:],
    )
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), np.stack(pages))


def test_grey_with_alpha_is_read_as_grey(tmp_path):
    alpha = np.stack([GREY8, RGB[..., 0]], -1)
    Image.fromarray(alpha).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), GREY8)
    tags = {"photometric": "minisblack", "planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "a.tif", alpha, extrasamples=("unassalpha",), **tags)
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif"), GREY8)
    tifffile.imwrite(tmp_path / "b.tif", alpha, **tags)  # two channels
    np.testing.assert_array_equal(read_image(tmp_path / "b.tif"), alpha)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.npy", npy_claiming((300_000, 300_000))),
        ("b.png", png_claiming(12_000, 12_000)),
        ("c.png", png_claiming(100_000, 100_000)),
    ],
)
def test_file_that_claims_more_than_it_holds_is_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError):
        read_image(tmp_path / name)


def test_tiff_that_claims_more_than_it_holds_is_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY8, compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag in ("ImageWidth", "ImageLength"):
            file.pages[0].tags[tag].overwrite(60_000)
        file.pages[0].tags["ImageDescription"].overwrite(
            json.dumps({"shape": [60_000, 60_000]})
        )
    with pytest.raises(InputError, match="bytes, which cannot be"):
        read_image(path)


def test_large_masks_with_little_in_them_are_read(tmp_path, monkeypatch):
    """Most of such a file is background, which compresses by all that is possible."""
    monkeypatch.setattr(rasters, "_HARMLESS", 2**16)
    mask = np.zeros((1200, 1000), np.uint8)
    mask[100:200, 300:500], mask[700:900, 20:50] = 1, 2
    Image.fromarray(mask).save(tmp_path / "a.png")
    Image.fromarray(mask > 0).save(tmp_path / "b.png")
    tifffile.imwrite(tmp_path / "c.tif", mask > 0, compression="zlib")
    tifffile.imwrite(tmp_path / "d.tif", mask, compression="zlib", tile=(400, 512))
    with tifffile.TiffFile(tmp_path / "d.tif", mode="r+") as file:  # as GDAL's sparse
        page = file.pages[0]
        is_there = [1, 0, 1, 0, 1, 0]
        for tag in ("TileOffsets", "TileByteCounts"):
            kept = np.array(page.tags[tag].value) * is_there
            page.tags[tag].overwrite(tuple(map(int, kept)))
    for name, there in [("a.png", mask), ("b.png", mask > 0), ("c.tif", mask > 0)]:
        np.testing.assert_array_equal(read_image(tmp_path / name), there)
    left = read_image(tmp_path / "d.tif")
    np.testing.assert_array_equal(left[:, :512], mask[:, :512])
    assert not left[:, 512:].any()


def test_image_larger_than_the_free_memory_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "available_bytes", lambda: 1000)
    for path in whole_files(tmp_path):
        with pytest.raises(InputError, match="memory are free"):
            rasters.read_raster(path)


def ome_of_two_planes(path, second):
    """A file with the first of two planes, that says where the second one is."""
    uuids = [f"urn:uuid:{k}" for k in (1, 2)]
    parts = "".join(
        f'<TiffData FirstZ="{k}" PlaneCount="1"><UUID FileName="{name}">{uuid}</UUID>'
        "</TiffData>"
        for k, (name, uuid) in enumerate(zip((path.name, second), uuids, strict=True))
    )
    text = (
        f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
        f'UUID="{uuids[0]}"><Image ID="Image:0"><Pixels ID="Pixels:0" '
        'DimensionOrder="XYZCT" Type="uint8" SizeX="30" SizeY="21" SizeZ="2" SizeC="1" '
        f'SizeT="1">{parts}</Pixels></Image></OME>'
    )
    tifffile.imwrite(path, GREY8, description=text, metadata=None)


def test_parts_of_an_ome_tiff_beside_it_are_read(tmp_path, caplog):
    ome_of_two_planes(tmp_path / "a.ome.tif", "b.tif")
    tifffile.imwrite(tmp_path / "b.tif", GREY8 // 2)
    image = read_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(image, [GREY8, GREY8 // 2])
    assert not caplog.text


@pytest.mark.parametrize(
    "name", ["../other.tif", "..\\other.tif", "{folder}/other.tif"]
)
def test_an_ome_tiff_does_not_lead_out_of_its_folder(tmp_path, caplog, name):
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "other.tif", GREY8 // 2)
    path = tmp_path / "in" / "a.ome.tif"
    ome_of_two_planes(path, name.format(folder=tmp_path))
    np.testing.assert_array_equal(read_image(path), GREY8)
    assert "other.tif as a part of it" in caplog.text


def test_notes_that_are_no_xml_are_no_ome(tmp_path):
    path = tmp_path / "a.tif"
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image></OME>'
    )
    tifffile.imwrite(path, GREY8, description=text, metadata=None)
    np.testing.assert_array_equal(read_image(path), GREY8)


def test_planes_that_are_not_there_are_told(tmp_path, caplog):
    ome_of_two_planes(tmp_path / "a.ome.tif", "gone.tif")
    image = read_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(image, [GREY8, np.zeros_like(GREY8)])
    assert "1 of 2 planes are missing" in caplog.text


def test_what_another_thread_meets_does_not_harm_a_file(tmp_path, monkeypatch):
    """Errors that tifffile only logs belong to the file whose reader met them."""
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY8)
    decode = rasters._decode_tiff

    def decode_beside_a_damaged_file(path):
        complain = logging.getLogger("tifffile").error
        other = threading.Thread(target=complain, args=("invalid page offset",))
        other.start()
        other.join()
        return decode(path)

    monkeypatch.setattr(rasters, "_decode_tiff", decode_beside_a_damaged_file)
    np.testing.assert_array_equal(read_image(path), GREY8)
