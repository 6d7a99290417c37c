"""Randomness of a world: drawn from a seed and a count, so that two numbers are all there is to save."""

from base64 import b64encode, urlsafe_b64encode
from hashlib import shake_128


class Draws:
    """Endless random text; the same seed and the same order of asking give the same text."""

    __slots__ = ("_prefix", "count", "seed")

    def __init__(self, seed: int, count: int = 0) -> None:
        """Continue the draws of `seed` after the first `count`."""
        self.seed = seed
        self.count = count
        self._prefix = b"%d:" % seed

    def text(self, length: int) -> str:
        """Return `length` characters of [A-Za-z0-9_-]."""
        return urlsafe_b64encode(self._bytes(length * 3 // 4 + 1))[:length].decode()

    def base64(self, count: int) -> str:
        """Return `count` bytes in standard base64, which has to be escaped in a URL."""
        return b64encode(self._bytes(count)).decode()

    def hex(self, length: int) -> str:
        """Return `length` lower-case hex digits."""
        return self._bytes(length // 2 + 1).hex()[:length]

    def _bytes(self, length: int) -> bytes:
        self.count += 1
        return shake_128(self._prefix + b"%d" % self.count).digest(length)
