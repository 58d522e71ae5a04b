"""AdmissionReview v1: what the API server sends and what it gets back.

The API server sends one JSON object with the pod in it and expects one with the same ``uid``.  An
answer that it cannot use counts as no answer, and then the webhook's failure policy decides; so
what is not a review is refused with HTTP 400, and everything that has a ``uid`` gets an answer with
a reason.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from tenure_common.errors import BadReviewError
from tenure_injector.patch import Operation

VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
LONGEST_WARNING: Final = 256  # characters; the API server cuts longer ones off
MOST_WARNINGS: Final = 8
LONGEST_MESSAGE: Final = 2048


class Kind(msgspec.Struct, frozen=True):
    """What is being admitted."""

    group: str = ""
    version: str = ""
    kind: str = ""


class User(msgspec.Struct, frozen=True):
    """Who asks for it."""

    username: str = ""


class Request(msgspec.Struct, frozen=True, rename="camel"):
    """The part of a review that the injector reads."""

    uid: str
    kind: Kind = Kind()
    namespace: str = ""
    name: str = ""
    operation: str = ""
    dry_run: bool | None = None
    user_info: User = User()
    object: msgspec.Raw = msgspec.Raw(b"null")

    @property
    def is_new_pod(self) -> bool:
        """Whether a pod is being created."""
        return self.kind.kind == "Pod" and not self.kind.group and self.operation == "CREATE"


class _Review(msgspec.Struct, frozen=True, rename="camel"):
    api_version: str
    kind: str
    request: Request


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the API server is told.

    ``status`` is the HTTP status that the pod's creator sees when it is not allowed; ``warnings``
    are shown by kubectl; ``audit`` goes into the API server's audit log.
    """

    uid: str
    allowed: bool
    status: int = 200
    message: str = ""
    reason: str = ""
    patch: Sequence[Operation] = ()
    warnings: tuple[str, ...] = ()
    audit: dict[str, str] = {}


_decoder = msgspec.json.Decoder(_Review)
_encoder = msgspec.json.Encoder()


def decode(body: bytes) -> Request:
    """The request of a review.  Raises: BadReviewError, saying what is wrong with it."""
    try:
        review = _decoder.decode(body)
    except RecursionError as error:
        message = "the body is not an AdmissionReview: it is nested too deeply"
        raise BadReviewError(message) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        message = f"the body is not an AdmissionReview: {error}"
        raise BadReviewError(message) from error
    if (review.api_version, review.kind) != (VERSION, KIND):
        message = (
            f"the body is a {review.kind} of {review.api_version}; "
            f"the injector takes {KIND} of {VERSION}"
        )
        raise BadReviewError(message)
    if not review.request.uid:
        message = "the review's request has no uid, so it cannot be answered"
        raise BadReviewError(message)
    return review.request


def encode(answer: Answer) -> bytes:
    """The body of the reply."""
    response: dict[str, Any] = {"uid": answer.uid, "allowed": answer.allowed}
    if not answer.allowed:
        response["status"] = {
            "status": "Failure",
            "code": answer.status,
            "reason": answer.reason,
            "message": answer.message[:LONGEST_MESSAGE],
        }
    if answer.patch:
        response["patchType"] = "JSONPatch"
        response["patch"] = base64.b64encode(_encoder.encode(answer.patch)).decode()
    if answer.warnings:
        response["warnings"] = [warning[:LONGEST_WARNING] for warning in _shown(answer.warnings)]
    if answer.audit:
        response["auditAnnotations"] = answer.audit
    return _encoder.encode({"apiVersion": VERSION, "kind": KIND, "response": response})


class Form(NamedTuple):
    """The body of a reply, without the ``uid``: what stands before and behind it."""

    before: bytes
    behind: bytes

    def addressed(self, uid: str) -> bytes:
        """The body for this review."""
        return b"".join((self.before, _encoder.encode(uid), self.behind))


def form(answer: Answer) -> Form:
    """The body of a reply to whoever asks; the answer's own ``uid`` must be empty."""
    before, uid, behind = encode(answer).partition(b'"uid":""')
    return Form(before + uid[:-2], behind)


def _shown(warnings: tuple[str, ...]) -> tuple[str, ...]:
    """As many as the API server passes on; the last says how many are not among them."""
    if len(warnings) <= MOST_WARNINGS:
        return warnings
    shown = warnings[: MOST_WARNINGS - 1]
    return (*shown, f"tenure: and {len(warnings) - len(shown)} more, which are told as Events")
