"""cert-manager/: a certificate for each that shows one, by an authority that the others know, for what it is shown for."""

from urllib.parse import urlsplit

import files
from units import seconds

# What cert-manager takes for what is not said.
LIFE = "2160h"


def check(world, mounted):
    """Beside the certificates: a world in which they are mounted."""
    made = {it["spec"]["secretName"]: it for it in world.of("Certificate")}
    holders = {secret: pod for pod in mounted.pods() for _, secret, _ in files.secrets(pod) if secret.startswith("tls-")}
    leaves = {name for name, it in made.items() if not it["spec"].get("isCA")}
    yield from (f"cert-manager/ makes no {name}, which is mounted" for name in sorted(holders.keys() - leaves))
    yield from (f"cert-manager/ makes {name}, which nobody mounts" for name in sorted(leaves - holders.keys()))
    for name, it in made.items():
        where = f"Certificate {it['metadata']['name']}"
        yield from (f"{where}: {why}" for why in lasting(it["spec"]))
        yield from (f"{where}: {why}" for why in issued(world, made, it["spec"]))
        if name in holders:
            yield from (f"{where}: {why}" for why in used(mounted, holders[name], it["spec"]))
    yield from one_authority({name: it for name, it in made.items() if name in leaves})


def lasting(spec):
    life = spec.get("duration", LIFE)
    before = spec.get("renewBefore")
    if before and seconds(before) >= seconds(life):
        yield f"renewBefore is {before}, and it lives {life}: it would be renewed as soon as it is there"


def issued(world, made, spec):
    """Its issuer is there; one that signs with a Secret has it from an authority that is made here."""
    reference = spec["issuerRef"]
    kind = reference.get("kind", "Issuer")
    issuer = world.get(kind, reference["name"])
    if not issuer:
        yield f"there is no {kind} {reference['name']}"
        return
    if "selfSigned" in issuer["spec"] and not spec.get("isCA"):
        yield f"{kind} {reference['name']} signs with the certificate's own key: nobody trusts it but itself"
    signer = issuer["spec"].get("ca", {}).get("secretName")
    if signer and not (signer in made and made[signer]["spec"].get("isCA")):
        yield f"{kind} {reference['name']} signs with {signer}, which is no authority's"


def one_authority(leaves):
    """Each checks the others with the ca.crt beside its own certificate: that is the same one for all."""
    by = {}
    for it in leaves.values():
        by.setdefault(it["spec"]["issuerRef"]["name"], []).append(it["metadata"]["name"])
    if len(by) > 1:
        said = "; ".join(f"{issuer}: {', '.join(names)}" for issuer, names in sorted(by.items()))
        yield f"cert-manager/: they know each other by one authority, and have several issuers ({said})"


def used(world, pod, spec):
    """Clients show theirs to the servers; a server shows its own to clients, and as a client to the other servers."""
    server = pod.kind == "StatefulSet"
    usages = spec.get("usages", ["digital signature", "key encipherment"])
    for usage in ("server auth", "client auth") if server else ("client auth",):
        if usage not in usages:
            yield f"it is not for {usage}, and {pod} shows it as a {usage.partition(' ')[0]}"
    if server:
        asked = urlsplit(world.config("engine")["JETSAGA_NATS_URL"].split(",")[0]).hostname
        for name in (asked, f"*.{pod.owner['spec']['serviceName']}"):
            if name not in spec.get("dnsNames", []):
                yield f"it is not for {name}"
