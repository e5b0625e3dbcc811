"""oslo.policy's own tools read our namespace: what operators write, mend and check policy files with."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from keepsite.identity.policy.rules import RULES

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
METADATA = (
    "import sys; from setuptools import build_meta; build_meta.prepare_metadata_for_build_wheel(sys.argv[1])"
)
STRICT = '"secret:delete": "role:admin and project_id:%(target.secret.project_id)s"\n'


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Runs a tool beside what an installed Keepsite tells of itself, as a site's settings have it."""
    installed = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-c", METADATA, installed], cwd=ROOT, check=True, capture_output=True)
    bare = {
        name: value for name, value in os.environ.items() if not name.startswith(("KEEPSITE_", "DJANGO_"))
    }
    bare["PYTHONPATH"] = f"{installed}{os.pathsep}{ROOT}"

    def start(tool, *arguments, **settings):
        return subprocess.run(
            [BIN / f"oslopolicy-{tool}", "--namespace", "keepsite", *arguments],
            cwd=installed,
            env=bare | settings,
            capture_output=True,
            text=True,
            check=False,
        )

    return start


@pytest.fixture(scope="module")
def said(run, tmp_path_factory):
    """What every tool says, by name; they run beside one another."""
    folder = tmp_path_factory.mktemp("policies")
    files = {
        "strict": STRICT,
        "redundant": STRICT + f'"secret:get": "{RULES["secret:get"].secure}"\n',
        "wrong": '"secret:delete": "rule:nobody_knows"\n',
        "unknown": '"secret:destroy": "role:admin"\n',
    }
    paths = {name: folder / f"{name}.yaml" for name in files}
    for name, path in paths.items():
        path.write_text(files[name])
    calls = {
        "sample": (("sample-generator",), {}),
        "legacy sample": (("sample-generator",), {"KEEPSITE_ROLE_SET": "legacy"}),
        "policy": (("policy-generator",), {"KEEPSITE_POLICY_FILE": str(paths["strict"])}),
        "redundant": (("list-redundant",), {"KEEPSITE_POLICY_FILE": str(paths["redundant"])}),
        **{
            f"validate {name}": (("validator",), {"KEEPSITE_POLICY_FILE": str(path)})
            for name, path in paths.items()
        },
        "validate none": (("validator",), {}),
        "validate missing": (("validator",), {"KEEPSITE_POLICY_FILE": str(folder / "missing.yaml")}),
        "upgrade": (("policy-upgrade", "--policy", str(paths["strict"])), {}),
    }
    with ThreadPoolExecutor(2) as pool:
        runs = {
            name: pool.submit(run, *arguments, **settings) for name, (arguments, settings) in calls.items()
        }
    return {name: future.result() for name, future in runs.items()}


class TestTools:
    def test_the_sample_has_every_rule_commented_out(self, said):
        lines = said["sample"].stdout.splitlines()

        assert said["sample"].returncode == 0, said["sample"].stderr
        for name, rule in RULES.items():
            assert any(line.startswith(f'#"{name}": ') for line in lines), name
            assert f"# {rule.operations[0].split()[0]}  {rule.operations[0].split()[1]}" in lines

    def test_the_sample_is_of_the_role_set_in_use(self, said):
        assert '#"project_quotas:put": "rule:service_admin"' in said["legacy sample"].stdout
        assert '#"project_quotas:put": "rule:service_admin"' not in said["sample"].stdout

    def test_the_policy_in_force_is_the_defaults_under_the_file(self, said):
        in_force = yaml.safe_load(said["policy"].stdout)

        assert set(RULES) <= set(in_force)
        assert in_force["secret:delete"] == yaml.safe_load(STRICT)["secret:delete"]
        assert in_force["secret:decrypt"] == RULES["secret:decrypt"].secure

    def test_what_repeats_a_default_is_redundant(self, said):
        assert "secret:get" in said["redundant"].stdout
        assert "secret:delete" not in said["redundant"].stdout

    @pytest.mark.parametrize(
        ("file", "code", "word"),
        [
            ("strict", 0, ""),
            ("none", 0, ""),
            ("wrong", 1, "reference a rule that is not defined"),
            ("unknown", 1, "secret:destroy"),
            ("missing", 1, "not found"),
        ],
    )
    def test_the_validator_tells_good_from_bad(self, said, file, code, word):
        run = said[f"validate {file}"]

        assert (run.returncode, word in run.stdout + run.stderr) == (code, True), run.stderr

    def test_an_upgrade_keeps_what_is_written_today(self, said):
        assert yaml.safe_load(said["upgrade"].stdout) == yaml.safe_load(STRICT)
