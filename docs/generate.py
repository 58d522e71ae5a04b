"""Write the parts of the reference that follow from the code.

What stands above the line ``<!-- generated -->`` in a page is written by hand, what stands below it is
written here.  ``--check`` writes nothing and fails when a page is out of date.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
import yaml

from tenure_cli.commands import VERBS
from tenure_cli.group import tenure
from tenure_common.settings import settings_of
from tenure_operator.config import Config as OperatorConfig
from tenure_sidecar.config import Config, GatewayConfig, SidecarConfig
from tenure_sidecar.http.manage.openapi import build

REFERENCE = Path(__file__).resolve().parent / "reference"
CRDS = REFERENCE.parents[1] / "crds"
MARK = "<!-- generated -->\n"

Schema = Mapping[str, Any]

# Errors that any request can meet; the page says so once.
EVERYWHERE = ("TN0711", "TN0712", "TN0713", "TN0405", "TN0109", "TN0201", "TN0004")


def management_api() -> str:
    """The routes and the types of the management API."""
    document = build()
    lines = ["## Requests", ""]
    for path, item in document["paths"].items():
        for method, operation in item.items():
            lines += _operation(method.upper(), path, operation)
    lines += ["## Types", ""]
    for name, schema in document["components"]["schemas"].items():
        lines += _type(name, schema)
    return "\n".join(lines).rstrip() + "\n"


def _operation(method: str, path: str, operation: Schema) -> list[str]:
    lines = [f"### {operation['operationId']}", "", f"`{method} {path}`", ""]
    lines += [_text(operation["summary"]), ""]
    if "description" in operation:
        lines += [_text(operation["description"]), ""]
    rows = [_parameter(one) for one in operation["parameters"] if one["in"] != "path"]
    if rows:
        lines += ["| parameter | | |", "|---|---|---|", *rows, ""]
    if "requestBody" in operation:
        (content,) = operation["requestBody"]["content"].values()
        lines += [f"Body: {_kind(content['schema'])}.", ""]
    answers: list[str] = []
    errors: list[str] = []
    for status, response in operation["responses"].items():
        (content,) = response["content"].values()
        if int(status) >= 400:  # noqa: PLR2004 - where errors begin
            errors += [
                f"{status} [{code}](../errors/{code}.md)"
                for code in re.findall(r"TN\d{4}", response["description"])
                if code not in EVERYWHERE
            ]
        else:
            answers.append(f"{status} {_kind(content['schema'])}")
    said = f"Answers: {'; '.join(answers)}."
    if errors:
        said += f" Errors: {', '.join(errors)}."
    return [*lines, said, ""]


def _parameter(parameter: Schema) -> str:
    schema = parameter["schema"]
    name = parameter["name"]
    where = " (header)" if parameter["in"] == "header" else ""
    return f"| `{name}`{where} | {_kind(schema)} | {_cell(parameter.get('description', ''))} |"


def _type(name: str, schema: Schema) -> list[str]:
    lines = [f"### {name}", ""]
    if "description" in schema:
        lines += [_text(schema["description"]), ""]
    if "enum" in schema:
        return [*lines, f"One of {_kind(schema)}.", ""]
    if "anyOf" in schema:
        return [*lines, f"One of {', '.join(_kind(one) for one in schema['anyOf'])}.", ""]
    required = schema.get("required", ())
    lines += ["| field | | |", "|---|---|---|"]
    for field, kind in schema.get("properties", {}).items():
        must = "required. " if field in required else ""
        about = _cell(must + kind.get("description", _inner(kind)))
        lines.append(f"| `{field}` | {_kind(kind)} | {about} |")
    return [*lines, ""]


def _inner(schema: Schema) -> str:
    found = [one["description"] for one in schema.get("anyOf", ()) if "description" in one]
    return found[0] if found else ""


def _kind(schema: Schema) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(
            _kind(one) for one in schema["anyOf"] if one != {"type": "null"}
        ) + _default(schema)
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"]) + _default(schema)
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if schema.get("type") == "object" and "additionalProperties" in schema:
        return f"mapping to {_kind(schema['additionalProperties'])}"
    bounds = [
        f"{sign} {schema[key]}"
        for key, sign in (
            ("minimum", ">="),
            ("exclusiveMinimum", ">"),
            ("maximum", "<="),
            ("minLength", "length >="),
            ("maxLength", "length <="),
        )
        if key in schema
    ]
    return " ".join([schema.get("type", "any JSON"), *bounds]) + _default(schema)


def _default(schema: Schema) -> str:
    default = schema.get("default")
    if default is None or default in ("", [], {}):
        return ""
    shown = str(default).lower() if isinstance(default, bool) else default
    return f", default `{shown}`"


def _text(text: str) -> str:
    return "\n\n".join(" ".join(part.split()) for part in text.replace("``", "`").split("\n\n"))


def _cell(text: str) -> str:
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def command_line() -> str:
    """Every verb of ``tenure``, as its help says it."""
    lines: list[str] = []
    context = click.Context(tenure, info_name="tenure")
    for name in VERBS:
        command = tenure.get_command(context, name)
        if command is None:
            raise KeyError(name)
        own = click.Context(command, info_name=name, parent=context)
        lines += [f"## tenure {name}", "", _text(command.help or ""), ""]
        if command.epilog:
            lines += ["```sh", command.epilog.removeprefix("Example: "), "```", ""]
        words = command.collect_usage_pieces(own)
        lines += [f"`{' '.join(['tenure', name, *words])}`", ""]
        rows = [_flag(one, own) for one in command.get_params(own) if isinstance(one, click.Option)]
        if any(rows):
            lines += ["| | |", "|---|---|", *[row for row in rows if row], ""]
    return "\n".join(lines).rstrip() + "\n"


def _flag(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    if record is None or "--help" in option.opts:
        return ""
    flag, about = record
    return f"| `{_cell(flag)}` | {_cell(about)} |"


def settings() -> str:
    """The settings of the commands that run on; each is told once, by the first that has it."""
    lines: list[str] = []
    told: dict[str, str] = {}
    for command, struct in (
        ("dev", Config),
        ("sidecar", SidecarConfig),
        ("gateway", GatewayConfig),
        ("operator", OperatorConfig),
    ):
        lines += [f"## All of tenure {command}", "", "| | default | |", "|---|---|---|"]
        same: list[str] = []
        for one in settings_of(struct, without=("command",)):
            row = f"| `{one.flag}` | {_set(one.default)} | {_cell(one.help)} |"
            if told.setdefault(row, command) == command:
                lines.append(row)
            else:
                same.append(f"`{one.flag}`")
        lines.append("")
        if same:
            lines += [f"As above: {', '.join(same)}.", ""]
    return "\n".join(lines).rstrip() + "\n"


def _set(default: object) -> str:
    if default is msgspec.NODEFAULT:
        return "must be given"
    if default in ("", ()):
        return ""
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def resources() -> str:
    """Every kind of resource, field by field."""
    lines: list[str] = []
    for path in sorted(CRDS.glob("*.yaml")):
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8")):
            if one["kind"] == "CustomResourceDefinition":
                lines += _resource(one["spec"])
    return "\n".join(lines).rstrip() + "\n"


def _resource(definition: Schema) -> list[str]:
    names = definition["names"]
    (version,) = definition["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    spec, status = schema["properties"]["spec"], schema["properties"]["status"]
    short = ", ".join(f"`{name}`" for name in names["shortNames"])
    columns = ", ".join(
        one["name"] + (" (wide)" if one.get("priority") else "")
        for one in version["additionalPrinterColumns"]
    )
    return [
        *(f"## {names['kind']}", "", _text(schema["description"]), ""),
        *(f"Short name: {short}. Columns: {columns}.", ""),
        *(f"### {names['kind']}: spec", "", _text(spec["description"]), ""),
        *("| field | | |", "|---|---|---|", *_fields(spec), ""),
        *("Besides types and bounds, the API server checks, and says:", ""),
        *(f"* `{rule}`" for rule in _rules(schema)),
        *("", f"### {names['kind']}: status", "", _text(status["description"]), ""),
        *("| field | | |", "|---|---|---|", *_fields(status), ""),
    ]


def _fields(schema: Schema, above: str = "") -> list[str]:
    """A row for each field, those inside it below it."""
    rows: list[str] = []
    for name, field in schema.get("properties", {}).items():
        path = above + name
        must = "required. " if name in schema.get("required", ()) else ""
        about = _cell(must + field["description"])
        rows.append(f"| `{path}` | {_value(field)} | {about} |")
        rows += _fields(field, f"{path}.")
        rows += _fields(field.get("items", {}), f"{path}[].")
    return rows


def _value(field: Schema) -> str:
    if field.get("format") == "date-time":
        return "time"
    if "properties" in field.get("items", {}):
        return "list"
    return _kind(field).replace("any JSON", "any")


def _rules(schema: Schema) -> list[str]:
    """What the rules of a schema and of all inside it say, each once."""
    found = [" ".join(one["message"].split()) for one in schema.get("x-kubernetes-validations", ())]
    for inside in (*schema.get("properties", {}).values(), schema.get("items", {})):
        found += _rules(inside) if inside else []
    return list(dict.fromkeys(found))


PAGES: dict[str, Callable[[], str]] = {
    "cli.md": command_line,
    "management-api.md": management_api,
    "resources.md": resources,
    "settings.md": settings,
}


def page(name: str) -> str:
    """The whole page ``name`` as it should be."""
    written, mark, _ = (REFERENCE / name).read_text(encoding="utf-8").partition(MARK)
    if not mark:
        message = f"{name} has no line {MARK.strip()}"
        raise ValueError(message)
    return f"{written}{MARK}\n{PAGES[name]()}"


def main() -> int:
    """Write the pages, or look whether they are up to date."""
    stale = [name for name in PAGES if (REFERENCE / name).read_text("utf-8") != page(name)]
    if "--check" in sys.argv:
        for name in stale:
            print(f"docs/reference/{name} is out of date: run python docs/generate.py")
        return int(bool(stale))
    for name in stale:
        (REFERENCE / name).write_text(page(name), encoding="utf-8")
        print(f"wrote docs/reference/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
