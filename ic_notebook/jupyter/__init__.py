"""The face in a notebook."""
