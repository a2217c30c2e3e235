"""Lines with a credential that a scan must find, and lines that it must leave alone; all made up by chance."""

from __future__ import annotations

KEY = "q7Rw2vKz9TnB4xLm8PjD5sHf3GcY6aEu"
HEX = "9f3b1c7e5a2d8046bb17e93fd0c65a48e2017d3c"
URLSAFE = "Zt4-kQ_9vXw2Lr7nBc8Md3-yHs5Fp1Ja6Ge0Uo_WqKi"

FOUND = {
    "a header": f'headers = {{"Authorization": "Bearer {KEY}"}}',
    "a header in single quotes": f"headers = {{'Authorization': 'Bearer {URLSAFE}'}}",
    "a header without a scheme": f'h["Authorization"] = "{KEY}"',
    "a header with the scheme Token": f'"Authorization": "Token {HEX}"',
    "a tuple": f'("Authorization", "Bearer {KEY}")',
    "a scheme added to a key": f'"Bearer " + "{KEY}"',
    "a scheme formatted": f'"Bearer {{}}".format("{KEY}")',
    "a scheme formatted as of old": f'"Bearer %s" % "{KEY}"',
    "a curl command": f"!curl -H 'Authorization: Bearer {KEY}' https://example.org/",
    "a raw request": f"authorization: bearer {URLSAFE}",
    "an assignment": f'api_key = "{KEY}"',
    "an assignment in capitals": f"API_KEY='{HEX}'",
    "an assignment with a longer name": f'INFLUENCERS_API_KEY_PROD = "{KEY}"',
    "an annotated assignment": f'api_key: str = "{KEY}"',
    "a raw string": f"apikey = r'{KEY}'",
    "a keyword argument": f'Client(api_key="{URLSAFE}")',
    "camel case": f'apiKey: "{KEY}",',
    "a line of a .env file": f"API_KEY={KEY}",
    "an exported variable": f"export IC_ACCESS_TOKEN={URLSAFE}",
    "a magic": f"%env IC_ACCESS_TOKEN={KEY}",
    "an entry of os.environ": f'os.environ["IC_ACCESS_TOKEN"] = "{KEY}"',
    "setdefault": f'os.environ.setdefault("API_KEY", "{KEY}")',
    "YAML": f"api-key: {HEX}",
    "JSON": f'{{"api_key":"{KEY}","n":1}}',
    "a token's answer": f'{{"access_token": "{URLSAFE}", "token_type": "x"}}',
    "a refresh token": f"'refresh_token': '{HEX}'",
    "an option": f"!tool --api-key {KEY} --verbose",
    "a header of that name": f"X-API-Key: {KEY}",
    "prose": f"My API key: {KEY}.",
    "a comparison": f'if api_key == "{KEY}":',
    "an address": f"https://api-dashboard.influencers.club/public/v1/x/?token={KEY}",
    "a user in an address": f"https://{KEY}@api-dashboard.influencers.club/public/v1/",
    "an argument beside the address": f'call("https://api-dashboard.influencers.club/x/", "{KEY}")',
    "a named one beside the address": f'go(url="https://dashboard.influencers.club", secret="{HEX}")',
    "percent-encoded": f"authorization%3A%20Bearer%20{KEY}",
    "JSON in a string": f'"{{\\"api_key\\": \\"{KEY}\\"}}"',
    "JSON in JSON in a string": f'"{{\\\\\\"api_key\\\\\\": \\\\\\"{KEY}\\\\\\"}}"',
    "HTML": f"api_key = &quot;{KEY}&quot;",
    "an export's markup": (
        '<span class="n">api_key</span> <span class="o">=</span> <span class="s2">&quot;'
        + KEY
        + "&quot;</span>"
    ),
    "a traceback's colours": (
        f'api_key \\u001b[38;5;241m=\\u001b[39m \\u001b[38;5;124m\\"\\u001b[39m\\u001b[38;5;124m{KEY}\\u001b[39m'
    ),
    "a form": f'<input name="api_key" value="{KEY}">',
}

PLAIN = {
    "a placeholder": 'api_key = "YOUR_API_KEY"',
    "a long placeholder": 'api_key = "your-api-key-goes-here-1234567"',
    "an angle placeholder": '"Authorization": "Bearer <token>"',
    "an angle placeholder with digits": 'api_key="<my-key-a1b2c3d4e5f6g7h8>"',
    "dots": '"Authorization": "Bearer ..."',
    "cut off": 'api_key = "q7Rw2vKz9TnB4xLm8..."',
    "x": 'api_key = "xxxxxxxxxxxxxxxxxxxxxxxx"',
    "x with digits": "API_KEY=xxxx-xxxx-xxxx-1234-5678",
    "asterisks": "api_key: ****************",
    "masked in the middle": f"api_key: {KEY[:8]}****{KEY[:4]}",
    "the environment": 'api_key = os.environ["INFLUENCERS_API_KEY_V2"]',
    "getenv": 'api_key = os.getenv("IC_ACCESS_TOKEN_2024_PROD")',
    "a call": 'api_key = get_secret_value_v2("projects/p1/secrets/k1")',
    "an attribute": "client = Client(api_key=settings.production_api_key_2024)",
    "an f-string": 'headers = {"Authorization": f"Bearer {token}"}',
    "an f-string with a beginning": 'f"Bearer a1b2c3d4e5f6g7h8i9{rest}"',
    "a shell variable": "curl -H 'Authorization: Bearer $IC_ACCESS_TOKEN'",
    "a template": '"Authorization": "Bearer {{ api_token_v2_2024 }}"',
    "words": 'api_key = "correct-horse-battery-staple-2024"',
    "a name of a setting": 'api_key_name = "a9f3b1c7e5a2d8046bb17e93fd0c65a4"',
    "a hash": 'api_key_hash = "9f3b1c7e5a2d8046bb17e93fd0c65a48"',
    "a path": 'API_KEY_FILE="/etc/keys/Zt4kQ9vXw2Lr7nBc8Md3"',
    "counting up": "Bearer abcdef1234567890abcdef1234567890",
    "the alphabet": 'api_key = "abcdefghijklmnopqrstuvwxyz0123456789"',
    "repeated": 'api_key = "abc123abc123abc123abc123"',
    "digits": "api_key = 1234567890123456789012",
    "a header's name": "Authorization: Bearer realm=influencers_public_api_v1",
    "prose on Bearer": "The bearer authentication-and-authorization2 framework of OAuth",
    "token type": '{"token_type": "Bearer", "expires_in": 3600}',
    "a parameter list": "def connect(api_key, access_token=None, refresh_token=None):",
    "the next line": "api_key:\n    Zt4kQ9vXw2Lr7nBc8Md3yHs5",
    "an id beside the address": '{"url": "https://dashboard.influencers.club/c/1", "id": "' + HEX + '"}',
    "a digest beside the address": f'fetch("https://dashboard.influencers.club/a.js", "{HEX}")',
    "a path of the service": "https://api-dashboard.influencers.club/public/v1/discovery/classifier/languages2/",
    "no name beside it": f'sha = "{HEX}"',
    "too short": 'api_key = "a1B2c3D4e5"',
    "our own placeholder": 'api_key = "REMOVED_BY_IC_NOTEBOOK"',
}
