"""One tree of errors; every error that a user can meet has a stable code and a page.

::

    TenureError
    ├── UsageError            the command, a flag, a setting or a request is wrong
    ├── StateError            the request is right, the instance is in the wrong state
    ├── LimitError            something is larger than it may be
    ├── UnsupportedError      a known operation that Tenure does not do
    ├── StoreError            the database refused, failed or is not reachable (TN06: etcd)
    ├── TransportError        ports, connections, workers
    ├── OperatorError         a Kubernetes resource that cannot be followed
    └── InjectorError         a pod, a review or a certificate of the injector

The message says what happened, to what, and what to do.  The code (TN…) has a page in docs/errors/.
The gRPC status, HTTP status and exit code that the outside sees derive from the class; texts that
SDKs match on are noted where they are raised.
"""

from __future__ import annotations

from typing import ClassVar


class TenureError(Exception):
    """Base of all errors of Tenure."""

    code: ClassVar[str] = "TN0001"
    grpc: ClassVar[str] = "INTERNAL"  # name of the gRPC status code
    http: ClassVar[int] = 500
    exit: ClassVar[int] = 1

    def __str__(self) -> str:
        """The message with its code in front."""
        return f"{self.code}: {self.message}"

    @property
    def message(self) -> str:
        """The message alone."""
        return str(self.args[0]) if self.args else (self.__doc__ or "").strip()

    @property
    def details(self) -> dict[str, str]:
        """Facts for programs (``field``, ``instanceId``, ...): the second argument, if any."""
        return dict(self.args[1]) if len(self.args) > 1 else {}


def by_code(code: str) -> type[TenureError]:
    """The class with that code; ``TenureError`` itself for a code of another version."""
    classes = [TenureError]
    for cls in classes:
        if cls.code == code:
            return cls
        classes.extend(cls.__subclasses__())
    return TenureError


class UsageError(TenureError):
    """The command, a flag, a setting or a request is wrong."""

    code = "TN0002"
    grpc = "INVALID_ARGUMENT"
    http = 400
    exit = 2


class BadSettingError(UsageError):
    """A flag, environment variable or configuration key is unknown or has a bad value."""

    code = "TN0003"


class BadRequestError(UsageError):
    """A request could not be decoded or misses a field."""

    code = "TN0004"


class BadCursorError(UsageError):
    """A page token is not one that this server gave out."""

    code = "TN0005"


class BadTurnError(UsageError):
    """A worker's answer contradicts itself."""

    code = "TN0007"


class KubectlError(UsageError):
    """kubectl is not there, or cannot be used with these flags."""

    code = "TN0009"


class BadRerunError(UsageError):
    """The instance or the event cannot be rerun from."""

    code = "TN0008"


class ClocksDifferError(TenureError):
    """The wall clocks of sidecars differ by more than a second."""

    code = "TN0010"


class NameTakenError(TenureError):
    """Another live process of the app runs under the same name."""

    code = "TN0011"


class PortInUseError(TenureError):
    """A port that Tenure should listen on is taken."""

    code = "TN0006"
    exit = 5


class StateError(TenureError):
    """The request does not fit the state that the instance is in."""

    code = "TN0100"
    grpc = "FAILED_PRECONDITION"
    http = 409
    exit = 4


class NoSuchInstanceError(StateError):
    """There is no instance with that id."""

    code = "TN0101"
    grpc = "NOT_FOUND"
    http = 404
    exit = 3


class InstanceExistsError(StateError):
    """The id is taken by another instance."""

    code = "TN0102"
    grpc = "ALREADY_EXISTS"


class NotTerminalError(StateError):
    """The operation needs an instance that has ended."""

    code = "TN0103"


class IllegalTransitionError(StateError):
    """A turn would bring the instance into a state that it cannot reach from where it is."""

    code = "TN0104"


class NoSuchEventError(StateError):
    """The history has no event with that id, or not one that can be rerun from."""

    code = "TN0105"
    grpc = "NOT_FOUND"
    http = 404
    exit = 3


class StalledError(StateError):
    """The workflow is stalled."""

    code = "TN0106"


class StaleTurnError(StateError):
    """A worker's answer belongs to a state that the instance is not in any more."""

    code = "TN0107"


class NotFailedError(StateError):
    """The operation needs an instance that has failed."""

    code = "TN0108"


class NoSuchAppError(StateError):
    """This server does not serve that app."""

    code = "TN0109"
    grpc = "NOT_FOUND"
    http = 404
    exit = 3


class NoSuchJobError(StateError):
    """There is no bulk job with that id."""

    code = "TN0110"
    grpc = "NOT_FOUND"
    http = 404
    exit = 3


class RequestKeyReusedError(StateError):
    """The request key was used for another request."""

    code = "TN0111"


class SettingsChangedError(StateError):
    """The app's settings are at another version than the request names."""

    code = "TN0112"


class LimitError(TenureError):
    """Something is larger than it may be."""

    code = "TN0200"
    grpc = "RESOURCE_EXHAUSTED"
    http = 413
    exit = 2


class MessageTooLargeError(LimitError):
    """A message is larger than the limit."""

    code = "TN0201"


class TooManyInFlightError(LimitError):
    """A queue is full; try again later."""

    code = "TN0202"
    http = 429
    exit = 5


class UnsupportedError(TenureError):
    """Tenure does not do this; docs/compatibility.md lists what it does."""

    code = "TN0300"
    grpc = "UNIMPLEMENTED"
    http = 501
    exit = 2


class OperatorError(TenureError):
    """The operator cannot do what a resource asks for."""

    code = "TN0800"


class BadScheduleError(OperatorError):
    """The schedule or its time zone cannot be followed."""

    code = "TN0801"
    grpc = "INVALID_ARGUMENT"
    http = 400
    exit = 2


class BadResourceError(OperatorError):
    """A resource cannot be read: the CRDs are of another version."""

    code = "TN0802"
    exit = 5


class NoCrdsError(OperatorError):
    """The API server does not know Tenure's resources."""

    code = "TN0803"
    exit = 5


class GatewayUnavailableError(OperatorError):
    """The gateway cannot be reached, or did not answer in time."""

    code = "TN0804"
    grpc = "UNAVAILABLE"
    http = 503
    exit = 5


class GatewayRefusedError(OperatorError):
    """The gateway did not accept the operator, or answered with what it cannot read."""

    code = "TN0805"
    exit = 5


class ClusterUnavailableError(OperatorError):
    """The Kubernetes API server cannot be reached, or asks for a pause."""

    code = "TN0806"
    grpc = "UNAVAILABLE"
    http = 503
    exit = 5


class ClusterRefusedError(OperatorError):
    """The Kubernetes API server refused a request of the operator."""

    code = "TN0807"
    exit = 5


class LeaseLostError(OperatorError):
    """Another operator has taken over."""

    code = "TN0808"
    exit = 5


class InjectorError(TenureError):
    """The injector could not do its work."""

    code = "TN0900"


class BadReviewError(InjectorError):
    """What was sent to the injector is no admission review of a pod."""

    code = "TN0901"
    grpc = "INVALID_ARGUMENT"
    http = 400
    exit = 2


class BadAnnotationError(InjectorError):
    """An annotation of a pod has a value that it cannot have."""

    code = "TN0902"
    grpc = "INVALID_ARGUMENT"
    http = 400
    exit = 2


class UnsuitablePodError(InjectorError):
    """The engine cannot run in a pod like this."""

    code = "TN0903"
    grpc = "FAILED_PRECONDITION"
    http = 409
    exit = 4


class ClusterApiError(InjectorError):
    """The Kubernetes API refused a call or cannot be reached."""

    code = "TN0904"
    grpc = "UNAVAILABLE"
    http = 503
    exit = 5


class BadCertificateError(InjectorError):
    """A certificate or key cannot be used."""

    code = "TN0905"


class StoreError(TenureError):
    """The database refused or failed."""

    code = "TN0400"
    grpc = "UNAVAILABLE"
    http = 503
    exit = 5


class StoreLockedError(StoreError):
    """Another process uses this database."""

    code = "TN0401"


class StoreNewerError(StoreError):
    """The store, or a record of it, was written by a newer version of Tenure."""

    code = "TN0402"


class StoreCorruptError(StoreError):
    """The database is damaged."""

    code = "TN0403"
    grpc = "DATA_LOSS"
    http = 500


class StoreFullError(StoreError):
    """The disk or the store's quota is full; nothing was changed."""

    code = "TN0404"
    grpc = "UNAVAILABLE"  # not RESOURCE_EXHAUSTED: the Dapr Python SDK would fail the task for good
    http = 507


class StoreUnavailableError(StoreError):
    """The store cannot be reached; nothing was changed."""

    code = "TN0405"


class OutcomeUnknownError(StoreError):
    """A write may or may not have happened."""

    code = "TN0406"


class TransportError(TenureError):
    """A connection, stream or worker is not usable."""

    code = "TN0500"
    grpc = "UNAVAILABLE"
    http = 503
    exit = 5


class ShuttingDownError(TransportError):
    """The engine is shutting down."""

    code = "TN0501"


class NotOwnerError(TransportError):
    """This sidecar does not own the instance (any more)."""

    code = "TN0502"


class ServerUnreachableError(TransportError):
    """No server answers where the command looked for one."""

    code = "TN0503"


class NoGatewayError(TransportError):
    """The cluster has no gateway of Tenure, or it does not answer."""

    code = "TN0504"


class ConfigConflictError(StoreError):
    """A setting differs from what the task hub was created with."""

    code = "TN0407"
    grpc = "FAILED_PRECONDITION"
    http = 409


class EtcdRefusedError(StoreError):
    """etcd refused a request; nothing was changed."""

    code = "TN0600"
    grpc = "INTERNAL"
    http = 500


class EtcdCompactedError(EtcdRefusedError):
    """etcd has forgotten the revision that was asked for."""

    code = "TN0601"


class EtcdLeaseGoneError(EtcdRefusedError):
    """The lease has ended, and what it held with it."""

    code = "TN0602"


class EtcdAccessError(StoreUnavailableError):
    """etcd does not let this user do that; nothing was changed."""

    code = "TN0603"


class EtcdFullError(StoreFullError):
    """etcd has no room left; nothing was changed."""

    code = "TN0604"


class EtcdUnavailableError(StoreUnavailableError):
    """etcd cannot be reached or has no leader; nothing was changed."""

    code = "TN0605"


class EtcdOutcomeUnknownError(OutcomeUnknownError):
    """A write was sent to etcd and not answered: it may or may not have happened."""

    code = "TN0606"


class EtcdTooLargeError(EtcdRefusedError):
    """The request is larger than etcd takes; nothing was changed."""

    code = "TN0607"


class EtcdWentBackError(OutcomeUnknownError):
    """etcd is in an earlier state than it was: what was written since is gone."""

    code = "TN0608"


class EtcdOtherClusterError(OutcomeUnknownError):
    """Another etcd cluster answers than the one this process began with."""

    code = "TN0609"


# --- the management API and the command line ------------------------------------------------------


class EndedError(StateError):
    """The instance has ended and takes nothing more."""

    code = "TN0701"


class CursorExpiredError(StateError):
    """What came after the cursor is not known any more."""

    code = "TN0702"
    grpc = "OUT_OF_RANGE"
    http = 410


class AccessError(TenureError):
    """The caller may not do this."""

    code = "TN0710"
    grpc = "PERMISSION_DENIED"
    http = 403
    exit = 6


class ForeignCallerError(AccessError):
    """The request comes from a web page, or names another host."""

    code = "TN0711"


class BadTokenError(AccessError):
    """The token is missing or wrong."""

    code = "TN0712"
    grpc = "UNAUTHENTICATED"
    http = 401


class NotPermittedError(AccessError):
    """The caller is known, and may not do this."""

    code = "TN0713"


class NoRightError(AccessError):
    """The Kubernetes API server does not let this user do that."""

    code = "TN0714"


class NoSuchRouteError(UsageError):
    """The server has no such path."""

    code = "TN0720"
    grpc = "NOT_FOUND"
    http = 404


class MethodNotAllowedError(UsageError):
    """The path is there, but not with this method."""

    code = "TN0721"
    http = 405


class SlowRequestError(UsageError):
    """The request's body did not arrive in time."""

    code = "TN0722"
    grpc = "DEADLINE_EXCEEDED"
    http = 408
