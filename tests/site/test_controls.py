"""What tests of pages rely on: an error and a request outside are noticed."""

import socket

import pytest
import sample_site

_ASKING = """
  document.body.append(Object.assign(new Image(), {src: arguments[0]}));
  fetch(arguments[0]).catch(() => {});
  document.body.append(Object.assign(document.createElement("script"), {textContent: "window.ran = 1"}));
"""


def _write(page, body):
    (page.site / "index.html").write_text(f"<!doctype html><title>x</title>{body}", encoding="utf-8")
    page.open()


def test_a_plain_page_has_no_faults(unchecked_page):
    _write(unchecked_page, "<p>nothing")
    assert unchecked_page.faults() == []


def test_an_error_is_noticed(unchecked_page):
    _write(unchecked_page, "<script>nowhere.to.be.found</script>")
    assert "nowhere is not defined" in str(unchecked_page.faults())


def test_a_message_to_the_console_is_noticed(unchecked_page):
    _write(unchecked_page, "<script>console.error('odd')</script>")
    assert '"odd"' in str(unchecked_page.faults())


def test_a_request_outside_is_noticed(unchecked_page):
    _write(unchecked_page, '<img src="http://127.0.0.1:9/x.png">')
    unchecked_page.wait(lambda: "asked for http://127.0.0.1:9/x.png" in unchecked_page.faults())


def test_a_file_outside_is_noticed(unchecked_page):
    _write(unchecked_page, '<img src="../x.png">')
    assert "asked for file:" in str(unchecked_page.faults())


def test_the_pages_do_not_let_a_request_out(unchecked_page):
    """The policy of the page itself stops it, also for pictures and inline scripts."""
    sample_site.write(unchecked_page.site, 4)
    unchecked_page.open()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        unchecked_page.script(_ASKING, f"http://127.0.0.1:{server.getsockname()[1]}/")
        with pytest.raises(TimeoutError):
            server.accept()
    assert str(unchecked_page.faults()).count("Content Security Policy") >= 3
    assert unchecked_page.script("return window.ran") is None


def test_without_the_policy_the_request_would_go_out(unchecked_page):
    _write(unchecked_page, "<p>nothing")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(15)
        unchecked_page.script(_ASKING, f"http://127.0.0.1:{server.getsockname()[1]}/")
        server.accept()[0].close()
    assert unchecked_page.script("return window.ran") == 1
