"""The hub: one ASGI application, its server, who may enter, and what is told of it."""
