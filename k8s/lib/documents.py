"""What is made from something else is as it: rules, resources for NACK, the stock; and README.md names what there is."""

import re
import subprocess
import tempfile
from pathlib import Path

import yaml

import promql
import rules
from world import K8S, ROOT

README = K8S / "README.md"


def copies(tool):
    if rules.TARGET.read_text() != rules.text():
        yield "overlays/prod/rules.yaml is not deploy/prometheus/rules.yaml; run k8s/generate"
    if (K8S / "overlays/dev/stock.json").read_text() != (ROOT / "deploy/seed/stock.json").read_text():
        yield "overlays/dev/stock.json is not deploy/seed/stock.json; run k8s/generate"
    with tempfile.TemporaryDirectory() as folder:
        tool.ask("topology", "nack", "--write", folder)
        for name in ("streams.yaml", "consumers.yaml"):
            if (K8S / "nack" / name).read_text() != (Path(folder) / name).read_text():
                yield f"nack/{name} is not what the topology says; run k8s/generate"


def nack(objects):
    """A resource for each stream and consumer, that outlives its deletion; each consumer's stream is there."""
    streams = {it["spec"]["name"] for it in objects if it["kind"] == "Stream"}
    for it in objects:
        name = it["metadata"]["name"]
        if it["spec"].get("preventDelete") is not True:
            yield f"{it['kind']} {name}: who deletes it deletes what is in it"
        if it["kind"] == "Consumer" and it["spec"]["streamName"] not in streams:
            yield f"Consumer {name}: there is no Stream {it['spec']['streamName']}"


def adapter():
    """What prometheus-adapter asks Prometheus is PromQL on series that there are."""
    values = yaml.safe_load((K8S / "scaling/hpa/prometheus-adapter.values.yaml").read_text())
    for rule in values["rules"]["external"]:
        query = rule["metricsQuery"].replace("<<.LabelMatchers>>", 'consumer="any"')
        yield from (f"prometheus-adapter: {why}" for why in promql.mistakes(query, promql.metrics()))
        yield from (f"prometheus-adapter: {why}" for why in promql.mistakes(rule["seriesQuery"], promql.metrics()))


def chart(world):
    """The values for the official chart say the same server as the manifests."""
    values = yaml.safe_load((K8S / "chart/nats.values.yaml").read_text())
    nats = world.pod("nats")
    for container in nats.containers():
        part = values["container" if container["name"] == "nats" else container["name"]]
        if f"{part['image']['repository']}:{part['image']['tag']}" != container["image"]:
            yield f"chart/: {part['image']['repository']}:{part['image']['tag']} is not {container['image']}"
        for name in ("resources", "securityContext"):
            if part["merge"][name] != container[name]:
                yield f"chart/: {name} of {container['name']} is {part['merge'][name]}, and the manifests say {container[name]}"
    config, conf = values["config"], world.config("nats-config")["nats.conf"]
    said = {
        "replicas": (config["cluster"]["replicas"], nats.replicas()),
        "sync_interval": (config["jetstream"]["merge"]["sync_interval"], re.search(r"sync_interval: (\w+)", conf)[1]),
        "GOMEMLIMIT": (values["container"]["env"]["GOMEMLIMIT"], world.environment(nats.containers()[0])["GOMEMLIMIT"]),
    }
    yield from (f"chart/: {name} is {a}, and the manifests say {b}" for name, (a, b) in said.items() if a != b)


def commands():
    """Every line of README.md that is to be typed."""
    blocks = re.findall(r"^```sh\n(.*?)^```", README.read_text(), re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def guide(worlds, tool):
    """Every command of README.md names files, objects and words of the tool that there are."""
    there = {(it["kind"].lower(), it["metadata"]["name"]) for world in worlds for it in world.objects}
    for line in commands():
        for folder in re.findall(r"(?:-k|-f) (k8s/[\w./-]+|deploy/[\w./-]+)", line):
            if not (ROOT / folder).exists():
                yield f"README.md: there is no {folder}: {line}"
        for kind, name in re.findall(r"\b(deployment|statefulset|job|service|pod|pvc)/([\w-]+)", line):
            known = (kind, name) in there or (kind == "pod" and ("statefulset", name.rpartition("-")[0]) in there)
            if not known and kind != "pvc":
                yield f"README.md: there is no {kind}/{name}: {line}"
        for words in re.findall(r"(?:^|/)jetsaga ((?:[a-z]+ ?)+)", line):
            yield from (f"README.md: {why}: {line}" for why in unknown(tool, words.split()))


def unknown(tool, words):
    """The first word that is no command of the one before it."""
    asked = []
    for word in words:
        listed = re.search(r"^Commands:\n(.*?)\n\n", tool.ask(*asked, "--help"), re.MULTILINE | re.DOTALL)
        if not listed:
            return
        if not re.search(rf"^  {word} ", listed[1], re.MULTILINE):
            yield f"jetsaga has no command {' '.join([*asked, word])}"
            return
        asked.append(word)


def made_by_readme():
    """The Secrets and ConfigMaps that its commands make, by kind and name, each with its keys: the commands are run, with
    files that stand in for the real ones, and nothing is asked of a cluster."""
    made = {"secret": {}, "configmap": {}}
    with tempfile.TemporaryDirectory() as folder:
        for line in commands():
            if " create " not in line or "kubectl" not in line:
                continue
            loop = re.fullmatch(r"for (\w+) in ([\w ]+); do (.*); done", line)
            # What is after a pipe asks a cluster.
            lines = [loop[3].replace(f"${loop[1]}", name) for name in loop[2].split()] if loop else [line]
            for words in (line.partition(" | ")[0].split() for line in lines):
                for file in (word.rpartition("=")[2] for word in words if word.startswith("--from-file=")):
                    (Path(folder) / file).parent.mkdir(parents=True, exist_ok=True)
                    (Path(folder) / file).touch()
                done = subprocess.run(
                    [*words, "--dry-run=client", "-o", "yaml"], cwd=folder, capture_output=True, text=True, check=False
                )
                if done.returncode:
                    raise SystemExit(f"README.md: {' '.join(words)}: {done.stderr.strip()}")
                it = yaml.safe_load(done.stdout)
                made[it["kind"].lower()][it["metadata"]["name"]] = set(it["data"])
    return made


def server_takes(world, nats_server, tool):
    """What nats-server itself says to a configuration, with certificates and keys that stand in for the real ones."""
    conf = world.config("nats-config").get("nats.conf", "")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "nats.conf").write_text(conf.replace("/etc/nats-tls/", f"{folder}/").replace("/run/nats/", f"{folder}/").replace("/data", f"{folder}/data"))
        if "tls.crt" in conf:
            make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=nats -days 1 -keyout tls.key -out tls.crt"
            subprocess.run(make.split(), cwd=folder, check=True, capture_output=True)
            (place / "ca.crt").write_text((place / "tls.crt").read_text())
        users = ROOT / "deploy/nats/users.conf"
        if "users.conf" in conf and not users.exists():
            yield "there is no deploy/nats/users.conf; make it with `jetsaga topology users`"
            return
        if "users.conf" in conf:
            (place / "users.conf").write_text(users.read_text())
            subprocess.run([tool.path, "topology", "users", "--keys", folder], check=True, capture_output=True)
        done = subprocess.run(
            [nats_server, "-t", "-c", str(place / "nats.conf")], capture_output=True, text=True, check=False, env={"NATS_NODE": "nats-0"}
        )
        if done.returncode:
            yield f"nats-server does not take it: {(done.stderr or done.stdout).strip()}"
