"""What is kept: token sets behind three methods, and which client is registered where."""
