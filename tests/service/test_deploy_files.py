"""The files an operator starts from agree with the code they deploy."""

import json
import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from service.errors import MisdirectedError
from service.http.hosts import HostPolicy
from service.observability.metrics import TABLE as METRICS
from service.redis.keys import RedisKeys
from service.settings import Settings

ROOT = Path(__file__).parent.parent.parent
DEPLOY = [ROOT / "docker-compose.yml", ROOT / "docker-compose.gpu.yml", ROOT / "Dockerfile"]
DEPLOY += sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))


def test_every_setting_in_the_deployment_exists() -> None:
    """A misspelt environment variable would be ignored silently."""
    known = {f"GANYMEDE_{name.upper()}" for name in Settings.model_fields}
    compose_only = {"GANYMEDE_IMAGE", "GANYMEDE_PUBLISH", "GANYMEDE_SECRETS", "GANYMEDE_GPU"}
    for file in DEPLOY:
        used = set(re.findall(r"GANYMEDE_[A-Z_]*[A-Z]", file.read_text()))
        assert used <= known | compose_only, f"{file.name}: {used - known - compose_only}"


def test_the_dashboard_asks_for_metrics_that_exist() -> None:
    """No panel stays empty because of a renamed metric."""
    board = json.loads((ROOT / "deploy" / "grafana.json").read_text())
    asked = {name for panel in board["panels"] for t in panel["targets"] for name in metrics_in(t["expr"])}
    assert asked
    assert asked <= set(METRICS), asked - set(METRICS)


def metrics_in(expression: str) -> set[str]:
    return {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in re.findall(r"ganymede_([a-z_]+)", expression)}


def test_workers_scale_on_the_stream_they_take_jobs_from() -> None:
    """KEDA looks at the key that the queue writes."""
    assert f'stream: "{RedisKeys().name("running")}"' in (ROOT / "deploy" / "kubernetes" / "keda.yaml").read_text()


def test_no_store_in_the_deployment_may_evict() -> None:
    """Every Redis we start keeps its log and refuses writes instead of throwing latents away."""
    for file in (ROOT / "docker-compose.yml", ROOT / "deploy" / "kubernetes" / "redis.yaml"):
        text = file.read_text()
        assert '"--maxmemory-policy", "noeviction"' in text
        assert '"--appendonly", "yes", "--appendfsync", "always"' in text


def test_the_fleet_is_one_image_confined_and_started_again() -> None:
    """API and workers run from one image without rights; whoever dies, Redis too, is started again."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert {services[name]["restart"] for name in ("api", "worker", "redis")} == {"unless-stopped"}
    assert services["api"]["image"] == services["worker"]["image"]
    for name in ("api", "worker"):
        assert (services[name]["read_only"], services[name]["cap_drop"]) == (True, ["ALL"])


def test_manifests_fit_the_kubernetes_schemas() -> None:
    """`kubectl apply` accepts them; KEDA's own kind is not part of Kubernetes' schemas."""
    checked = 0
    for file in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml")):
        for manifest in yaml.safe_load_all(file.read_text()):
            if manifest["apiVersion"].startswith("keda.sh/"):
                continue
            kubernetes_validate.validate(manifest, "1.31", strict=True)
            checked += 1
    assert checked == 7


def test_the_deployments_name_the_hosts_they_are_reached_by() -> None:
    """Other containers say `api`; pods say the service's name; probes and scrapes say an address."""
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["api"]["environment"]
    pods = list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "api.yaml").read_text()))
    listed = pods[1]["spec"]["template"]["spec"]["containers"][0]["env"]
    on_kubernetes = {row["name"]: row["value"] for row in listed}["GANYMEDE_ALLOWED_HOSTS"]
    default = re.fullmatch(r"\$\{GANYMEDE_ALLOWED_HOSTS:-(.*)\}", compose["GANYMEDE_ALLOWED_HOSTS"])
    assert default
    for allowed, hosts in (
        (default[1], ("api:8000", "localhost:8000", "172.18.0.4:8000")),
        (on_kubernetes, ("ganymede", "ganymede.shop.svc.cluster.local", "10.2.3.4:8000", "[fd00::7]:8000")),
    ):
        policy = HostPolicy(Settings(host="0.0.0.0", allowed_hosts=allowed))
        for host in hosts:
            policy.check("GET", "1.1", [(b"host", host.encode())])
        with pytest.raises(MisdirectedError):
            policy.check("GET", "1.1", [(b"host", b"evil.example")])
