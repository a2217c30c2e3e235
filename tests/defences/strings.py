"""Switches against a hostile or broken authorization server: what its words hold."""

from __future__ import annotations

from tests.defences.switch import Edit, Switch

ANSWERS = "ic_notebook/oauth/answers.py"

STRING_SWITCHES = (
    Switch(
        "text-nodes",
        "the panel reads strings as HTML",
        (
            Edit(
                "ic_notebook/jupyter/elements.js",
                "node.append(...children.flat().filter((child) => child !== null));\n  return node;",
                "for (const child of children.flat().filter((each) => each !== null))\n"
                '    if (typeof child === "string") node.insertAdjacentHTML("beforeend", child);\n'
                "    else node.append(child);\n"
                "  return node;",
            ),
        ),
        ("tests/browser/test_panel_states.py::test_every_string_is_shown_as_text",),
    ),
    Switch(
        "web-addresses",
        "the panel links to any address",
        (
            Edit(
                "ic_notebook/jupyter/elements.js",
                'return ["https:", "http:"].includes(new URL(url).protocol);',
                "return true;",
            ),
        ),
        ("tests/browser/test_panel_states.py::test_only_a_web_address_becomes_a_link",),
    ),
    Switch(
        "apps-html",
        "the table of apps is not escaped",
        (Edit("ic_notebook/sessions/apps.py", "{html.escape(c)}", "{c}"),),
        (
            "tests/sessions/test_apps_and_ending.py::test_names_and_ids_are_escaped_in_html",
            "tests/browser/test_panel_states.py::test_the_table_of_apps_in_html_fires_nothing",
        ),
    ),
    Switch(
        "pages-html",
        "the browser's last page is not escaped",
        (
            Edit(
                "ic_notebook/redirect/pages.py",
                "heading, text = html.escape(self.heading), html.escape(self.text)",
                "heading, text = self.heading, self.text",
            ),
        ),
        ("tests/redirect/test_answers.py::test_the_words_of_an_error_are_escaped_on_the_page",),
    ),
    Switch(
        "pages-script",
        "the browser's last page is not escaped, and its policy lets in any script",
        (
            Edit(
                "ic_notebook/redirect/pages.py",
                "heading, text = html.escape(self.heading), html.escape(self.text)",
                "heading, text = self.heading, self.text",
            ),
            Edit(
                "ic_notebook/redirect/pages.py",
                "script-src 'sha256-{_hash(script)}'",
                "script-src 'unsafe-inline'",
            ),
        ),
        ("tests/redirect/test_pages_in_browser.py::test_script_in_the_words_of_a_page_does_not_fire",),
    ),
    Switch(
        "depth",
        "a refusal is read however deep it is nested",
        (
            Edit(ANSWERS, "elif isinstance(value, list) and depth < 4:", "elif isinstance(value, list):"),
            Edit(ANSWERS, "elif isinstance(value, dict) and depth < 4:", "elif isinstance(value, dict):"),
        ),
        ("tests/oauth/test_error_answers.py::test_refusal_nested_beyond_reason_has_no_words",),
    ),
    Switch(
        "echo",
        "what a server echoes is shown",
        (Edit(ANSWERS, 'text = text.replace(echo, "…")', "pass"),),
        (
            "tests/oauth/test_error_answers.py::test_secret_is_taken_out_however_it_is_echoed",
            "tests/sessions/test_refusals.py::test_a_token_that_the_service_echoes_is_not_shown",
        ),
    ),
)
