"""Every object fits its schema, strictly: Kubernetes' own by the schemas of its release, custom ones by schemas.yaml."""

import functools
import json
import re
import subprocess

import kubernetes_validate
import yaml

from world import K8S

VERSION = "1.37"
CUSTOM = {(it["apiVersion"], it["kind"]): it for it in yaml.safe_load((K8S / "lib/schemas.yaml").read_text())}
SCALARS = {
    "string": lambda v: isinstance(v, str) and "\n" not in v,
    "text": lambda v: isinstance(v, str),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "boolean": lambda v: isinstance(v, bool),
    "digits": lambda v: isinstance(v, str) and v.isdigit(),
    "duration": lambda v: isinstance(v, str) and bool(re.fullmatch(r"(\d+(\.\d+)?(ns|us|ms|s|m|h))+", v)),
    "labels": lambda v: isinstance(v, dict) and all(isinstance(x, str) for pair in v.items() for x in pair),
}


def check(world):
    for it in world.objects:
        name = f"{it['kind']} {it['metadata']['name']}"
        custom = CUSTOM.get((it["apiVersion"], it["kind"]))
        if custom:
            unknown = set(it) - {"apiVersion", "kind", "metadata", "spec"}
            yield from (f"{name}: {field} is no field of it" for field in sorted(unknown))
            yield from (f"{name}: {why}" for why in fits(it["spec"], custom["spec"], "spec"))
            continue
        yield from (f"{name}: {why}" for why in native(it))


def native(it):
    return said_once(json.dumps(it))


@functools.cache
def said_once(text):
    it = json.loads(text)
    try:
        kubernetes_validate.validate(it, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [f"{'.'.join(str(part) for part in error.path)}: {error.message}"]
    except kubernetes_validate.SchemaNotFoundError:
        return [f"{it['apiVersion']} is of neither Kubernetes {VERSION} nor schemas.yaml"]
    return []


def fits(value, shape, where):
    """What of a value does not have its shape."""
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f"{where} is no object"
            return
        fields = {key.rstrip("!"): (part, key.endswith("!")) for key, part in shape.items()}
        for key in value:
            if key not in fields:
                yield f"{where}.{key} is no field that schemas.yaml knows"
            else:
                yield from fits(value[key], fields[key][0], f"{where}.{key}")
        yield from (f"{where}.{key} is missing" for key, (_, due) in fields.items() if due and key not in value)
    elif isinstance(shape, list):
        if not isinstance(value, list) or not value:
            yield f"{where} is no list with something in it"
            return
        for ix, item in enumerate(value):
            yield from fits(item, shape[0], f"{where}[{ix}]")
    elif shape == "behavior":
        yield from behavior(value, where)
    elif shape in SCALARS:
        if not SCALARS[shape](value):
            yield f"{where} is {value!r}; it takes {shape}"
    elif value not in shape.split("|"):
        yield f"{where} is {value!r}; it takes {shape}"


def behavior(value, where):
    """A HorizontalPodAutoscaler that is nothing but this one's behavior."""
    around = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "any"},
        "spec": {"maxReplicas": 1, "scaleTargetRef": {"kind": "any", "name": "any"}, "behavior": value},
    }
    yield from (f"{where}: {why}" for why in native(around))


def second_opinion(worlds, modules):
    """What the models of the authors' own types say, where node has them."""
    kinds = ("ScaledObject", "PodMonitor", "PrometheusRule")
    objects = [it for world in worlds for kind in kinds for it in world.of(kind)]
    program = modules / "keda.mjs"
    done = subprocess.run(
        ["node", str(program)], input=json.dumps(objects), capture_output=True, text=True, check=False
    )
    if done.returncode:
        yield f"node {program.name}: {done.stderr.strip().splitlines()[-1]}"
    yield from done.stdout.splitlines()
