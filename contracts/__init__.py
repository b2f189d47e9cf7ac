"""What crosses between rooms: topics, messages, codecs, the plant file and the errors. No I/O."""
