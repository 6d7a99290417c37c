"""What can be set: one table, read from `zhongkong.toml`, then `ZHONGKONG_*`, then flags; the later one wins.

Names and values that are not understood are refused, never passed over.
"""

from zhongkong.settings.declared import Declaration, read_accounts
from zhongkong.settings.reading import default_data_dir, find_file, load_settings
from zhongkong.settings.sinks import SINK_SETTINGS, SinkDeclaration, read_sinks
from zhongkong.settings.table import Setting, Settings, table
from zhongkong.settings.values import Bind, Network

__all__ = [
    "SINK_SETTINGS",
    "Bind",
    "Declaration",
    "Network",
    "Setting",
    "Settings",
    "SinkDeclaration",
    "default_data_dir",
    "find_file",
    "load_settings",
    "read_accounts",
    "read_sinks",
    "table",
]
