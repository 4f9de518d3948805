"""The bill of materials: what it says of real wheels, and that CycloneDX's own validator accepts it."""

import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from tests import factory
from weft.release import sbom
from weft.release.target import Target

HERE = [Target("3.11", "manylinux_2_36_x86_64").environment]


def wheel(folder, name, version, lines=()):
    path = Path(folder) / f"{name.replace('-', '_')}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as out:
        said = "\n".join(["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *lines]) + "\n\n"
        out.writestr(zipfile.ZipInfo(f"{name.replace('-', '_')}-{version}.dist-info/METADATA", (2026, 1, 1, 0, 0, 0)), said)
    return path


@pytest.fixture
def made(tmp_path):
    """An application with three dependencies, one of them of a dependency, and licences said in four ways."""
    app = wheel(tmp_path, "shop", "1.0", ["Requires-Dist: Flask-Ish>=1", "Requires-Dist: other; python_version < '3'",
                                          "License-Expression: Apache-2.0 OR MIT"])
    wheels = [wheel(tmp_path, "flask_ish", "2.0+local.1", ["Requires-Dist: inner", "Requires-Dist: absent; extra == 'dev'", "License: BSD-3-Clause",
                                                           "Summary: a frame"]),
              wheel(tmp_path, "inner", "0.1", ["Classifier: License :: OSI Approved :: MIT License", "License: a long\n        text"]),
              wheel(tmp_path, "lonely", "3", ["License: UNKNOWN", "Summary: UNKNOWN"])]
    return app, wheels


def test_what_it_says(made):
    app, wheels = made
    said = json.loads(sbom.text("shop", "1.0", "c" * 40, 1767225600, app, wheels, HERE))
    assert said["metadata"]["timestamp"] == "2026-01-01T00:00:00Z"
    assert said["metadata"]["component"]["licenses"] == [{"expression": "Apache-2.0 OR MIT"}]
    assert [(part["purl"], part.get("licenses")) for part in said["components"]] == [
        ("pkg:pypi/flask-ish@2.0%2Blocal.1", [{"license": {"name": "BSD-3-Clause"}}]),
        ("pkg:pypi/inner@0.1", [{"license": {"name": "MIT License"}}]), ("pkg:pypi/lonely@3", None)]
    assert [part["hashes"] for part in said["components"]] == [
        [{"alg": "SHA-256", "content": hashlib.sha256(each.read_bytes()).hexdigest()}] for each in wheels]
    assert {row["ref"]: row.get("dependsOn") for row in said["dependencies"]} == {
        "pkg:pypi/shop@1.0": ["pkg:pypi/flask-ish@2.0%2Blocal.1", "pkg:pypi/lonely@3"],
        "pkg:pypi/flask-ish@2.0%2Blocal.1": ["pkg:pypi/inner@0.1"], "pkg:pypi/inner@0.1": None, "pkg:pypi/lonely@3": None}


def test_the_same_release_gives_the_same_bytes_and_another_one_another_serial(made):
    app, wheels = made
    text = sbom.text("shop", "1.0", "c" * 40, 0, app, wheels, HERE)
    assert text == sbom.text("shop", "1.0", "c" * 40, 0, app, list(reversed(wheels)), HERE)
    other = json.loads(sbom.text("shop", "1.0", "d" * 40, 0, app, wheels, HERE))
    assert other["serialNumber"] != json.loads(text)["serialNumber"]


@pytest.fixture
def validator():
    pytest.importorskip("cyclonedx.validation.json", reason="pip install 'cyclonedx-python-lib[json-validation]'")
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator
    return JsonStrictValidator(SchemaVersion.V1_6)


def test_cyclonedx_accepts_it(made, validator):
    app, wheels = made
    text = sbom.text("shop", "1.0", "c" * 40, 0, app, wheels, HERE)
    assert validator.validate_str(text) is None
    broken = json.loads(text)
    broken["components"][0]["hashes"][0]["content"] = "short"
    assert validator.validate_str(json.dumps(broken)) is not None, "the validator can say no"
    from cyclonedx.model.bom import Bom
    assert {str(each.purl) for each in Bom.from_json(json.loads(text)).components} == {
        "pkg:pypi/flask-ish@2.0%2Blocal.1", "pkg:pypi/inner@0.1", "pkg:pypi/lonely@3"}


def test_cyclonedx_accepts_a_real_release(released_once, validator):
    place = released_once[0].store / "weaveserver/1.1.4"
    assert validator.validate_str((place / "sbom.json").read_text()) is None


@pytest.mark.slow
def test_cyclonedx_accepts_real_wheels_from_an_index(tmp_path, validator):
    """Licences and names as packages really have them: Flask with all that it needs."""
    project = factory.make_project(tmp_path / "project", requires=["flask==3.0.3"])
    factory.run_release(project, "1.1.4")
    said = json.loads((project.store / "weaveserver/1.1.4/sbom.json").read_text())
    assert validator.validate_str(json.dumps(said)) is None
    parts = {part["name"].lower(): part for part in said["components"]}
    assert {"flask", "werkzeug", "jinja2", "click", "itsdangerous", "blinker", "markupsafe"} <= set(parts)
    assert all(part["licenses"] for part in parts.values())
    graph = {row["ref"].split("@")[0]: row.get("dependsOn", []) for row in said["dependencies"]}
    assert [each.split("@")[0] for each in graph["pkg:pypi/weaveserver"]] == ["pkg:pypi/flask"]
    assert any(each.startswith("pkg:pypi/markupsafe@") for each in graph["pkg:pypi/jinja2"])
