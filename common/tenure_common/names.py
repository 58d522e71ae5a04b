"""Every name that the outside sees: ports, variables, labels, prefixes.

A name that two processes must agree on stands here once.  Names of the wire protocol (RPC paths,
metadata keys) belong to the protocol and stand with its codecs.
"""

from __future__ import annotations

# Default ports.  50001 and 3500 are where Dapr SDKs look, 4001 is where Durable Task SDKs look.
PORT_GRPC = 50001
PORT_TASKHUB = 4001
PORT_HTTP = 3500
PORT_HEALTH = 3501
PORT_PEERS = 50002
PORT_GATEWAY = 8443
PORT_WEBHOOK = 9443
PORT_KUBERNETES_API = 8444

# Health, on PORT_HEALTH of every process in a cluster.
PATH_LIVE = "/healthz"
PATH_READY = "/readyz"
PATH_METRICS = "/metrics"

LOOPBACK = "127.0.0.1"

# Settings: `TENURE_GRPC_PORT` for `--grpc-port`; `TENURE_CONFIG` names the file.
VARIABLE_PREFIX = "TENURE_"
VARIABLE_CONFIG = "TENURE_CONFIG"
VARIABLE_SERVER = "TENURE_SERVER"  # the command line's, from where processes are started too

# What an app beside the engine finds in its environment, as under `dapr run`.
APP_ID = "APP_ID"
DAPR_GRPC_PORT = "DAPR_GRPC_PORT"
DAPR_GRPC_ENDPOINT = "DAPR_GRPC_ENDPOINT"
DAPR_HTTP_PORT = "DAPR_HTTP_PORT"
DAPR_HTTP_ENDPOINT = "DAPR_HTTP_ENDPOINT"
DAPR_API_TOKEN = "DAPR_API_TOKEN"  # noqa: S105 - the name of a variable
TENURE_API_TOKEN = "TENURE_API_TOKEN"  # noqa: S105 - the same, as the engine's own setting

# Kubernetes.
API_GROUP = "tenure.dev"
API_VERSION = "v1alpha1"
MANAGE_GROUP = "manage.tenure.dev"  # the API that gateways add to the cluster's own
CATEGORY = "tenure"
ANNOTATION_INJECT = "tenure.dev/inject"
ANNOTATION_APP_ID = "tenure.dev/app-id"
ANNOTATION_INJECTED = "tenure.dev/injected"  # the injector's version, on a pod that has the engine
ANNOTATION_DAPR_ENABLED = "dapr.io/enabled"
LABEL_INJECT = ANNOTATION_INJECT
LABEL_APP_ID = ANNOTATION_APP_ID  # the injector sets it, so that selectors find an app's pods
LABEL_STORE = "tenure.dev/store"  # on a namespace: "true" gives it a user of etcd
SIDECAR_CONTAINER = "tenure"
STORE_SECRET = "tenure-store"  # noqa: S105 - the name of a Secret in the app's namespace
PEERS_SECRET = "tenure-peers"  # noqa: S105 - the same, for TLS between the engines of an app
PEERS_DOMAIN = "peers.tenure.dev"  # of the DNS names in certificates that engines show each other

# Metrics of ours all begin with this.
METRIC_PREFIX = "tenure_"

# Where the documentation is published.
DOCS = "https://tenure.dev/docs"


def docs_page(code: str) -> str:
    """Address of an error code's page."""
    return f"{DOCS}/errors/{code}"


def store_prefix(namespace: str, app_id: str) -> str:
    """Prefix of all keys of one app in a shared store."""
    return f"/tenure/{namespace}/{app_id}/"
