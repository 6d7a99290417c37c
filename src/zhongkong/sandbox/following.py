"""Who comes and goes: by the account's QR code, by one with a scene, and what is pushed then. Source: 接收事件推送."""

from zhongkong.sandbox.accounts import Account, Follower
from zhongkong.sandbox.holdings import QRCode
from zhongkong.sandbox.pushes import Message
from zhongkong.sandbox.world import World


def scan(
    world: World, account: Account, now: float, *, openid: str = "", nickname: str = "", ticket: str = ""
) -> tuple[Follower, Message | None]:
    """Return who scanned, following by now, and the event of it: none if he followed already and there is no scene.

    `openid` is one that the account knows, `nickname` that of somebody new. Raises LookupError, ValueError.
    """
    qrcode = account.qrcodes.get(ticket)
    if ticket and (qrcode is None or not qrcode.is_shown(now)):
        raise LookupError(f"account {account.appid} has no such QR code, or its time is over")
    if not openid and not nickname:
        raise ValueError("openid or nickname must say who scans")
    follower = account.follower(openid) if openid else world.add_follower(account.appid, nickname, now)
    is_old = bool(openid) and follower.subscribed
    if openid and not is_old:
        world.check_room(account)
    follower.subscribed = True
    account.hear(follower.openid, now)
    if not is_old:
        follower.subscribe_time = int(now)
        return follower, build_subscribe(follower, qrcode)
    if qrcode is None:
        return follower, None
    event = {"FromUserName": openid, "Event": "SCAN", "EventKey": str(qrcode.scene), "Ticket": ticket}
    return follower, event


def build_subscribe(follower: Follower, qrcode: QRCode | None = None) -> Message:
    """Return the event of a person who follows from now on."""
    scene = {} if qrcode is None else {"EventKey": f"qrscene_{qrcode.scene}", "Ticket": qrcode.ticket}
    return {"FromUserName": follower.openid, "Event": "subscribe", **scene}


def build_unsubscribe(openid: str) -> Message:
    """Return the event of a person who left."""
    return {"FromUserName": openid, "Event": "unsubscribe"}
