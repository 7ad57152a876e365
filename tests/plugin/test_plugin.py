"""The module that every TensorBoard in the environment imports."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from importlib import metadata, resources

import pytest
from tests.plugin.conftest import Tab
from werkzeug.test import Client

from stabilimeter.tensorboard_plugin.answers import VIEWS
from stabilimeter.tensorboard_plugin.plugin import ANSWERS, StabilityPlugin


def test_tensorboard_finds_the_plugin():
    (found,) = [entry for entry in metadata.entry_points(group="tensorboard_plugins") if entry.name == "stability"]
    assert found.load() is StabilityPlugin


def test_loading_the_plugin_imports_only_the_standard_library_besides_what_tensorboard_has_imported():
    script = """
import sys
import tensorboard.default, tensorboard.program, tensorboard.backend.application
before = set(sys.modules)
from stabilimeter.tensorboard_plugin.plugin import StabilityPlugin
StabilityPlugin(type("Context", (), {"flags": None, "logdir": "x"})()).get_plugin_apps()
print(chr(10).join(sorted({name.split(".")[0] for name in set(sys.modules) - before})))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    foreign = {name for name in done.stdout.split() if name not in sys.stdlib_module_names}
    assert foreign <= {"stabilimeter", "tensorboard"}
    assert "stabilimeter" in foreign


@pytest.mark.parametrize("broken", ["scipy", "stabilimeter_stand_in"])
def test_tensorboard_starts_and_the_tab_says_what_is_wrong_if_something_cannot_be_imported(broken, sweep, tmp_path):
    """`stabilimeter_stand_in` is the control: with nothing broken the same server answers with a summary."""
    (tmp_path / broken).mkdir()
    (tmp_path / broken / "__init__.py").write_text("raise ImportError('this one\\nis broken')\n")
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(sweep), "--port", "0", "--load_fast", "false"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            address = _address(server)
            listing = _json(f"{address}data/plugins_listing")
            assert listing["stability"]["tab_name"] == "Stability"
            status = _until_told(address)
        finally:
            server.terminate()
    if broken == "scipy":
        assert "this one is broken" in status["error"]
        assert "\n" not in status["error"]
    else:
        assert status["error"] is None
        assert status["is_scored"]


def test_every_file_of_the_tab_is_served_with_its_type(tab):
    files = {name.lstrip("/"): app for name, app in tab.apps.items() if not name.startswith("/data/")}
    folder = resources.files("stabilimeter.tensorboard_plugin") / "static"
    shipped = {entry.name for entry in folder.iterdir()}
    assert shipped - set(files) == {"uplot.LICENSE.txt"}
    assert len(files) == 15
    for name, app in files.items():
        answer = Client(app).get("/")
        assert answer.status_code == 200
        assert answer.content_type.split(";")[0] == ("text/css" if name.endswith(".css") else "text/javascript")
        assert answer.get_data() == (folder / name).read_bytes()


def test_modules_of_the_tab_import_only_each_other():
    folder = resources.files("stabilimeter.tensorboard_plugin") / "static"
    scripts = {entry.name: entry.read_text() for entry in folder.iterdir() if entry.name.endswith(".js")}
    for name, text in scripts.items():
        for target in re.findall(r"from '([^']+)'", text):
            assert target.removeprefix("./") in scripts, f"{name} imports {target}"
        if name != "uplot.js":
            assert "innerHTML" not in text
            assert "http" not in text.replace("http://www.w3.org/2000/svg", "")


def test_every_view_has_a_route():
    assert set(ANSWERS) == {"status", *VIEWS}


def test_the_tab_appears_with_the_first_scalars_or_csv_logs(tab, tmp_path):
    for folder in ("", "gs://bucket", str(tmp_path), str(tmp_path / "missing")):
        assert not Tab(folder).plugin.is_active()
    (tmp_path / "metrics.csv").write_text("step,loss\n0,2.0\n1,1.0\n")
    assert Tab(tmp_path).plugin.is_active()
    assert tab.plugin.data_plugin_names() == ("scalars",)
    assert tab.plugin.frontend_metadata().es_module_path == "/index.js"


def _address(server):
    for line in server.stderr:
        found = re.search(r"http://localhost:\d+/", line)
        if found:
            return found.group()
    raise AssertionError("TensorBoard did not start")


def _json(address):
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def _until_told(address):
    deadline = time.monotonic() + 60
    while True:
        status = _json(f"{address}data/plugin/stability/data/status")
        if status.get("error") or status["is_scored"]:
            return status
        assert time.monotonic() < deadline
        time.sleep(0.2)
