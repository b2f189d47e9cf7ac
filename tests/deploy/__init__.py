"""What lies under deploy/ is what it is taken for: each check refuses a broken copy."""
