"""The protocol: OAuth 2.1 as flows that do no I/O of their own, one RFC a module."""
