"""Sound: speech made from text, and what may happen to it on the way to a microphone."""
