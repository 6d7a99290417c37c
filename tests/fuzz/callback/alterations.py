"""What is done to a good push: what does no harm, and what must end in a refusal, with the steps it may end at."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable
from random import Random

from tests.fuzz.callback.letters import Letter, pack, seal, sign, write
from zhongkong.core.callbacks import WINDOW
from zhongkong.wechat.pushes import LONGEST

ANSWER, ECHO, ELSEWHERE, LATE = "answer", "echo", "elsewhere", "late"
"""What an answer may be besides a refusal, which is named by its step."""
Ends = frozenset[str]
Alteration = Callable[[Random, Letter], Ends]
SKEW = 250
"""Seconds by which the platform's clock may be off and its pushes still be right."""
FAR = WINDOW + SKEW + 30

_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 9))
NO_MESSAGES = (
    *(b" ", b"\r\n\t", b"hello", b"<xml><a>1</a>", b"<xml>", b"<a><b>1</b></a>", b"<xml></xml><xml></xml>"),
    *(b"<xml><a>1</a></xml>x", b"<xml><a>1</a><a>2</a></xml>", b"<xml><a><![CDATA[1</a></xml>"),
    b'<!DOCTYPE xml [<!ENTITY a "b">]><xml><a>&a;</a></xml>',
    b'<!DOCTYPE xml [<!ENTITY l0 "ha">' + _LAUGHS.encode() + b"]><xml><a>&l8;</a></xml>",
    b'<!DOCTYPE xml [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><a>&a;</a></xml>',
    b'<!DOCTYPE xml SYSTEM "http://evil.test/x.dtd"><xml><a>1</a></xml>',
    *(b"<xml><a>&undefined;</a></xml>", b"<xml><?php echo 1 ?></xml>", b"<xml><a>\x00</a></xml>"),
    *(b"<xml><a>&#xD800;</a></xml>", b"<xml><a>&#0;</a></xml>", b"<xml>\xd6\xd0</xml>", b"\xff\xfe<\x00x\x00"),
    b"<xml>" + b"<a>" * 20 + b"</a>" * 20 + b"</xml>",
    b"<xml>" + b"<a>" * 60_000,
    b"<xml>" + b"".join(b"<a%d/>" % one for one in range(3000)) + b"</xml>",
    *(b"[1,2]", b"{", b'{"a":1}x', b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":"\\ud800"}', b'{"a":"\x01"}', b"{'a':1}"),
    *(b'{"a":' * 30_000, b'{"a":' + b"[" * 90_000, b'{"a":' + b"9" * 5000 + b"}", b'{"a":"\xd6\xd0"}'),
)
TYPES = (
    *("", "text/plain", "application/octet-stream", "multipart/form-data; boundary=x", "text/xml; charset=GBK"),
    *("TEXT/XML", "x" * 2000, "text/xml, application/json", "\xe4\xb8\xad", "application/x-www-form-urlencoded"),
)


# --- harmless


def harmless(random: Random, letter: Letter) -> None:
    """Do something to it that the platform, or a proxy on the way, might do."""
    deed = random.randrange(8)
    if deed == 0:
        letter.words = dict(random.sample(list(letter.words.items()), len(letter.words)))
    elif deed == 1:
        letter.words |= {"utm": "中 文&=%#+", "": "x", "encrypt_type": random.choice(("aes", "raw", ""))}
    elif deed == 2:
        letter.content_type = random.choice(TYPES)
    elif deed == 3:
        letter.body += random.choice((b"\n", b" \r\n "))
    elif deed == 4:
        letter.body = random.choice((b"\xef\xbb\xbf", b"\n ")) + letter.body
    elif deed == 5 and letter.party.is_sealed and "signature" in letter.words:
        letter.words["signature"] = random.choice(("", "0" * 40, "中"))  # of these two msg_signature counts
    elif deed == 6 and letter.party.shape == "xml":
        letter.body = re.sub(rb"(</\w+>)(<\w)", rb"\1\n  <!-- -->\n\2", letter.body)


# --- the stamp, and how it is signed


def stale(random: Random, letter: Letter) -> Ends:
    """It is of long ago, or of tomorrow; rightly signed."""
    far = random.choice((FAR, 3600, 86_400 * 365)) * random.choice((1, -1))
    letter.words["timestamp"] = str(max(0, int(letter.words["timestamp"]) + int(far)))
    letter.sign()
    return frozenset({"timestamp"})


def no_time(random: Random, letter: Letter) -> Ends:
    """What it has for a timestamp is none."""
    now = letter.words["timestamp"]
    letter.words["timestamp"] = random.choice(
        ("", "-1", "1e9", f"{now}.0", f" {now}", f"+{now}", "１" * 10, "9" * 30, f"{now}\x00", "NaN", f"0x{now}")
    )
    letter.sign()
    return frozenset({"timestamp"})


def no_nonce(random: Random, letter: Letter) -> Ends:
    """What it has for a nonce is none."""
    letter.words["nonce"] = random.choice(("", "a b", "x" * 129, "中", "1\n", "\x00", "\x7f"))
    letter.sign()
    return frozenset({"signature"})


def _signature_of(letter: Letter) -> str:
    return "msg_signature" if letter.party.is_sealed else "signature"


def unsigned(random: Random, letter: Letter) -> Ends:
    """The signature that counts is not there."""
    name = _signature_of(letter)
    letter.words[name] = ""
    if random.random() < 0.5:
        del letter.words[name]
    return frozenset({"signature"})


def no_signature(random: Random, letter: Letter) -> Ends:
    """What it has for a signature can be none."""
    name = _signature_of(letter)
    right = letter.words[name]
    wrong = (right.upper(), right[:-1], right + "0", "g" * 40, "０" * 40, f" {right}", "\x00", right.encode().hex())
    letter.words[name] = random.choice([one for one in wrong if one != right])
    return frozenset({"signature"})


def guessed(random: Random, letter: Letter) -> Ends:
    """Somebody guessed a signature."""
    letter.words[_signature_of(letter)] = f"{random.getrandbits(160):040x}"
    return frozenset({"signature"} if letter.party.is_sealed and not letter.party.is_wecom else {"token"})


def other_token(random: Random, letter: Letter) -> Ends:
    """It is signed with another Token."""
    letter.sign(random.choice(("another1", letter.party.token[:-1], letter.party.token.upper(), "a")))
    return frozenset({"token"})


def stamped_anew(random: Random, letter: Letter) -> Ends:
    """Time or nonce were changed, and not signed again."""
    letter.words["nonce" if random.random() < 0.5 else "timestamp"] += "0" if letter.words["nonce"] else ""
    return frozenset({"token", "timestamp"})


def said_twice(random: Random, letter: Letter) -> Ends:
    """A word stands there twice: of two, one program would heed the first and another the second."""
    name = random.choice([name for name in letter.words if name not in ("openid", "encrypt_type")])
    letter.words[f"\0{name}"] = random.choice((letter.words[name], "1", ""))
    return frozenset({"signature"})


# --- a body that is signed, as far as bodies are, and says nothing


def no_message(random: Random, letter: Letter) -> Ends:
    """It is no message, in what is encrypted if anything is."""
    inner = random.choice(NO_MESSAGES)
    if not letter.party.is_sealed:
        letter.body = inner
    else:
        letter.enclose(seal(letter.party.key, pack(random, inner, letter.party.receiver)))
    return frozenset({"body"})


def no_envelope(random: Random, letter: Letter) -> Ends:
    """What is around the ciphertext is no message, or there is no ciphertext in it."""
    letter.body = random.choice((*NO_MESSAGES, b"", write(letter.message, letter.party.shape)))
    return frozenset({"body"})


def too_long(random: Random, letter: Letter) -> Ends:
    """It is longer than any message."""
    letter.body += b" " * (LONGEST - len(letter.body) + random.choice((1, 10, 300_000)))
    return frozenset({"body"})


def noise(random: Random, letter: Letter) -> Ends:
    """Bytes of an unsigned body were changed: whether it is still a message depends."""
    raw = bytearray(letter.body)
    for _ in range(random.choice((1, 3))):
        raw[random.randrange(len(raw))] = random.randrange(256)
    letter.body = bytes(raw)
    return frozenset({"body", ANSWER})


def encrypted_inside(random: Random, letter: Letter) -> Ends:
    """The signature of plaintext, and a ciphertext, which it does not cover."""
    letter.body = write({**letter.message, "Encrypt": b64encode(random.randbytes(64)).decode()}, letter.party.shape)
    return frozenset({"signature"})


def to_no_key(random: Random, letter: Letter) -> Ends:
    """It is encrypted, signed, and nobody brought the key here, or it is another one."""
    letter.enclose(seal(letter.party.key[:-3] + "xxA", pack(random, b"<xml><a>1</a></xml>", letter.party.receiver)))
    return frozenset({"key"} if not letter.party.key_here else {"key", "appid"})


# --- a ciphertext


def flipped(random: Random, letter: Letter) -> Ends:
    """A character of it was changed on the way."""
    old = letter.encrypted
    at = random.randrange(len(old) - 4)
    new = old[:at] + random.choice([one for one in "Aa0+/" if one != old[at]]) + old[at + 1 :]
    letter.body = letter.body.replace(old.encode(), new.encode())
    return frozenset({"token" if letter.party.is_wecom else "signature"})


def random_bytes(random: Random, letter: Letter) -> Ends:
    """It is signed, and nothing was ever encrypted."""
    letter.enclose(b64encode(random.randbytes(random.choice((0, 1, 31, 32, 64, 1024)))).decode() or "=")
    return frozenset({"key", "appid"})


def truncated(random: Random, letter: Letter) -> Ends:
    """Something of it is missing; signed as it is."""
    letter.enclose(letter.encrypted[: random.randrange(1, len(letter.encrypted) - 44)])
    return frozenset({"key", "appid"})


def no_padding(random: Random, letter: Letter) -> Ends:
    """Its padding is none."""
    whole = pack(random, write(letter.message, letter.party.shape), letter.party.receiver)
    missing = 32 - len(whole) % 32
    pads = [b"\0" * missing, b"\x21" * missing, b"\xff" * missing]
    pads += [bytes([missing ^ 1]) + bytes([missing]) * (missing - 1)] if missing > 1 else []
    letter.enclose(seal(letter.party.key, whole, random.choice(pads)))
    return frozenset({"key"})


def wrong_length(random: Random, letter: Letter) -> Ends:
    """It announces another length than its message has."""
    inner = write(letter.message, letter.party.shape)
    length = random.choice((0, 1, len(inner) - 1, len(inner) + 1, 2**31, 2**32 - 1))
    letter.enclose(seal(letter.party.key, pack(random, inner, letter.party.receiver, length)))
    return frozenset({"key", "appid"})


def other_receiver(random: Random, letter: Letter) -> Ends:
    """It was encrypted for another account."""
    mine = letter.party.receiver
    receiver = random.choice(
        ("", mine[:-1], mine + "x", mine.upper(), "wxother", f"{mine}\0", letter.party.appid + ":")
    )
    letter.enclose(seal(letter.party.key, pack(random, write(letter.message, letter.party.shape), receiver)))
    return frozenset({"appid"})


def no_base64(random: Random, letter: Letter) -> Ends:
    """It is written in something else."""
    old = letter.encrypted
    odd = (f"{old[:9]}\n{old[9:]}", f"{old[:8]} {old[8:]}", old.rstrip("=") + "-_", "中" + old[1:], "====")
    letter.enclose(random.choice(odd))
    return frozenset({"key"})


def other_spelling(random: Random, letter: Letter) -> Ends:
    """The same bytes in another spelling of base64: bits to spare, an `=` too many."""
    old = letter.encrypted
    text, end = old.rstrip("="), "=" * old.count("=")
    spared = chr(ord(text[-1]) + 1) if end and text[-1] not in "Zz9+/" else text[-1]
    letter.enclose(random.choice((text[:-1] + spared + end, f"{old}=")))
    return frozenset({ANSWER, "key"})


def resigned(_random: Random, letter: Letter) -> Ends:
    """Signed by the Token, with no word of who signs otherwise: WeCom's own way, of an official account too."""
    letter.words.pop("signature", None)
    letter.words["msg_signature"] = sign(letter.party.token, *letter.stamp, letter.encrypted)
    return frozenset({ANSWER})


OF_ANY: tuple[Alteration, ...] = (
    *(stale, no_time, no_nonce, unsigned, no_signature, guessed, other_token, stamped_anew, said_twice),
    *(no_message, too_long),
)
OF_PLAIN: tuple[Alteration, ...] = (*OF_ANY, noise, encrypted_inside, to_no_key)
OF_SEALED: tuple[Alteration, ...] = (
    *(*OF_ANY, no_envelope, to_no_key, flipped, random_bytes, truncated, no_padding, wrong_length, other_receiver),
    *(no_base64, other_spelling, resigned),
)
