"""Reading of multipart/form-data, as leniently as the platform does: parts without a type, paths as file names."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message

MULTIPART = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a form."""

    name: str
    filename: str
    content: bytes = field(repr=False)


def parse_files(content_type: str, body: bytes) -> dict[str, Part]:
    """Return the files of the form by the names of their fields, the first of each; none when it is no such form."""
    head = Message()
    head["content-type"] = content_type
    boundary = head.get_boundary()
    if head.get_content_type() != MULTIPART or not boundary:
        return {}
    parts = _parts(body, boundary.encode("utf-8", "replace"))
    return {part.name: part for part in reversed(list(parts))}


def _parts(body: bytes, boundary: bytes) -> Iterator[Part]:
    delimiter = b"\r\n--" + boundary
    pieces = (b"\r\n" + body).split(delimiter)
    for piece in pieces[1:-1]:  # before the first and after the last there is nothing; an unfinished part is none
        head, blank, content = piece.partition(b"\r\n\r\n")
        name, filename = _names(head)
        if blank and name and filename is not None:
            yield Part(name, filename, content)


def _names(head: bytes) -> tuple[str, str | None]:
    """Return the names of the field and of the file that a part's head tells; None when it is no file."""
    for line in head.decode("utf-8", "replace").split("\r\n"):
        header, _, value = line.partition(":")
        if header.strip().lower() == "content-disposition":
            disposition = Message()
            disposition["content-disposition"] = value.strip()
            name, filename = disposition.get_param("name", header="content-disposition"), disposition.get_filename()
            return name if isinstance(name, str) else "", filename
    return "", None
