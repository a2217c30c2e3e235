"""How the authorization response comes back from the browser."""
