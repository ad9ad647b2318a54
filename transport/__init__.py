"""How they speak: the codec, ZeroMQ and the loop of a process."""
