"""Checks everything in k8s/ that can be checked without a cluster. Arguments: the tool `jetsaga`, a nats-server, and the
folder with node's modules, or nothing where node is not there."""

import functools
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent / "deploy/lib"))

import certificates
import documents
import identity
import links
import mistakes_servers  # with the next: what they make is listed in mutations
import mistakes_workers
import monitor
import mutations
import network
import paths
import restricted
import scaling
import schemas
import server
import trial
import work
import workloads
from world import Tool, World, render

OVERLAYS = ("overlays/dev", "overlays/prod")
PARTS = ("base", "nack", "cert-manager", "scaling/keda", "scaling/hpa")
CHECKS = (
    schemas.check,
    restricted.check,
    links.check,
    work.check,
    workloads.check,
    identity.check,
    server.check,
    paths.check,
    network.check,
    scaling.check,
    monitor.check,
)


def main(jetsaga, nats_server, modules=None):
    tool = Tool(jetsaga)
    World.facts = {
        "tool": tool,
        "consumers": [it for it in json.loads(tool.ask("--json", "topology", "nack")) if it["kind"] == "Consumer"],
        "made": documents.made_by_readme(),
    }
    worlds = {folder: World(folder, render(folder)) for folder in OVERLAYS + PARTS}
    dev, prod = (worlds[folder] for folder in OVERLAYS)
    made = worlds["cert-manager"]
    written = {it["spec"]["secretName"]: {"ca.crt", "tls.crt", "tls.key"} for it in made.of("Certificate")}
    World.facts["made"]["secret"] |= written
    # Production with the other way to scale.
    kept = [it for it in prod.objects if it["kind"] != "ScaledObject"]
    kept = [it for it in kept if (it["kind"], it["metadata"]["name"]) != ("NetworkPolicy", "keda-to-monitor")]
    plain = World("overlays/prod with scaling/hpa", kept + worlds["scaling/hpa"].objects)

    problems = []
    for world in (dev, prod, plain):
        said = list(mutations.found(world, CHECKS))
        if world is not plain:
            said += mutations.found(world, (trial.check, lambda it: documents.server_takes(it, nats_server, tool)))
        report(world, said, problems)
    known = functools.partial(certificates.check, mounted=prod)
    for folder in PARTS:
        world = worlds[folder]
        said = list(mutations.found(world, (schemas.check,)))
        if folder == "nack":
            said += documents.nack(world.objects)
        if folder == "cert-manager":
            said += mutations.found(world, (known,))
        report(world, said, problems)
    if modules:
        said = list(schemas.second_opinion(worlds.values(), Path(modules)))
        print(f"{'second opinion of node':34} {len(said)} mistakes")
        problems += said
    asked = (documents.copies, documents.adapter, documents.chart, documents.guide)
    given = ((tool,), (), (prod,), (worlds.values(), tool))
    said = [why for check, args in zip(asked, given) for why in mutations.safely(check, *args)]
    print(f"{'copies, chart, adapter, README.md':34} {len(documents.commands()):3} commands, {len(said)} mistakes")
    problems += said
    played = {"prod": (prod, CHECKS), "hpa": (plain, CHECKS), "cert-manager": (made, (known,))}
    number, missed = mutations.caught(played)
    print(f"{'self-test':34} {number - len(missed)} of {number} mistakes made on purpose are found")
    problems += missed
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def report(world, said, problems):
    print(f"{world.name:34} {len(world.objects):3} objects, {len(said)} mistakes")
    problems += [f"{world.name}: {why}" for why in said]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
