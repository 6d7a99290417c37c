"""QR pictures, made by segno."""

from io import BytesIO

import segno

PICTURE_TYPE = "image/png"
_PIXELS_PER_MODULE = 10


def draw_png(text: str) -> bytes:
    """Return the picture of a QR code that says `text`, as a PNG of about 400 pixels."""
    picture = BytesIO()
    segno.make_qr(text, error="m").save(picture, kind="png", scale=_PIXELS_PER_MODULE)
    return picture.getvalue()


def draw_data_uri(text: str) -> str:
    """Return the same as a small SVG in a data: URI, dark on white whatever the page's colours."""
    return segno.make_qr(text, error="m").svg_data_uri(scale=3, light="white")
