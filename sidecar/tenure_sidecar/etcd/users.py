"""Users and roles of etcd.

A user here has no password: a client *is* the user whose name its certificate bears as common name.
Each user has one role, of the same name, which covers the keys with one prefix.

Every change of a user or role makes etcd forget what it knew of all clients, so what is as it should
be is left alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from tenure_common.errors import EtcdRefusedError
from tenure_sidecar.etcd._generated import etcd_pb2 as pb
from tenure_sidecar.etcd.pool import Method
from tenure_sidecar.etcd.records import prefix_end

ROOT: Final = "root"  # etcd's name for who may do everything, as a user and as a role
_EXISTS: Final = "already exist"
_MISSING: Final = "not found"


def _method(name: str, *, write: bool = True) -> Method:
    request, response = (getattr(pb, f"Auth{name}{kind}") for kind in ("Request", "Response"))
    return Method(f"/etcdserverpb.Auth/{_path(name)}", request, response, write=write)


def _path(name: str) -> str:
    return {"Enable": "AuthEnable", "Status": "AuthStatus"}.get(name, name)


_ENABLE = _method("Enable")
_STATUS = _method("Status", write=False)
_USER_ADD = _method("UserAdd")
_USER_GET = _method("UserGet", write=False)
_USER_LIST = _method("UserList", write=False)
_USER_DELETE = _method("UserDelete")
_USER_GRANT = _method("UserGrantRole")
_ROLE_ADD = _method("RoleAdd")
_ROLE_GET = _method("RoleGet", write=False)
_ROLE_DELETE = _method("RoleDelete")
_ROLE_GRANT = _method("RoleGrantPermission")


class Users:
    """Who may do what in one cluster; the client must be ``root`` once that is asked for.

    All methods raise StoreError, and may be repeated after any of them.
    """

    def __init__(self, call: Callable[[Method, Any], Awaitable[Any]]) -> None:
        """``call`` sends a request to some member."""
        self._call = call

    async def required(self) -> bool:
        """Whether etcd asks who a client is."""
        return bool((await self._call(_STATUS, pb.AuthStatusRequest())).enabled)

    async def require(self) -> None:
        """Make the administrator, and have etcd ask every client who it is from now on."""
        await self._add(ROOT)
        await self._grant(ROOT, ROOT)
        await self._call(_ENABLE, pb.AuthEnableRequest())

    async def names(self) -> list[str]:
        """All users."""
        return sorted((await self._call(_USER_LIST, pb.AuthUserListRequest())).users)

    async def allow(self, user: str, prefix: bytes) -> bool:
        """Let a user read and write the keys with ``prefix``; returns whether it was new."""
        if prefix in await self._prefixes(user) and user in await self._roles(user):
            return False
        await self._unless(_EXISTS, _ROLE_ADD, pb.AuthRoleAddRequest(name=user))
        permission = pb.Permission(
            permType=pb.Permission.READWRITE, key=prefix, range_end=prefix_end(prefix)
        )
        await self._call(_ROLE_GRANT, pb.AuthRoleGrantPermissionRequest(name=user, perm=permission))
        await self._add(user)
        await self._grant(user, user)
        return True

    async def forget(self, user: str) -> bool:
        """Take away a user and its role; returns whether there was one.

        The user goes last, so that what was cut short is found again among ``names``.
        """
        await self._unless(_MISSING, _ROLE_DELETE, pb.AuthRoleDeleteRequest(role=user))
        there = await self._unless(_MISSING, _USER_DELETE, pb.AuthUserDeleteRequest(name=user))
        return there is not None

    # --- parts ------------------------------------------------------------------------------------

    async def _add(self, user: str) -> None:
        options = pb.UserAddOptions(no_password=True)
        await self._unless(_EXISTS, _USER_ADD, pb.AuthUserAddRequest(name=user, options=options))

    async def _grant(self, user: str, role: str) -> None:
        if role not in await self._roles(user):
            await self._call(_USER_GRANT, pb.AuthUserGrantRoleRequest(user=user, role=role))

    async def _roles(self, user: str) -> list[str]:
        answer = await self._unless(_MISSING, _USER_GET, pb.AuthUserGetRequest(name=user))
        return [] if answer is None else list(answer.roles)

    async def _prefixes(self, role: str) -> list[bytes]:
        answer = await self._unless(_MISSING, _ROLE_GET, pb.AuthRoleGetRequest(role=role))
        if answer is None:
            return []
        return [
            one.key
            for one in answer.perm
            if one.permType == pb.Permission.READWRITE and one.range_end == prefix_end(one.key)
        ]

    async def _unless(self, text: str, method: Method, request: Any) -> Any:  # noqa: ANN401
        """The answer; None when etcd refuses with that text."""
        try:
            return await self._call(method, request)
        except EtcdRefusedError as error:
            if text not in error.message:
                raise
            return None
