"""What GitHub and git read: workflows, forms, hooks, and the commands they name."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import check_jsonschema
import pytest
import yaml

from tests.conftest import PAGES, ROOT
from tools.lock import HOOKS, PYTHONS, read_pins

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
SCHEMAS = {
    "vendor.github-workflows": WORKFLOWS,
    "vendor.dependabot": [GITHUB / "dependabot.yml"],
    "vendor.github-issue-forms": sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml")),
}
# Beside make and .ci/run: what only the runner can do, or only GitHub's own client.
SYSTEM = r"sudo apt-get (update|install) |git diff |gh issue "
PYTHON = r"(\.venv/bin/|\$PROGRAMS/)?python -m (tools|pytest|pip install -r)"
COMMAND = re.compile(
    rf"make |{PYTHON}|jupyter-book build \.$|"
    rf"(sudo env [^;&|]* )?(bash )?\.ci/run$|{SYSTEM}"
)


def tool(name, *arguments):
    """Status and output of a command of this environment, run in the checkout."""
    command = [Path(sys.executable).with_name(name), *arguments]
    run = subprocess.run(
        command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False
    )
    return run.returncode, run.stdout + run.stderr


def jobs(workflow):
    return yaml.safe_load(workflow.read_text("utf-8"))["jobs"]


def steps(workflow):
    return [step for job in jobs(workflow).values() for step in job["steps"]]


def targets():
    """Names that can be made."""
    rules = re.findall(
        r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE
    )
    return set(rules)


def follows(schema, files):
    """Whether files follow a schema; what does not is printed."""
    with pytest.raises(SystemExit) as ended:
        check_jsonschema.main(["--builtin-schema", schema, *map(str, files)])
    return ended.value.code == 0


def test_files_follow_githubs_schemas():
    for schema, files in SCHEMAS.items():
        assert follows(schema, files), schema


def test_a_file_that_does_not_follow_its_schema_is_found(tmp_path, capsys):
    path = tmp_path / "job.yml"
    path.write_text("on: push\njobs: {a: {steps: 1}}", encoding="utf-8")
    assert not follows("vendor.github-workflows", [path])
    assert "$.jobs.a" in capsys.readouterr().out


ZIZMOR = ["--offline", "--no-progress", "--quiet", "--format=plain"]


def test_workflows_leak_nothing_and_ask_for_little():
    status, said = tool("zizmor", *ZIZMOR, ".github")
    assert status == 0, said


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("make assignments book", "make ${{ github.head_ref }}", "template-injection"),
        ("actions/deploy-pages@v5", "someone/deploy-pages@v5", "unpinned-uses"),
        ("contents: read", "contents: write", "excessive-permissions"),
        ("persist-credentials: false", "fetch-depth: 1", "artipacked"),
    ],
)
def test_a_planted_mistake_is_found(right, wrong, says, tmp_path):
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    shutil.copy(GITHUB / "zizmor.yml", folder.parent)
    text = (GITHUB / "workflows" / "book.yml").read_text("utf-8")
    assert right in text
    (folder / "book.yml").write_text(text.replace(right, wrong), encoding="utf-8")
    status, said = tool("zizmor", *ZIZMOR, str(tmp_path / ".github"))
    assert status != 0 and says in said


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_run_what_a_developer_can_run(workflow):
    for step in steps(workflow):
        for line in step.get("run", "").splitlines():
            assert COMMAND.match(line), line
            if line.startswith("make "):
                named = {word for word in line.split()[1:] if "=" not in word}
                assert named and named <= targets(), line


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_actions_are_pinned_and_jobs_end(workflow):
    for job in jobs(workflow).values():
        assert job["timeout-minutes"] <= 120
    for step in steps(workflow):
        # GitHub's own by major version, any other by hash: see zizmor.yml.
        pinned = r"actions/[a-z-]+@v\d+|[\w-]+/[\w-]+@[0-9a-f]{40}"
        assert re.fullmatch(pinned, step.get("uses", "actions/a@v1"))
    assert "permissions" in yaml.safe_load(workflow.read_text("utf-8"))


def test_pythons_of_the_matrix():
    """From the oldest that the package admits to the newest that the locks are for."""
    matrix = jobs(GITHUB / "workflows" / "test.yml")["package"]["strategy"]["matrix"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["requires-python"] == f">={matrix['python'][0]}"
    assert matrix["python"] == PYTHONS


def test_package_is_tested_alone_and_against_keras():
    """Without Keras by default, in a minute; with it in CI, on each Python."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    rule = makefile[makefile.index("\ntest-package:") :].partition("\n\n")[0]
    assert rule.endswith(" tests/unrolled") and (ROOT / "tests" / "unrolled").is_dir()
    package = jobs(GITHUB / "workflows" / "test.yml")["package"]
    assert "EXTRA=book" in package["steps"][-1]["run"]


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "pull_request_template.md"])
def test_guides_name_only_what_there_is(name):
    text = (GITHUB / name).read_text("utf-8")
    assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets()
    for path in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (GITHUB / path).exists(), path
    for path in re.findall(r"`((?:book|unrolled|tests|\.\w+)/[\w./-]*)`", text):
        assert (ROOT / path).exists(), path


def test_hooks_have_the_versions_of_the_lists():
    """And run on Windows: no path of an environment."""
    (local,) = yaml.safe_load((ROOT / HOOKS).read_text("utf-8"))["repos"]
    pins = dict(read_pins(ROOT / "tests" / "requirements.txt"))
    for hook in local["hooks"]:
        name = hook["entry"].split()[0]
        assert hook["additional_dependencies"] == [f"{name}=={pins[name]}"]


@pytest.mark.slow
def test_nothing_to_strip_from_notebooks():
    masters = sorted((ROOT / "book" / "assignments").glob("*.ipynb"))
    template = GITHUB / "page-template.ipynb"
    status, said = tool(
        "nbstripout", "--keep-id", "--verify", *PAGES, *masters, template
    )
    assert status == 0, said
