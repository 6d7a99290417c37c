"""For business servers: a source of credentials, kept by a hub or in this process, and what attaches it to requests."""
