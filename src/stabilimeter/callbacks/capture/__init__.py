"""What is measured during an optimizer step, and how it gets to the host."""
