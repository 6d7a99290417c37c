"""The hub's own HTTP interface: credentials, accounts, keys, events, health and its description."""
