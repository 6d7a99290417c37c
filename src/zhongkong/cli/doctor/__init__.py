"""`zhongkong doctor`: looks at everything a hub stands on, and says what to do in words."""
