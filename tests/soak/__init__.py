"""The whole line for half an hour, hurt all the while: nothing of it may grow."""
