"""Switches against another user of the same computer or Hub."""

from __future__ import annotations

from tests.defences.switch import Edit, Switch

EXTENSION = "ic_notebook/server_extension.py"
RENDEZVOUS = "ic_notebook/redirect/rendezvous.py"
FILES = "ic_notebook/storage/files.py"
SHARING = "ic_notebook/storage/sharing.py"

USER_SWITCHES = (
    Switch(
        "strangers-html",
        "the Jupyter server passes on what the port answers, as it is",
        (
            Edit(
                EXTENSION,
                'page = Page.from_json(answer or b"")',
                "return self.finish(answer or b'')",
            ),
        ),
        (
            "tests/redirect/test_server_extension.py::test_a_stranger_at_the_port_puts_no_script_and_no_redirect_into_jupyter",
        ),
    ),
    Switch(
        "rendezvous-owner",
        "a rendezvous file may be anybody's",
        (Edit(RENDEZVOUS, "file.st_uid == os.getuid() and ", ""),),
        ("tests/redirect/test_rendezvous.py::test_a_file_that_another_user_has_put_there_counts_as_none",),
    ),
    Switch(
        "rendezvous-mode",
        "a rendezvous file may be open to others",
        (Edit(RENDEZVOUS, " and not file.st_mode & 0o077", ""),),
        ("tests/redirect/test_rendezvous.py::test_a_file_that_others_can_read_or_write_counts_as_none",),
    ),
    Switch(
        "rendezvous-link",
        "a rendezvous file may be a link",
        (Edit(RENDEZVOUS, ' | getattr(os, "O_NOFOLLOW", 0)', ""),),
        ("tests/redirect/test_rendezvous.py::test_a_link_is_not_followed",),
    ),
    Switch(
        "rendezvous-pipe",
        "a rendezvous file is waited for",
        (Edit(RENDEZVOUS, ' | getattr(os, "O_NONBLOCK", 0)', ""),),
        ("tests/redirect/test_rendezvous.py::test_a_pipe_in_its_place_holds_nobody_up",),
    ),
    Switch(
        "rendezvous-planted",
        "a rendezvous file is written through what is there",
        (Edit(RENDEZVOUS, "os.O_CREAT | os.O_EXCL", "os.O_CREAT | os.O_TRUNC"),),
        ("tests/redirect/test_rendezvous.py::test_a_file_planted_in_the_way_of_the_writing_is_not_followed",),
    ),
    Switch(
        "callback-login",
        "the callback in the Jupyter server asks for no login",
        (
            Edit(
                EXTENSION,
                "if self.current_user is None:\n            # Jupyter's",
                "if False:\n            # Jupyter's",
            ),
        ),
        (
            "tests/redirect/test_server_extension.py::test_a_browser_without_a_login_gets_a_page_of_ours_and_no_redirect",
        ),
    ),
    Switch(
        "callback-login-hub",
        "the callback asks for no login, on a Hub",
        (
            Edit(
                EXTENSION,
                "if self.current_user is None:\n            # Jupyter's",
                "if False:\n            # Jupyter's",
            ),
        ),
        (
            "tests/hub/test_hub.py::test_another_persons_browser_at_the_callback_gets_nothing_and_changes_nothing",
        ),
        long=True,
    ),
    Switch(
        "modes",
        "what we write is readable by all",
        (
            Edit(
                FILES,
                'with os.fdopen(descriptor, "wb") as file:',
                'os.fchmod(descriptor, 0o644)\n        with os.fdopen(descriptor, "wb") as file:',
            ),
        ),
        (
            "tests/storage/test_files.py::test_only_the_owner_reads_it",
            "tests/storage/test_clients.py::test_the_file_is_private_and_a_link_in_its_place_is_replaced",
            "tests/storage/test_sharing.py::test_the_files_hold_no_secret_no_name_and_are_their_owners",
        ),
    ),
    Switch(
        "links",
        "what we write goes through a link in its place",
        (Edit(FILES, "Path(temporary).replace(path)", "path.write_bytes(content)"),),
        (
            "tests/storage/test_files.py::test_a_link_in_its_place_is_replaced_and_not_followed",
            "tests/storage/test_clients.py::test_the_file_is_private_and_a_link_in_its_place_is_replaced",
            "tests/storage/test_planted.py::test_what_is_planted_in_its_place_is_replaced_by_a_file_of_our_own",
        ),
    ),
    Switch(
        "marker-link",
        "a marker is touched through a link",
        (Edit(SHARING, ' | getattr(os, "O_NOFOLLOW", 0)', ""),),
        ("tests/storage/test_planted.py::test_a_marker_that_is_a_link_is_not_followed",),
    ),
    Switch(
        "lock-link",
        "a lock is opened through a link, as filelock did before 3.20.1",
        (
            Edit(
                SHARING,
                "lock = filelock.FileLock(self._lock, mode=0o600, thread_local=False)",
                'self._lock.open("w").close()\n'
                "            lock = filelock.FileLock(self._lock.resolve(), thread_local=False)",
            ),
        ),
        ("tests/storage/test_planted.py::test_a_lock_that_is_a_link_is_not_followed",),
    ),
    Switch(
        "in-place",
        "a file is written where it stands",
        (
            Edit(
                FILES,
                'descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")',
                "descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)",
            ),
        ),
        (
            "tests/storage/test_full_disk.py::test_clients_json_stands_as_it_was_and_the_reason_is_said",
            "tests/storage/test_full_disk.py::test_a_renewal_goes_on_and_tells_the_others",
        ),
    ),
    Switch(
        "left-behind",
        "what could not be written is left behind",
        (
            Edit(FILES, "Path(temporary).unlink()", "pass"),
            Edit("ic_notebook/redirect/rendezvous.py", "            _remove(part)\n", ""),
            Edit("ic_notebook/scan/rewriting.py", "left.unlink(missing_ok=True)", "pass"),
        ),
        (
            "tests/storage/test_full_disk.py::test_clients_json_stands_as_it_was_and_the_reason_is_said",
            "tests/storage/test_full_disk.py::test_a_rendezvous_file_is_whole_or_not_there",
            "tests/storage/test_full_disk.py::test_a_renewal_goes_on_and_tells_the_others",
            "tests/scan/test_rewriting.py::test_what_is_cut_short_leaves_the_file_as_it_was_and_nothing_beside_it",
        ),
    ),
    Switch(
        "visitors",
        "a process that serves several people passes for one person's",
        (
            Edit(
                "ic_notebook/environment.py",
                "return in_voila() or is_marimo_app()",
                "return False",
            ),
        ),
        (
            "tests/sessions/test_storage_choice.py::test_voila_adopts_nothing_and_keeps_nothing",
            "tests/jupyter/test_view.py::test_visitors_of_voila_do_not_see_the_apps_of_whoever_set_the_token",
        ),
    ),
    Switch(
        "visitors-intents",
        "the panel does what a visitor's page asks",
        (
            Edit(
                "ic_notebook/jupyter/presenter.py",
                "if session is not None and may_list(session):",
                "if session is not None:",
            ),
        ),
        ("tests/jupyter/test_view.py::test_nor_does_a_page_that_asks_all_the_same",),
    ),
    Switch(
        "visitors-voila",
        "Voila passes for one person's kernel",
        (
            Edit(
                "ic_notebook/environment.py",
                "return in_voila() or is_marimo_app()",
                "return False",
            ),
        ),
        ("tests/frontends/test_voila.py::test_nothing_is_offered_that_the_next_visitor_would_see",),
        long=True,
    ),
    Switch(
        "visitors-marimo",
        "`marimo run` passes for one person's kernel",
        (
            Edit(
                "ic_notebook/environment.py",
                'return mode == "run" or (mode is None and "marimo._server.main" in sys.modules)',
                "return False",
            ),
        ),
        (
            "tests/frontends/test_marimo.py::test_run_refuses_each_visitor_with_one_sentence_and_asks_for_nothing",
        ),
    ),
)
