"""Finds credentials in notebooks, exports and scripts, and takes them out: `ic-notebook scan`."""
