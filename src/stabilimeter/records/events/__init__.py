"""TensorBoard event files: encoded, written, read and followed."""
