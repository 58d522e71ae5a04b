"""Values: described, bounded, used; what they become in the settings of our own processes."""

from __future__ import annotations

import json
import os
import pkgutil
import re
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

import click
import kubernetes_validate
import pytest
import yaml

from support.helm import CHART, Helm, HelmError, Json, containers, example, named, of_kind, pods
from tenure_cli.commands import PROCESSES, VERBS
from tenure_common import settings
from tenure_injector import runtime
from tenure_injector.config import Config as InjectorConfig
from tenure_injector.meters import Meters
from tenure_operator.config import Config as OperatorConfig
from tenure_sidecar.config import GatewayConfig, SidecarConfig
from tenure_sidecar.etcd import Tls
from tenure_sidecar.selftest import SelftestConfig
from tenure_sidecar.store.etcd.address import parse as parse_address
from tenure_sidecar.upkeep.config import UpkeepConfig, wanted

ROOT = CHART.parents[1]
VALUES: Json = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
README = CHART / "README.md"
CONFIGS: dict[str, type[Any]] = {
    "gateway": GatewayConfig,
    "injector": InjectorConfig,
    "operator": OperatorConfig,
    "selftest": SelftestConfig,
    "sidecar": SidecarConfig,
    "upkeep": UpkeepConfig,
}
MEMBERS = [
    f"tenure-flows-etcd-{one}.tenure-flows-etcd-peers.tenure-system.svc:2379" for one in range(3)
]
OPEN = {"nodeSelector", "affinity", "annotations", "labels", "commonLabels", "resources"}
OPEN |= {"podLabels", "podAnnotations"}
CHECKED = {"Deployment", "StatefulSet", "Role", "RoleBinding", "MutatingWebhookConfiguration"}


def leaves(values: Json, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that can be set, by its path."""
    for key, value in values.items():
        inside = f"{path}.{key}" if path else key
        if isinstance(value, dict) and value and key not in OPEN:
            yield from leaves(value, inside)
        else:
            yield inside, value


def described() -> dict[str, str]:
    """Path to the text of its ``# --`` comment."""
    found: dict[str, str] = {}
    stack: list[tuple[int, str]] = []
    text = ""
    for line in (CHART / "values.yaml").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"\s*# -- (.*)", line):
            text = match[1]
        elif match := re.match(r"( *)(\w+):", line):
            depth = len(match[1])
            stack = [one for one in stack if one[0] < depth]
            stack.append((depth, match[2]))
            if text:
                found[".".join(name for _, name in stack)] = text
            text = ""
    return found


def table() -> str:
    """The README's table."""
    rows = ["| value | default | meaning |", "|---|---|---|"]
    texts = described()
    for path, value in leaves(VALUES):
        shown = json.dumps(value) if value not in ("", [], {}) else ""
        rows.append(f"| `{path}` | {f'`{shown}`' if shown else ''} | {texts.get(path, '')} |")
    return "\n".join(rows)


def test_every_value_is_described() -> None:
    assert set(described()) == {path for path, _ in leaves(VALUES)}


def test_every_value_is_in_the_schema_and_no_other() -> None:
    def walk(schema: Json, values: Any, path: str) -> None:
        if schema.get("type") != "object" or "properties" not in schema:
            return
        assert schema["additionalProperties"] is False, path
        known = set(schema["properties"]) - {"global"}
        assert known == set(values), path
        for key in known:
            walk(schema["properties"][key], values[key], f"{path}.{key}")

    walk(SCHEMA, VALUES, "")


def test_every_value_is_used() -> None:
    templates = "\n".join(
        path.read_text(encoding="utf-8")
        for path in (CHART / "templates").rglob("*")
        if path.is_file()
    )
    placed = {"priorityClassName", "nodeSelector", "tolerations", "affinity"}
    placed |= {"podLabels", "podAnnotations"}
    for path, _ in leaves(VALUES):
        last = path.rsplit(".", 1)[-1]
        if last in placed or last == "topologySpreadConstraints":
            assert f"$values.{last}" in templates
            continue
        parent, _, name = path.rpartition(".")
        direct = f".Values.{path}" in templates
        through = parent == "image" and f"$image.{name}" in templates
        through |= f"$etcd.{path.removeprefix('store.etcd.')}" in templates
        assert direct or through, path


def test_readme_has_them_all() -> None:
    text = README.read_text(encoding="utf-8")
    made = re.sub(
        r"(<!-- values: begin -->\n).*?(<!-- values: end -->)",
        lambda match: f"{match[1]}\n{table()}\n\n{match[2]}",
        text,
        flags=re.DOTALL,
    )
    if os.environ.get("TENURE_WRITE_GOLDEN") == "1":
        README.write_text(made, encoding="utf-8")
        text = made
    assert text == made


@pytest.mark.parametrize("seconds", [0, 5, 300])
def test_a_replica_of_the_injector_may_drain_and_a_whole_one_is_left(
    seconds: int, helm: Helm
) -> None:
    objects = helm.template(*example("injector"), "--set", f"injector.drainSeconds={seconds}")
    config = injector_of(objects)
    assert config.drain == seconds
    (deployment,) = of_kind(objects, "Deployment")
    spec = deployment["spec"]["template"]["spec"]
    # It is killed only after it had time for what was open when the draining ended.
    assert spec["terminationGracePeriodSeconds"] >= seconds + 2 * config.grace
    assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    (budget,) = of_kind(objects, "PodDisruptionBudget")
    assert budget["spec"]["maxUnavailable"] == 1 < deployment["spec"]["replicas"]


@pytest.mark.parametrize(
    "change",
    [
        "injector.replica=2",
        "injector.replicas=0",
        "injector.failurePolicy=Maybe",
        "injector.timeoutSeconds=60",
        "injector.drainSeconds=-1",
        "injector.excludeNamespaces={Shop}",
        "injector.resources.limits.memory=lots",
        "image.digest=latest",
        "image.pullPolicy=Sometimes",
        "log.level=trace",
        "compat.dapr=maybe",
        "sidecar.resources.limits.cpu=lots",
        "injector.resources.limits.cpu=",
        "sidecar.resources.limit={}",
        "store.etcd.external.endpoints={https://etcd:2379}",
        "store.etcd.members=2",
        "store.etcd.quotaBytes=1",
        "store.etcd.image.tag=",
        "store.etcd.persistence.size=lots",
        "store.etcd.compactionRetention=soon",
        "store.byLabel=maybe",
        "store.appSecret=No",
        "store.peersSecret=",
        "upkeep.schedule=daily",
        "gateway.replicas=0",
        "gateway.tlsSecret=No",
        "gateway.callers.me.token=abc",
        "gateway.callers.me.tokens={short}",
        "operator.replicas=9",
        "operator.namespaces={Shop}",
        "operator.gatewayAnswerSeconds=0",
        "operator.giveUpSeconds=0",
        "crds.keep=maybe",
        "store.etcd.image.digest=latest",
        "gateway.podAnnotations.a=1",
        "unheard=1",
    ],
)
def test_bad_value_is_refused(change: str, helm: Helm) -> None:
    with pytest.raises(HelmError) as caught:
        helm.template(*example("default"), "--set", change)
    *parents, name = change.split("=", maxsplit=1)[0].split(".")
    said = str(caught.value)
    assert name in said
    assert all(parent in said for parent in parents)


@pytest.mark.parametrize("where", ["commonLabels", "gateway.podLabels"])
def test_a_label_by_which_pods_are_found_is_not_anothers(where: str, helm: Helm) -> None:
    label = r"app\.kubernetes\.io/name"
    with pytest.raises(HelmError, match=where.rpartition(".")[2]):
        helm.template(*example("default"), "--set", f"{where}.{label}=mine")


def test_texts_that_look_like_numbers_stay_texts(helm: Helm) -> None:
    changes = [
        "image.pullSecrets={123}",
        "gateway.priorityClassName=123",
        "store.etcd.persistence.storageClass=1e3",
        "store.namespaces={123}",
        "operator.namespaces={456}",
        "injector.excludeNamespaces={789}",
    ]
    words = [word for change in changes for word in ("--set-string", change)]
    for one in helm.template(*example("default"), *words):
        if one["kind"] in CHECKED:
            kubernetes_validate.validate(one, "1.34", strict=False)


def test_names_that_look_like_numbers_stay_texts(helm: Helm) -> None:
    words = ("--set", "fullnameOverride=t", "--set", "monitoring.enabled=true")
    objects = helm.template(*example("labels"), *words, release="123", namespace="2024")
    for one in objects:
        if one["kind"] in CHECKED:
            kubernetes_validate.validate(one, "1.34", strict=False)
        assert one["metadata"].get("namespace", "") in {"", "2024", "kube-system"}
        assert one["metadata"]["labels"]["app.kubernetes.io/instance"] == "123"


def test_a_spread_may_have_its_own_selector(helm: Helm) -> None:
    spread = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    own = {**spread, "labelSelector": {"matchLabels": {"team": "shop"}}}
    text = json.dumps([spread, own])
    words = ("--set-json", f"gateway.topologySpreadConstraints={text}")
    made = dict(pods(helm.template(*example("default"), *words)))["Deployment/tenure-gateway"]
    first, second = made["spec"]["topologySpreadConstraints"]
    assert first["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == "gateway"
    assert second == own


@pytest.mark.parametrize("component", ["injector", "gateway", "operator", "upkeep", "store.etcd"])
def test_marks_of_pods(component: str, helm: Helm) -> None:
    words = ("--set-json", f'{component}.podAnnotations={{"sidecar.istio.io/inject":"false"}}')
    more = ("--set", f"{component}.podLabels.team=shop", "--set", "commonLabels.team=platform")
    last = component.rpartition(".")[2]
    marked = {
        name: made["metadata"]["labels"]
        for name, made in pods(helm.template(*example("default"), *words, *more))
        if made["metadata"].get("annotations", {}).get("sidecar.istio.io/inject") == "false"
    }
    assert marked
    assert all(f"tenure-{last}" in name for name in marked)
    for labels in marked.values():
        assert (labels["team"], labels["app.kubernetes.io/component"]) == ("shop", last)


def test_a_digest_beats_the_tag_of_etcd(helm: Helm) -> None:
    digest = f"sha256:{'a' * 64}"
    words = ("--set", f"store.etcd.image.digest={digest}")
    made = dict(pods(helm.template(*example("default"), *words)))["StatefulSet/tenure-etcd"]
    assert made["spec"]["containers"][0]["image"] == f"gcr.io/etcd-development/etcd@{digest}"


def test_names_are_names_of_services(helm: Helm) -> None:
    made = helm.template(*example("default"), release="my.shop")
    services = [one["metadata"]["name"] for one in of_kind(made, "Service")]
    assert "my-shop-tenure-gateway" in services
    with pytest.raises(HelmError, match="fullnameOverride: set it"):
        helm.template(*example("default"), release="1st")


def test_missing_value_is_named(helm: Helm) -> None:
    with pytest.raises(HelmError, match=re.escape("image.repository")):
        helm.template(*example("default"), "--set", "image.repository=null")


def test_an_operator_without_a_gateway_is_refused(helm: Helm) -> None:
    with pytest.raises(HelmError, match=re.escape("set gateway.enabled")):
        helm.template(*example("default"), "--set", "gateway.enabled=false")


# --- the settings of our processes ----------------------------------------------------------------


def command_of(container: Json) -> tuple[list[str], dict[str, str]]:
    """Arguments and variables of a container."""
    env = {one["name"]: one.get("value", "from-the-pod") for one in container.get("env") or []}
    return list(container.get("args") or []), env


def test_our_commands_exist_and_take_what_they_get(objects: list[Json]) -> None:
    for name, pod in pods(objects):
        for container in containers(pod):
            if "command" in container:
                continue  # etcd's own image
            argv, env = command_of(container)
            if argv[0] in VERBS:
                verb: click.Command = pkgutil.resolve_name(VERBS[argv[0]].target)
                verb.make_context(argv[0], argv[1:])
                continue
            assert argv[0] in PROCESSES, name
            taken = settings.settings_of(CONFIGS[argv[0]])
            line = settings.parse(argv[1:], taken)
            assert set(env) <= {one.variable for one in taken}, name
            made = settings.resolve(CONFIGS[argv[0]], flags=line.flags, env=env)
            if isinstance(made, InjectorConfig):
                runtime.check(made)


@pytest.mark.parametrize(
    ("example", "name"), [("default", "tenure"), ("ha", "tenure"), ("everything", "tenure-flows")]
)
def test_the_upkeep_makes_what_the_others_mount(
    example: str, name: str, rendered: dict[str, list[Json]]
) -> None:
    objects = rendered[example]
    jobs = [pod for each, pod in pods(objects) if each.startswith(("Job/", "CronJob/"))]
    assert len(jobs) == 2
    assert jobs[0] == jobs[1]
    (container,) = containers(jobs[0])
    argv, env = command_of(container)
    line = settings.parse(argv[1:], settings.settings_of(UpkeepConfig))
    config = settings.resolve(
        UpkeepConfig, flags=line.flags, env={**env, "TENURE_NAMESPACE": "tenure-system"}
    )
    made = {one.secret for one in wanted(config) if one.namespace == "tenure-system"}
    apps = {(one.namespace, one.secret) for one in wanted(config)} - {
        ("tenure-system", one) for one in made
    }
    stored = {
        (one["metadata"]["namespace"], one["metadata"]["name"])
        for one in of_kind(objects, "Secret")
    }
    filled = {(one, f"flows-{what}") for one in ("bank", "shop") for what in ("store", "peers")}
    assert apps == (filled if "flows" in name else set())
    assert apps <= stored
    secrets = {one["metadata"]["name"] for one in of_kind(objects, "Secret")}
    assert made | {f"{name}-ca"} <= secrets
    role = next(
        one["rules"][0]
        for one in of_kind(objects, "Role")
        if one["metadata"] | {"namespace": "tenure-system", "name": f"{name}-upkeep"}
        == one["metadata"]
    )
    assert set(role["resourceNames"]) == made | {f"{name}-ca"}
    mounted: set[str] = set()
    for _, pod in pods(objects):
        for volume in pod["spec"]["volumes"]:
            sources = [volume, *volume.get("projected", {}).get("sources", ())]
            for source in sources:
                if "secret" in source:
                    secret = source["secret"]
                    mounted.add(secret.get("secretName") or secret["name"])
                    assert secret["items"], "a pod waits for keys that it names"
    assert mounted <= secrets | {f"{name}-gateway-access"}
    assert made - mounted == {f"{name}-etcd-root"}, "the administrator's no pod has"
    etcd = named(objects, "StatefulSet", config.etcd)
    assert etcd["spec"]["replicas"] == config.etcd_members
    assert (
        f"--quota-backend-bytes={config.etcd_quota}"
        in containers({"spec": etcd["spec"]["template"]["spec"]})[0]["args"]
    )


def test_a_job_of_another_content_has_another_name(helm: Helm) -> None:
    def name(*words: str) -> str:
        (job,) = of_kind(helm.template(*example("default"), *words), "Job")
        return str(job["metadata"]["name"])

    assert name() == name("--set", "gateway.replicas=3")
    assert name() != name("--set", "image.tag=v9")


def test_data_that_do_not_stay_are_warned_of(helm: Helm) -> None:
    def notes(*words: str) -> str:
        where = ("--namespace", "tenure-system", "--dry-run=client")
        return helm("install", "tenure", CHART, *where, *example("default"), *words)

    assert "WARNING" not in notes()
    assert "WARNING" in notes("--set", "store.etcd.persistence.enabled=false")


def injector_of(objects: list[Json], name: str = "tenure-injector") -> InjectorConfig:
    (pod,) = [pod for each, pod in pods(objects) if each == f"Deployment/{name}"]
    (container,) = containers(pod)
    argv, env = command_of(container)
    line = settings.parse(argv[1:], settings.settings_of(InjectorConfig))
    return settings.resolve(InjectorConfig, flags=line.flags, env=env)


def test_injector_of_the_defaults(rendered: dict[str, list[Json]]) -> None:
    config = injector_of(rendered["default"])
    assert config.webhook == config.service == "tenure-injector"
    assert config.certificate_secret == "tenure-injector-certificates"
    assert config.failure_policy == "fail"
    assert config.sidecar_image == "registry.example.org/tenure:0.1.0"
    assert config.sidecar_store == "etcd://tenure-etcd.tenure-system.svc:2379"
    assert config.sidecar_store_secret == "tenure-store"
    assert config.sidecar_peers_secret == "tenure-peers"
    assert config.sidecar_cpu_limit == "2"
    usual = InjectorConfig()
    for field in ("cpu_request", "cpu_limit", "memory_request", "memory_limit", "user", "native"):
        assert getattr(config, f"sidecar_{field}") == getattr(usual, f"sidecar_{field}"), field


def test_with_an_etcd_of_ones_own_only_the_engines_certificates_are_made(
    rendered: dict[str, list[Json]],
) -> None:
    objects = rendered["external-etcd"]
    secrets = [one for one in of_kind(objects, "Secret") if one["metadata"]["namespace"] == "shop"]
    assert [one["metadata"]["name"] for one in secrets] == ["tenure-peers"]
    (role,) = [one for one in of_kind(objects, "Role") if one["metadata"]["namespace"] == "shop"]
    assert [rule["resourceNames"] for rule in role["rules"]] == [["tenure-peers"]]
    kept = named(objects, "Secret", "tenure-ca")["metadata"]["annotations"]
    assert kept["helm.sh/resource-policy"] == "keep"


def test_injector_of_everything(rendered: dict[str, list[Json]]) -> None:
    config = injector_of(rendered["everything"], "tenure-flows-injector")
    assert config.failure_policy == "ignore"
    assert config.compat_dapr is True
    assert config.exclude_namespaces == ("kube-system", "infra")
    assert config.sidecar_image == "registry.example.org/engine:1"
    assert config.sidecar_image_pull_policy == "Always"
    assert config.sidecar_native is False
    assert (config.sidecar_cpu_limit, config.sidecar_memory_limit) == ("", "")
    assert config.sidecar_store == "etcd://" + ",".join(MEMBERS)
    assert config.sidecar_store_secret == "flows-store"
    assert config.sidecar_peers_secret == "flows-peers"
    assert config.log_level == "warning"


def test_injector_with_a_certificate_of_another_program(rendered: dict[str, list[Json]]) -> None:
    config = injector_of(rendered["cert-manager"])
    assert config.certificate == "/var/run/tenure/certificate/tls.crt"
    assert config.key == "/var/run/tenure/certificate/tls.key"


def test_alerts_are_about_metrics_that_exist(rendered: dict[str, list[Json]]) -> None:
    rule = named(rendered["ha"], "PrometheusRule", "tenure")
    metrics = Meters().metrics.render().decode()
    others = [
        (ROOT / "sidecar/tenure_sidecar/gateway.py").read_text(encoding="utf-8"),
        (ROOT / "sidecar/tenure_sidecar/meters.py").read_text(encoding="utf-8"),
        (ROOT / "operator/tenure_operator/meters.py").read_text(encoding="utf-8"),
    ]
    for group in rule["spec"]["groups"]:
        for alert in group["rules"]:
            for name in re.findall(r"tenure_\w+", alert["expr"]):
                known = f"# TYPE {name.removesuffix('_total')}" in metrics
                assert known or any(f'"{name}"' in text for text in others), name
            for code in re.findall(r"TN\d{4}", alert["annotations"]["description"]):
                assert (ROOT / "docs" / "errors" / f"{code}.md").exists()


def test_chart_and_program_have_one_version() -> None:
    from tenure_common.version import VERSION

    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (VERSION, VERSION)


def test_the_engines_take_the_store_that_the_chart_names(rendered: dict[str, list[Json]]) -> None:
    address = parse_address(injector_of(rendered["ha"]).sidecar_store, tls=Tls("ca", "cert", "key"))
    domain = "tenure-etcd-peers.tenure-system.svc:2379"
    assert address.endpoints == tuple(f"https://tenure-etcd-{one}.{domain}" for one in range(3))


def test_notes_tell_the_next_command(helm: Helm) -> None:
    text = helm(
        "install", "tenure", CHART, "--namespace", "tenure-system", "--dry-run=client",
        *example("default"),
    )  # fmt: skip
    notes = text.split("NOTES:")[1]
    assert '{"tenure.dev/inject":"true"}' in notes
    (workflow,) = re.findall(r"<<END\n(.*?)    END", notes, re.DOTALL)
    made = yaml.safe_load(dedent(workflow))
    assert (made["apiVersion"], made["kind"]) == ("tenure.dev/v1alpha1", "Workflow")
