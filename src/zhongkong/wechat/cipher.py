"""What the platform encrypts pushes with, and replies to them. Sources: 加解密技术方案; 企业微信 加解密方案说明."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NoBase64

from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

BLOCK = 32
"""What the padding fills up to, in bytes: twice the block of AES."""
KEY_LENGTH = 43
RANDOM_LENGTH = 16
_LENGTH_BYTES = 4
_KEY = re.compile(r"[A-Za-z0-9+/]{43}")


class Undecipherable(ValueError):
    """What came cannot be decrypted with this key, or was meant for another receiver (`is_for_another`)."""

    def __init__(self, *, is_for_another: bool = False) -> None:
        """Say which of the two it is; nothing of what was decrypted is in it."""
        super().__init__("for another receiver" if is_for_another else "not to be decrypted")
        self.is_for_another = is_for_another


def is_encoding_aes_key(text: str) -> bool:
    """Say whether `text` can be an EncodingAESKey: 43 characters of base64."""
    return _KEY.fullmatch(text) is not None


class PushCipher:
    """Encrypts and decrypts with the EncodingAESKey of one account."""

    def __init__(self, encoding_aes_key: str, receiver: str) -> None:
        """Take the key and whom messages are for: the appid, corpid or component_appid that stands at their end.

        Raises: ValueError: it is no EncodingAESKey. 43 characters hold 258 bits; the last two count for nothing, and
        are as they like.
        """
        if not is_encoding_aes_key(encoding_aes_key):
            raise ValueError(f"an EncodingAESKey has {KEY_LENGTH} characters of base64")
        key = b64decode(encoding_aes_key + "=")
        self._cipher = BlockCipher(AES(key), CBC(key[:16]))
        self._receiver = receiver.encode()

    def encrypt(self, message: bytes, random: bytes) -> str:
        """Return the message as it goes on the wire, in base64; `random` are 16 bytes that nobody can guess."""
        if len(random) != RANDOM_LENGTH:
            raise ValueError(f"{RANDOM_LENGTH} random bytes are wanted")
        whole = random + len(message).to_bytes(_LENGTH_BYTES, "big") + message + self._receiver
        pad = BLOCK - len(whole) % BLOCK
        encryptor = self._cipher.encryptor()
        return b64encode(encryptor.update(whole + bytes([pad]) * pad) + encryptor.finalize()).decode()

    def decrypt(self, encrypted: str) -> bytes:
        """Return the message.

        Raises: Undecipherable. Check the signature before: then nobody learns of the key by asking again and again.
        """
        whole = self._decrypt(encrypted)
        start = RANDOM_LENGTH + _LENGTH_BYTES
        end = start + int.from_bytes(whole[RANDOM_LENGTH:start], "big")
        if len(whole) < start or end > len(whole):
            raise Undecipherable
        if whole[end:] != self._receiver:
            raise Undecipherable(is_for_another=True)
        return whole[start:end]

    def _decrypt(self, encrypted: str) -> bytes:
        """Return what was encrypted, without its padding."""
        try:
            raw = b64decode(encrypted.encode("ascii"), validate=True)
        except (NoBase64, UnicodeEncodeError):
            raise Undecipherable from None
        if not raw or len(raw) % BLOCK:
            raise Undecipherable
        decryptor = self._cipher.decryptor()
        padded = decryptor.update(raw) + decryptor.finalize()
        pad = padded[-1]
        if not 1 <= pad <= BLOCK or padded[-pad:] != bytes([pad]) * pad:
            raise Undecipherable
        return padded[:-pad]
