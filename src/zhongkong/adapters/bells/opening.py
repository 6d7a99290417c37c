"""Makes the bell that the settings name. Libraries are imported when their kind is met."""

from __future__ import annotations

from zhongkong.adapters.bells.bell import Bell
from zhongkong.adapters.stores.addresses import Address, ServerAddress
from zhongkong.core.model import Secret
from zhongkong.core.ports import Clock
from zhongkong.errors import SettingInvalid

OF_THE_STORE = "store"


def open_bell(given: str, address: Address, prefix: str, clock: Clock) -> Bell | None:
    """Return the bell that `store.bell` names, None where it names none. Nothing is connected to yet.

    Raises: SettingInvalid: the store has no bell of its own, a package is not installed, or the URL cannot be read.
    """
    if not given:
        return None
    if given != OF_THE_STORE:
        try:
            from zhongkong.adapters.bells.redis import RedisBell  # noqa: PLC0415 (an extra)
        except ModuleNotFoundError as error:
            raise SettingInvalid("bell_needs_redis") from error
        try:
            return RedisBell(Secret(given), prefix, clock)
        except (ValueError, TypeError):
            raise SettingInvalid("bell_url_unfit") from None  # the cause quotes the password
    if not isinstance(address, ServerAddress) or address.engine != "postgresql":
        raise SettingInvalid("bell_not_of_this_store")
    try:
        from zhongkong.adapters.bells.postgresql import PostgresqlBell  # noqa: PLC0415 (an extra)
    except ModuleNotFoundError as error:
        raise SettingInvalid("store_extra_missing", module="psycopg", extra=address.engine) from error
    return PostgresqlBell(address, prefix, clock)
