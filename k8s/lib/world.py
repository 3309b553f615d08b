"""What kustomize renders, as things that can be asked: objects, pods, and what a pod's containers read."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

K8S = Path(__file__).resolve().parent.parent
ROOT = K8S.parent


def render(folder):
    """The objects of one kustomization."""
    done = subprocess.run(["kubectl", "kustomize", str(K8S / folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"k8s/{folder} cannot be rendered: {done.stderr.strip()}")
    return list(yaml.safe_load_all(done.stdout))


@dataclass
class Pod:
    """The pods of one workload, as its template says."""

    kind: str
    name: str
    labels: dict
    spec: dict
    owner: dict

    def __str__(self):
        return f"{self.kind} {self.name}"

    def containers(self):
        return self.spec["containers"] + self.spec.get("initContainers", [])

    def ports(self):
        """Every port by its name."""
        return {p["name"]: p["containerPort"] for c in self.containers() for p in c.get("ports", []) if "name" in p}

    def replicas(self):
        return self.owner["spec"].get("replicas")


@dataclass
class World:
    """One overlay."""

    name: str
    objects: list
    facts = {}  # what the repository says of itself, the same for all

    def of(self, kind):
        return [it for it in self.objects if it["kind"] == kind]

    def get(self, kind, name):
        return next((it for it in self.of(kind) if it["metadata"]["name"] == name), None)

    def pods(self):
        for kind in ("Deployment", "StatefulSet", "Job", "DaemonSet", "CronJob", "Pod", "ReplicaSet"):
            for it in self.of(kind):
                template = it["spec"].get("template", {})
                spec = template.get("spec", it["spec"] if kind == "Pod" else {"containers": []})
                labels = template.get("metadata", it["metadata"]).get("labels", {})
                yield Pod(kind, it["metadata"]["name"], labels, spec, it)

    def pod(self, name):
        return next((pod for pod in self.pods() if pod.name == name), None)

    def selected(self, selector):
        return [pod for pod in self.pods() if matches(selector, pod.labels)]

    def environment(self, container):
        """What it reads, by name. A value that comes from nowhere here is None."""
        read = {}
        for source in container.get("envFrom", []):
            named = self.get("ConfigMap", source.get("configMapRef", {}).get("name"))
            read |= (named or {}).get("data", {})
        for variable in container.get("env", []):
            read[variable["name"]] = variable.get("value")
            key = variable.get("valueFrom", {}).get("configMapKeyRef")
            if key:
                named = self.get("ConfigMap", key["name"]) or {}
                read[variable["name"]] = named.get("data", {}).get(key["key"])
        return read

    def config(self, prefix):
        """The data of the ConfigMap whose name begins so."""
        found = [it for it in self.of("ConfigMap") if it["metadata"]["name"].startswith(prefix)]
        return found[0].get("data", {}) if found else {}


def matches(selector, labels):
    """Whether a label selector takes these labels. One that is empty takes all."""
    selector = selector or {}
    wanted = selector.get("matchLabels", {}).items()
    if any(labels.get(key) != value for key, value in wanted):
        return False
    return all(_fits(rule, labels) for rule in selector.get("matchExpressions", []))


def _fits(rule, labels):
    value = labels.get(rule["key"])
    return {
        "In": lambda: value in rule["values"],
        "NotIn": lambda: value not in rule["values"],
        "Exists": lambda: value is not None,
        "DoesNotExist": lambda: value is None,
    }[rule["operator"]]()


class Tool:
    """The binary `jetsaga`: what it says of itself, asked once."""

    def __init__(self, path):
        self.path, self.said = path, {}

    def ask(self, *words):
        if words not in self.said:
            done = subprocess.run([self.path, *words], capture_output=True, text=True, check=True)
            self.said[words] = done.stdout
        return self.said[words]
