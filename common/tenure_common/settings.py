"""Settings: a frozen struct is the list of them, and this module fills it in.

Each field of the struct is one setting.  Field ``grpc_port`` is the flag ``--grpc-port``, the
variable ``TENURE_GRPC_PORT`` and the key ``grpc-port`` of the TOML file; flag beats variable beats
file beats default.  What nobody knows is an error that names where it stands and what was probably
meant: a misspelt setting must not run an engine with the default.

Everything here but ``read`` is pure: command line, environment and file text are arguments.

One exception to "unknown is an error": Kubernetes gives every pod variables that describe the
Services of its namespace, and a Service called ``tenure`` or ``tenure-grpc`` makes ``TENURE_PORT``
or ``TENURE_GRPC_PORT=tcp://10.0.0.7:50001`` of its own accord.  Variables of that shape are not
ours.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NamedTuple,
    NoReturn,
    TypeVar,
    get_args,
    get_origin,
)

import msgspec

from tenure_common.errors import BadSettingError
from tenure_common.names import VARIABLE_PREFIX, VARIABLE_SERVER

T = TypeVar("T", bound=msgspec.Struct)

_SERVICE_LINK: Final = re.compile(
    r"_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$"
)
_SERVICE_URL: Final = re.compile(r"^(tcp|udp|sctp)://")
_KINDS: Final[Mapping[object, str]] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
}


class Setting(NamedTuple):
    """One setting, as the struct declares it."""

    field: str
    kind: Any  # the field's type, with its constraints
    default: Any
    help: str

    @property
    def key(self) -> str:
        """Its key in the file."""
        return self.field.replace("_", "-")

    @property
    def flag(self) -> str:
        """Its flag."""
        return f"--{self.key}"

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return f"{VARIABLE_PREFIX}{self.field.upper()}"

    @property
    def plain(self) -> object:
        """The type without its constraints."""
        return get_args(self.kind)[0] if get_origin(self.kind) is Annotated else self.kind


# Where the file is stands in no file, so it is a setting of this module's own.
CONFIG: Final = Setting("config", str, "", "TOML file with any of these settings.")


class CommandLine(NamedTuple):
    """What stood on the command line: flags, and the words after ``--``."""

    flags: Mapping[str, str]
    rest: tuple[str, ...]
    help: bool


def settings_of(struct: type[msgspec.Struct], *, without: Collection[str] = ()) -> list[Setting]:
    """The settings that ``struct`` declares, in order; ``without`` are fields that are none.

    The help text is the description of the field's ``msgspec.Meta``.
    """
    found: list[Setting] = []
    for field in msgspec.structs.fields(struct):
        if field.name in without:
            continue
        metas = [m for m in get_args(field.type)[1:] if isinstance(m, msgspec.Meta)]
        text = next((m.description for m in metas if m.description), "")
        found.append(Setting(field.name, field.type, field.default, text))
    return found


def parse(argv: Sequence[str], settings: Sequence[Setting]) -> CommandLine:
    """Flags: ``--name VALUE``, ``--name=VALUE``; for a truth value also ``--name``, ``--no-name``.

    Raises: BadSettingError.
    """
    known = {s.flag: s for s in (*settings, CONFIG)}
    negated = {f"--no-{s.key}": s for s in settings if s.plain is bool}
    flags: dict[str, str] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        if word == "--":
            return CommandLine(flags, tuple(words), help=False)
        if word in {"-h", "--help"}:
            return CommandLine(flags, (), help=True)
        name, equals, value = word.partition("=")
        if name in negated and not equals:
            flags[negated[name].field] = "false"
            continue
        setting = known.get(name)
        if setting is None:
            _refuse(f"flag {name}", name, [*known, *negated])
        if not equals and setting.plain is bool:
            value = "true"
        elif not equals:
            if not words or words[0] == "--":
                message = f"flag {name} needs a value"
                raise BadSettingError(message)
            value = words.pop(0)
        flags[setting.field] = value
    return CommandLine(flags, (), help=False)


def config_path(flags: Mapping[str, str], env: Mapping[str, str]) -> str | None:
    """The settings file that ``--config`` or TENURE_CONFIG names."""
    return flags.get(CONFIG.field) or env.get(CONFIG.variable) or None


def read(path: str | None) -> str | None:
    """The text of the settings file; None when there is none.  Raises: BadSettingError.

    The one function here that touches the outside.
    """
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        message = f"cannot read the settings file '{path}': {reason}"
        raise BadSettingError(message) from error


def resolve(  # noqa: PLR0913 - the sources are the arguments
    struct: type[T],
    *,
    flags: Mapping[str, str],
    env: Mapping[str, str],
    file: str | None = None,
    file_name: str = "the settings file",
    given: Mapping[str, Any] | None = None,
    elsewhere: Iterable[str] = (),
) -> T:
    """The settings: each from the first of flag, variable, file and default that has it.

    Args:
        struct: declares the settings.
        flags: field to text, as ``parse`` returns them.
        env: the process's environment.
        file: the text of the TOML file, None when there is none.
        file_name: what error messages call it.
        given: fields that are no settings (the app's command), set as they are.
        elsewhere: fields that other commands know: they may stand in the environment and the file,
            because one file serves all commands, and are ignored.

    Raises: BadSettingError, naming the flag, variable or key.
    """
    given = given or {}
    settings = settings_of(struct, without=given)
    others = {field for field in elsewhere if field not in {s.field for s in settings}}
    variables = _variables(env, settings, others)
    keys = _keys(file, file_name, settings, others)
    values: dict[str, object] = dict(given)
    for setting in settings:
        if setting.field in flags:
            values[setting.field] = _from_text(
                setting, flags[setting.field], f"flag {setting.flag}"
            )
        elif setting.field in variables:
            where = f"variable {setting.variable}"
            values[setting.field] = _from_text(setting, variables[setting.field], where)
        elif setting.field in keys:
            where = f"key '{setting.key}' in {file_name}"
            values[setting.field] = _convert(setting, keys[setting.field], where, strict=True)
        elif setting.default is msgspec.NODEFAULT:
            message = f"{setting.flag} (or {setting.variable}) must be given"
            raise BadSettingError(message)
    return struct(**values)


def help_of(settings: Sequence[Setting]) -> str:
    """The flags, one paragraph each, with variable and default."""
    lines: list[str] = []
    for setting in (*settings, CONFIG):
        kind = "" if setting.plain is bool else f" {_placeholder(setting)}"
        default = setting.default
        if isinstance(default, bool):
            default = str(default).lower()
        shown = "required" if default is msgspec.NODEFAULT else f"default {default!s}"
        shown = "no default" if default in {"", None} else shown
        lines.append(f"  {setting.flag}{kind}")
        lines.append(f"      {setting.help or 'no description'} [{setting.variable}; {shown}]")
    return "\n".join(lines)


def _placeholder(setting: Setting) -> str:
    if get_origin(setting.plain) is Literal:
        return "|".join(get_args(setting.plain))
    return "N" if setting.plain is int else "SECONDS" if setting.plain is float else "TEXT"


def _variables(
    env: Mapping[str, str], settings: Sequence[Setting], others: Collection[str]
) -> dict[str, str]:
    known = {s.variable: s for s in settings}
    passed = {
        CONFIG.variable,
        VARIABLE_SERVER,
        *(f"{VARIABLE_PREFIX}{field.upper()}" for field in others),
    }
    found: dict[str, str] = {}
    for name, value in env.items():
        if not name.startswith(VARIABLE_PREFIX) or name in passed or not value:
            continue  # a variable that is set to nothing is not set: templates leave such
        setting = known.get(name)
        if setting is not None:
            if not (setting.plain is int and _SERVICE_URL.match(value)):
                found[setting.field] = value
        elif not _SERVICE_LINK.search(name):
            _refuse(f"variable {name}", name, known)
    return found


def _keys(
    file: str | None, file_name: str, settings: Sequence[Setting], others: Collection[str]
) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        document = tomllib.loads(file)
    except tomllib.TOMLDecodeError as error:
        message = f"{file_name} is not TOML: {error}"
        raise BadSettingError(message) from error
    known = {s.key: s for s in settings}
    passed = {field.replace("_", "-") for field in others}
    for key in document:
        if key not in known and key not in passed:
            _refuse(f"key '{key}' in {file_name}", key.replace("_", "-"), known)
    return {known[key].field: value for key, value in document.items() if key in known}


def _from_text(setting: Setting, text: str, where: str) -> object:
    if get_origin(setting.plain) is tuple:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        return _convert(setting, parts, where, strict=False)
    return _convert(setting, text, where, strict=False)


def _convert(setting: Setting, value: object, where: str, *, strict: bool) -> object:
    # A file has types of its own, and they count: "8080" in quotes is not a port.
    try:
        return msgspec.convert(value, setting.kind, strict=strict)
    except msgspec.ValidationError as error:
        message = f"{where}: {value!r} will not do: {_reason(setting, str(error))}"
        raise BadSettingError(message) from error


def _reason(setting: Setting, text: str) -> str:
    choices = get_args(setting.plain)
    if get_origin(setting.plain) is Literal:
        return f"it must be one of {', '.join(choices)}"
    bound = re.match(r"Expected `[a-z]+` ([<>=]+ .*)", text)
    if bound is not None:
        return f"it must be {bound[1]}"
    kind = _KINDS.get(setting.plain)
    return text if kind is None else f"it must be {kind}"


def _refuse(what: str, name: str, known: Iterable[str]) -> NoReturn:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]}?" if close else ""
    message = f"{what} is not known{hint}"
    raise BadSettingError(message)
