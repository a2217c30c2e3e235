"""One attempt to sign in: what it is given, the states it goes through, the link it makes, how it ends."""
