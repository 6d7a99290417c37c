"""The platform adapter against a server that is free to do anything a byte stream allows."""
