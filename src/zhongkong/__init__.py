"""zhongkong (中控): the central control server for WeChat access tokens."""

__version__ = "0.1.0.dev0"
