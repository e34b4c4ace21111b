"""A teacher's stored word on every answer token, and the loss that uses it."""
