"""Mistakes made on purpose: nats-servers, certificates, keys, policies."""

from mutations import container, mistake, spec, template


def nats(world):
    return container(world, "nats", "StatefulSet")


def rewrite(world, before, after):
    data = world.config("nats-config")
    data["nats.conf"] = data["nats.conf"].replace(before, after, 1)


def mounts(world, name):
    return next(it for it in nats(world)["volumeMounts"] if it["name"] == name)


def secret(world, workload, name):
    return next(it["secret"] for it in template(world, workload)["spec"]["volumes"] if it["name"] == name)


def certificate(world, name):
    return spec(world, "Certificate", name)


@mistake("servers that ask for no user", "nats.conf: it includes no users.conf")
def _(world):
    rewrite(world, "include users.conf\n", "")


@mistake("users for workers that do not sign", "has no JETSAGA_NATS_NKEY_FILE: nobody comes in")
def _(world):
    del world.config("engine")["JETSAGA_NATS_NKEY_FILE"]


@mistake("servers that ask clients for no certificate", "nats.conf: tls asks for no certificate")
def _(world):
    rewrite(world, "  verify: true\n", "  verify: false\n")


@mistake("servers that ask clients for no certificate, by a word left out", "nats.conf: tls asks for no certificate")
def _(world):
    rewrite(world, "  verify: true\n", "")


@mistake("routes without TLS", "nats.conf: cluster.tls asks for no certificate")
def _(world):
    before, _, after = world.config("nats-config")["nats.conf"].rpartition("  tls {")
    world.config("nats-config")["nats.conf"] = before + after[after.index("  }") + 3 :]


@mistake("an old TLS", "min_version is 1.2")
def _(world):
    rewrite(world, 'min_version: "1.3"', 'min_version: "1.2"')


@mistake("a configuration mounted elsewhere", "--config names /etc/nats/nats.conf, and nothing is mounted there")
def _(world):
    mounts(world, "config")["mountPath"] = "/etc/natsx"


@mistake("a configuration of another name", "--config names /etc/nats/server.conf, and what is mounted at /etc/nats has")
def _(world):
    nats(world)["command"] = ["nats-server", "--config=/etc/nats/server.conf"]


@mistake("users that are not mounted", "include names /etc/nats/users.conf, and what is mounted at /etc/nats has nats.conf")
def _(world):
    volumes = template(world, "nats", "StatefulSet")["spec"]["volumes"]
    sources = next(it["projected"]["sources"] for it in volumes if it["name"] == "config")
    sources.remove(next(it for it in sources if it["configMap"]["name"] == "nats-users"))


@mistake("certificates mounted elsewhere", "tls.cert_file names /etc/nats-tls/tls.crt, and nothing is mounted there")
def _(world):
    mounts(world, "tls")["mountPath"] = "/etc/tls"


@mistake("a volume that is not where the streams are", "jetstream.store_dir is /data, and its claim is not mounted there")
def _(world):
    mounts(world, "data")["mountPath"] = "/jetstream"


@mistake("a file of the process where nothing is writable", "pid_file is /nats.pid, where it may not write")
def _(world):
    rewrite(world, "pid_file: /run/nats/nats.pid", "pid_file: /nats.pid")


@mistake("a file of the process among the configuration", "pid_file is /etc/nats/nats.pid, where it may not write")
def _(world):
    rewrite(world, "pid_file: /run/nats/nats.pid", "pid_file: /etc/nats/nats.pid")


@mistake("a signal by another file", "its preStop reads /run/nats/nats.pid, and pid_file is /run/nats/server.pid")
def _(world):
    rewrite(world, "pid_file: /run/nats/nats.pid", "pid_file: /run/nats/server.pid")


@mistake("a stop without a warning", "no preStop sends the signal ldm")
def _(world):
    del nats(world)["lifecycle"]


@mistake("a server that is restarted while it catches up", "its livenessProbe asks /healthz; it asks /healthz?js-enabled-only=true")
def _(world):
    nats(world)["livenessProbe"]["httpGet"]["path"] = "/healthz"


@mistake("a server that is restarted when the others are away", "its livenessProbe asks /healthz?js-server-only=true")
def _(world):
    nats(world)["livenessProbe"]["httpGet"]["path"] = "/healthz?js-server-only=true"


@mistake("a server that is well before it has caught up", "its startupProbe asks /healthz?js-enabled-only=true; it asks /healthz")
def _(world):
    nats(world)["startupProbe"]["httpGet"]["path"] = "/healthz?js-enabled-only=true"


@mistake("another port for clients", "its port client is 4222, and in nats.conf it is 4223")
def _(world):
    rewrite(world, "\nport: 4222", "\nport: 4223")


@mistake("another port to monitor", "its port monitor is 8222, and in nats.conf it is 8223")
def _(world):
    rewrite(world, "http_port: 8222", "http_port: 8223")


@mistake("another port for routes", "its port cluster is 6222, and in nats.conf it is 6223")
def _(world):
    rewrite(world, "  port: 6222", "  port: 6223")


@mistake("more memory for Go than there is", "GOMEMLIMIT is 1GiB, and its limit of memory 1Gi")
def _(world):
    next(it for it in nats(world)["env"] if it["name"] == "GOMEMLIMIT")["value"] = "1GiB"


@mistake("streams in memory that fill it", "jetstream.max_memory_store is 1GB, and GOMEMLIMIT 800MiB")
def _(world):
    rewrite(world, "max_memory_store: 64MB", "max_memory_store: 1GB")


@mistake("a volume without room", "its volume of 12Gi has no room beside max_file_store 12GB")
def _(world):
    rewrite(world, "max_file_store: 10GB", "max_file_store: 12GB")


@mistake("streams that go with their server", "persistentVolumeClaimRetentionPolicy.whenScaled is Delete")
def _(world):
    spec(world, "StatefulSet", "nats")["persistentVolumeClaimRetentionPolicy"]["whenScaled"] = "Delete"


@mistake("servers that wait for each other", "podManagementPolicy is OrderedReady: the first waits for the second")
def _(world):
    spec(world, "StatefulSet", "nats")["podManagementPolicy"] = "OrderedReady"


@mistake("servers that do not find each other", "Service nats-headless does not publishNotReadyAddresses")
def _(world):
    del spec(world, "Service", "nats-headless")["publishNotReadyAddresses"]


@mistake("a majority that may go", "PodDisruptionBudget nats lets 2 of 3 go")
def _(world):
    spec(world, "PodDisruptionBudget", "nats")["maxUnavailable"] = 2


@mistake("a majority that may go, as a share", "PodDisruptionBudget nats lets 2 of 3 go")
def _(world):
    spec(world, "PodDisruptionBudget", "nats")["maxUnavailable"] = "50%"


@mistake("a majority that may go, by what stays", "PodDisruptionBudget nats lets 2 of 3 go")
def _(world):
    budget = spec(world, "PodDisruptionBudget", "nats")
    budget["minAvailable"] = 1
    del budget["maxUnavailable"]


@mistake("servers that share a zone", "it is not spread over zones")
def _(world):
    del template(world, "nats", "StatefulSet")["spec"]["topologySpreadConstraints"]


@mistake("servers kept apart from somebody else", "two of them may run on one node")
def _(world):
    anti = template(world, "nats", "StatefulSet")["spec"]["affinity"]["podAntiAffinity"]
    anti["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"]["matchLabels"]["app.kubernetes.io/name"] = "nast"


@mistake("a Secret that others may read", "Secret gateway-keys is mounted with 0644, so others may read it")
def _(world):
    secret(world, "gateway", "keys")["defaultMode"] = 0o644


@mistake("a Secret with the mode that it has by itself", "Secret nkey-order is mounted with 0644")
def _(world):
    del secret(world, "order", "nkey")["defaultMode"]


@mistake("a Secret that its user may not read", "Secret nkey-order is mounted with 0400, and fsGroup is 65532")
def _(world):
    secret(world, "order", "nkey")["defaultMode"] = 0o400


@mistake("a Secret of a group that its user is not in", "Secret nkey-order is mounted with 0440, and fsGroup is none")
def _(world):
    del template(world, "order")["spec"]["securityContext"]["fsGroup"]


@mistake("another worker's key", "Deployment payment: it mounts nkey-order, with which it may do what order may")
def _(world):
    secret(world, "payment", "nkey")["secretName"] = "nkey-order"


@mistake("another worker's certificate", "which is of tls-order; its own is tls-payment")
def _(world):
    secret(world, "payment", "tls")["secretName"] = "tls-order"


@mistake("another worker's key, beside its own", "Deployment payment: it mounts nkey-topology")
def _(world):
    extra = {"name": "more", "secret": {"secretName": "nkey-topology", "defaultMode": 0o440}}
    template(world, "payment")["spec"]["volumes"].append(extra)


@mistake("a gateway that asks nobody, beside its keys", "it has GATEWAY_WITHOUT_AUTHENTICATION beside GATEWAY_KEYS")
def _(world):
    container(world, "gateway")["env"].append({"name": "GATEWAY_WITHOUT_AUTHENTICATION", "value": "true"})


@mistake("a gateway that asks nobody, with an Ingress", "Ingress gateway leads the world to it: everybody is an operator")
def _(world):
    env = container(world, "gateway")["env"]
    env.remove(next(it for it in env if it["name"] == "GATEWAY_KEYS"))
    env.append({"name": "GATEWAY_WITHOUT_AUTHENTICATION", "value": "true"})


@mistake("a gateway without its keys", "it has neither GATEWAY_KEYS nor GATEWAY_WITHOUT_AUTHENTICATION")
def _(world):
    env = container(world, "gateway")["env"]
    env.remove(next(it for it in env if it["name"] == "GATEWAY_KEYS"))


def world_block(world):
    return spec(world, "NetworkPolicy", "effects-to-world")["egress"][0]["to"][0]["ipBlock"]


@mistake("a way to the world that leads inside", "ipBlock 0.0.0.0/0 lets to 169.254.0.0/16, which is inside")
def _(world):
    del world_block(world)["except"]


@mistake("a way to the world that leads to some of the inside", "ipBlock 0.0.0.0/0 lets to 172.16.0.0/12")
def _(world):
    world_block(world)["except"][3] = "172.16.0.0/16"


@mistake("a way to the world that leads only inside", "ipBlock 10.0.0.0/8 lets to 10.0.0.0/8, which is inside")
def _(world):
    block = world_block(world)
    block["cidr"] = "10.0.0.0/8"
    del block["except"]


@mistake("a range that is none", "ipBlock: '203.0.113.0/33' does not appear to be")
def _(world):
    world_block(world)["cidr"] = "203.0.113.0/33"


@mistake("an exception of another range", "ipBlock: except 10.0.0.0/8 is no part of 203.0.113.0/24")
def _(world):
    world_block(world)["cidr"] = "203.0.113.0/24"


def opened(world, name, side):
    return spec(world, "NetworkPolicy", name)[side][0]["ports"]


@mistake("a way to NATS for datagrams", "is open for UDP, and TCP is spoken there")
def _(world):
    opened(world, "clients-to-nats", "egress")[0]["protocol"] = "UDP"


@mistake("a way into NATS for datagrams", "is open for UDP, and TCP is spoken there")
def _(world):
    opened(world, "nats", "ingress")[0]["protocol"] = "UDP"


@mistake("names by TCP alone", "port 53 is open for TCP, and TCP and UDP is spoken there")
def _(world):
    opened(world, "names", "egress").pop(0)


@mistake("names by UDP alone", "port 53 is open for UDP, and TCP and UDP is spoken there")
def _(world):
    opened(world, "names", "egress").pop(1)


@mistake("an Ingress for a host without a certificate", "its rule is for order.example.com, and no entry of tls is")
def _(world):
    spec(world, "Ingress", "gateway")["rules"][0]["host"] = "order.example.com"


@mistake("an Ingress for every host", "its rule is for every host, and no entry of tls is")
def _(world):
    del spec(world, "Ingress", "gateway")["rules"][0]["host"]


@mistake("a certificate that is renewed without end", "renewBefore is 2160h, and it lives 720h", "cert-manager")
def _(world):
    certificate(world, "order").update(duration="720h", renewBefore="2160h")


@mistake("an issuer that there is not", "Certificate order: there is no Issuer jetsagas", "cert-manager")
def _(world):
    certificate(world, "order")["issuerRef"]["name"] = "jetsagas"


@mistake("a certificate that nobody signed", "Issuer self-signed signs with the certificate's own key", "cert-manager")
def _(world):
    certificate(world, "order")["issuerRef"]["name"] = "self-signed"


@mistake("an authority that is a worker", "Issuer jetsaga signs with tls-order, which is no authority's", "cert-manager")
def _(world):
    spec(world, "Issuer", "jetsaga")["ca"]["secretName"] = "tls-order"


@mistake("two authorities", "and have several issuers (jetsaga: ", "cert-manager")
def _(world):
    other = {"apiVersion": "cert-manager.io/v1", "kind": "Issuer", "metadata": {"name": "other"}, "spec": {"ca": {"secretName": "tls-authority"}}}
    world.objects.append(other)
    certificate(world, "order")["issuerRef"]["name"] = "other"


@mistake("a server that cannot show itself to the others", "Certificate nats: it is not for client auth", "cert-manager")
def _(world):
    certificate(world, "nats")["usages"] = ["server auth"]


@mistake("a worker's certificate for servers", "Certificate order: it is not for client auth", "cert-manager")
def _(world):
    certificate(world, "order")["usages"] = ["server auth"]


@mistake("a server under another name", "Certificate nats: it is not for *.nats-headless", "cert-manager")
def _(world):
    certificate(world, "nats")["dnsNames"].remove("*.nats-headless")


@mistake("a certificate that nobody makes, for a worker", "cert-manager/ makes no tls-order, which is mounted", "cert-manager")
def _(world):
    world.objects.remove(world.get("Certificate", "order"))
