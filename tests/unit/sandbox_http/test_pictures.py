"""QR pictures say what they ought to, read by another program than drew them."""

import zlib
from collections.abc import Iterator
from itertools import accumulate
from struct import unpack, unpack_from

import pytest
import zxingcpp

from zhongkong.sandbox.pictures import draw_data_uri, draw_png


def read_png(png: bytes) -> memoryview:
    """Return the pixels of a black and white PNG, a byte each. Its rows are plain, or differ from the one above."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    chunks = list(_chunks(png))
    width, height, depth, color = unpack_from(">IIBB", chunks[0][1])
    assert (depth, color) == (1, 0)
    raw = zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT"))
    length = (width + 7) // 8 + 1
    rows = [raw[at : at + length] for at in range(0, len(raw), length)]
    assert {row[0] for row in rows} <= {0, 2}
    whole = accumulate(rows, lambda above, row: row if row[0] == 0 else _added(above, row))
    pixels = bytes(255 * (row[1 + x // 8] >> (7 - x % 8) & 1) for row in whole for x in range(width))
    return memoryview(pixels).cast("B", shape=(height, width))


def _added(above: bytes, row: bytes) -> bytes:
    return bytes((one + other) % 256 for one, other in zip(above, row, strict=True))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(png):
        length, name = unpack(">I4s", png[at : at + 8])
        yield name, png[at + 8 : at + 8 + length]
        at += 12 + length


@pytest.mark.parametrize("text", ["http://weixin.qq.com/q/02abcdefghijABCDEFGHIJ", "x", "门店"])
def test_a_picture_is_read_as_what_was_drawn(text: str) -> None:
    """By the library that phones' scanners are built with."""
    [code] = zxingcpp.read_barcodes(read_png(draw_png(text)))
    assert (code.text, code.format) == (text, zxingcpp.BarcodeFormat.QRCode)


def test_the_small_one_for_a_page_is_a_picture_that_loads_nothing() -> None:
    """It stands in the page itself."""
    assert draw_data_uri("x").startswith("data:image/svg+xml;charset=utf-8,")
