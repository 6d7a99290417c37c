"""Temporary media (临时素材): files that are uploaded, kept as they came, and gone after three days."""

from collections.abc import Mapping
from typing import Any, get_args

from zhongkong.sandbox.accounts import Account
from zhongkong.sandbox.answers import Body, Refused, text_of
from zhongkong.sandbox.holdings import KEPT_MEDIA_BYTES, Media, MediaType
from zhongkong.sandbox.moment import Moment
from zhongkong.sandbox.multipart import Part

MEDIA_UPLOAD_PATH = "/cgi-bin/media/upload"
MEDIA_GET_PATH = "/cgi-bin/media/get"
MOST_BYTES: dict[MediaType, int] = {
    "image": 10 * 1024 * 1024,
    "voice": 2 * 1024 * 1024,
    "video": 10 * 1024 * 1024,
    "thumb": 64 * 1024,
}
"""The largest file of each type. Source: 新增临时素材."""

_BEGINNINGS = {
    "image": ((b"\x89PNG", "image/png"), (b"GIF8", "image/gif"), (b"BM", "image/bmp"), (b"", "image/jpeg")),
    "voice": ((b"#!AMR", "audio/amr"), (b"", "audio/mpeg")),
    "video": ((b"", "video/mp4"),),
    "thumb": ((b"", "image/jpeg"),),
}
_ENDINGS = {"image/jpeg": "jpg", "audio/mpeg": "mp3"}


def media_upload(account: Account, params: Mapping[str, Any], at: Moment) -> Body:
    """Keep the file of the field `media` and return its media_id. Its content is not examined. Source: 新增临时素材."""
    kind = next((kind for kind in get_args(MediaType) if kind == params.get("type")), None)
    if kind is None:
        raise Refused(40004)
    part = params.get("media")
    if not isinstance(part, Part):
        raise Refused(41005)
    if not part.content:
        raise Refused(44001)
    if len(part.content) > MOST_BYTES[kind]:
        raise Refused(40009 if kind in ("image", "thumb") else 45001)
    media = Media(at.draws.text(64), kind, label_of(kind, part.content), int(at.now), part.content)
    account.media[media.media_id] = media
    _forget_old(account, at.now)
    name = at.switches.thumb_answer if kind == "thumb" else "media_id"
    return {"type": kind, name: media.media_id, "created_at": media.created_at}


def find_media(account: Account, params: Mapping[str, Any], now: float) -> Media:
    """Return the file. Raises Refused when there is none or its three days are over. Source: 获取临时素材."""
    media = account.media.get(text_of(params, "media_id"))
    if media is None or now >= media.expires_at:
        raise Refused(40007)
    return media


def label_of(kind: MediaType, content: bytes) -> str:
    """Return the Content-Type that the file is handed out under, by its first bytes."""
    return next(label for beginning, label in _BEGINNINGS[kind] if content.startswith(beginning))


def file_name(media: Media) -> str:
    """Return the name that the platform gives the file, as MEDIA_ID.jpg."""
    ending = _ENDINGS.get(media.content_type, media.content_type.partition("/")[2])
    return f"{media.media_id}.{ending}"


def _forget_old(account: Account, now: float) -> None:
    """Forget what is over, and then the oldest until the rest fits into what an account may keep."""
    for media in [media for media in account.media.values() if now >= media.expires_at]:
        del account.media[media.media_id]
    while sum(len(media.content) for media in account.media.values()) > KEPT_MEDIA_BYTES:
        del account.media[next(iter(account.media))]
