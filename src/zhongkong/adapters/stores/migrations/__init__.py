"""How the schema came to be: numbered steps that only add."""
