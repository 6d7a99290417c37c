"""The outside world behind the core's ports: stores, the platform over HTTP, clocks, the seal."""
