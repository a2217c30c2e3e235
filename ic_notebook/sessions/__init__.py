"""What a signed-in person has: a session, its clients, and the list of connected apps."""
