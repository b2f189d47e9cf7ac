"""The product as a person starts it."""
