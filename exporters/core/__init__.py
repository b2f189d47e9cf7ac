"""Pure: from messages to what is shown."""
