"""Messages as earlier versions wrote them: they stay readable for ever."""
