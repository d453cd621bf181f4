"""Define the models of lostromos.yaml, and errors that name file, line and field.

Parsing is strict: an unknown key is an error that suggests the nearest known one. ``${NAME}`` in a string is replaced
by an environment variable only if ``environment`` declares it, and only after YAML has been parsed, so that a value
never becomes structure.
"""

from __future__ import annotations

import pathlib  # noqa: TC003 - pydantic needs it at run time
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import pydantic

from lostromos_core import errors
from lostromos_core import identity as identities
from lostromos_core.configuration import explanations, yamlfile

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lostromos_core import interfaces

_VARIABLE: Final = re.compile(r"\$\$|\$\{(?P<name>[^}]*)\}")
_STRICT: Final = pydantic.ConfigDict(extra="forbid", frozen=True)


def _one_alone(value: interfaces.Anything) -> interfaces.Anything:
    """Require that a back end is chosen by exactly one key."""
    if isinstance(value, dict) and len(value) > 1:
        msg = f"give exactly one of: {', '.join(map(str, value))}"
        raise ValueError(msg)
    if value == {}:
        msg = "give exactly one back end, with its options below it; `lostromos plugins` lists them"
        raise ValueError(msg)
    return value


def _no_bool(value: interfaces.Anything) -> interfaces.Anything:
    """Reject booleans: in Python, true is the number 1."""
    if isinstance(value, bool):
        raise ValueError("expected a number")  # noqa: TRY004 - pydantic catches no TypeError
    return value


Model = TypeVar("Model", bound=pydantic.BaseModel)
Choice = Annotated[
    dict[str, Any],
    pydantic.BeforeValidator(_one_alone),
    pydantic.Field(min_length=1, max_length=1, description="One key, the name of a back end, with its options below."),
]


def _names_alone(value: interfaces.Anything) -> interfaces.Anything:
    """Turn a list of names into a mapping without defaults: all names are required."""
    return dict.fromkeys(value) if isinstance(value, list) and all(isinstance(name, str) for name in value) else value


_STRINGS: Final = {"type": "array", "items": {"type": "string"}}
_NAMES: Final = {"type": "object", "additionalProperties": {"anyOf": [{"type": "string"}, {"type": "null"}]}}
Environment = Annotated[
    dict[str, str | None],
    pydantic.BeforeValidator(_names_alone),
    pydantic.WithJsonSchema({"anyOf": [_NAMES, _STRINGS]}),
]


class ObjectKey(pydantic.BaseModel):
    """Name a ConfigMap or Secret that variables are read from."""

    model_config = _STRICT

    namespace: str
    name: str
    optional: bool = pydantic.Field(default=False, description="Whether it may be absent.")


class VarsSource(pydantic.BaseModel):
    """Configure one source of variables; exactly one of its kinds must be given."""

    model_config = _STRICT

    environment: dict[str, str] | None = pydantic.Field(
        default=None, description="Variable name: environment variable."
    )
    file: pathlib.Path | None = pydantic.Field(default=None, description="A YAML file, relative to this one.")
    config_map: ObjectKey | None = pydantic.Field(default=None, alias="configMap")
    secret: ObjectKey | None = None
    under: str = pydantic.Field(default="", description="Put the variables into a mapping of this name.")

    @pydantic.model_validator(mode="after")
    def _one_kind(self) -> VarsSource:
        given = [kind for kind in (self.environment, self.file, self.config_map, self.secret) if kind is not None]
        if len(given) != 1:
            msg = "give exactly one of environment, file, configMap, secret"
            raise ValueError(msg)
        return self


class LookupConfig(pydantic.BaseModel):
    """Configure what templates may look up beyond a resource's own objects and its namespace."""

    model_config = _STRICT

    namespaces: tuple[str, ...] = pydantic.Field(default=(), description="More namespaces; * means all.")
    secrets: bool = pydantic.Field(default=False, description="Secrets, in all allowed namespaces.")
    cluster_scoped: bool = pydantic.Field(default=False, alias="clusterScoped", description="Cluster-scoped objects.")


class PluginsConfig(pydantic.BaseModel):
    """Configure which plug-ins are loaded."""

    model_config = _STRICT

    disable: tuple[str, ...] = pydantic.Field(default=(), description="Names of installed plug-ins to ignore.")


class ControllerConfig(pydantic.BaseModel):
    """Configure one controller: what is watched, what is rendered for it, and how the result is applied."""

    model_config = _STRICT

    name: str = pydantic.Field(description="Lower-case letters, digits and '-'; part of field managers on the cluster.")
    watch: Choice
    render: Choice | None = pydantic.Field(
        default=None, description="How a resource becomes objects or values; some appliers have a default."
    )
    apply: Choice = pydantic.Field(default_factory=lambda: {"server-side": {}})
    lookup: LookupConfig = pydantic.Field(default_factory=LookupConfig)
    resync: Annotated[float, pydantic.BeforeValidator(_no_bool)] = pydantic.Field(
        default=0.0,
        ge=0,
        allow_inf_nan=False,
        description="Seconds after which a resource is reconciled even if nothing changed; 0: never.",
    )
    concurrency: Annotated[int, pydantic.BeforeValidator(_no_bool)] | None = pydantic.Field(
        default=None, ge=1, le=256, description="Resources reconciled at the same time; by default `workers`."
    )
    deadline: Annotated[float, pydantic.BeforeValidator(_no_bool)] = pydantic.Field(
        default=600.0,
        gt=0,
        allow_inf_nan=False,
        description="Seconds that one reconcile may take, unless its applier needs more.",
    )


class Config(pydantic.BaseModel):
    """Configure an operator: the whole of lostromos.yaml."""

    model_config = _STRICT

    vars: dict[str, Any] = pydantic.Field(
        default_factory=dict, description="Variables that templates see as vars.NAME."
    )
    vars_from: list[VarsSource] = pydantic.Field(
        default_factory=list, alias="varsFrom", description="More variables; a later source overrides an earlier one."
    )
    environment: Environment = pydantic.Field(
        default_factory=dict,
        description="Environment variables that ${NAME} may use, with their defaults (null: required); or a list.",
    )
    workers: Annotated[int, pydantic.BeforeValidator(_no_bool)] = pydantic.Field(
        default=16, ge=1, le=256, description="Resources of each controller that are reconciled at the same time."
    )
    identity: Annotated[str, pydantic.AfterValidator(identities.check)] = pydantic.Field(
        default="",
        description="NAMESPACE/NAME: which operator this is, and its Lease; default: of the Pod's Deployment, or of "
        "the user, the machine and the path of this file.",
    )
    plugins: PluginsConfig = pydantic.Field(default_factory=PluginsConfig)
    controllers: list[ControllerConfig] = pydantic.Field(min_length=1)


class Document:
    """Hold a configuration file as it was read: its data, and the line of each field."""

    def __init__(
        self, path: pathlib.Path, data: interfaces.Anything, lines: Mapping[tuple[str | int, ...], int]
    ) -> None:
        self.path = path
        self.data = data
        self._lines = lines

    @property
    def base(self) -> pathlib.Path:
        """Return the folder that paths in the file are relative to."""
        return self.path.parent

    def error(self, field: Sequence[str | int], message: str) -> errors.ConfigError:
        """Return the error about a field: ``lostromos.yaml:7: controllers[0].watch: ...``."""
        where = f"{yamlfile.dotted(tuple(field))}: " if field else ""
        line = next((self._lines[known] for known in _prefixes(tuple(field)) if known in self._lines), 1)
        return errors.ConfigError(f"{self.path}:{line}: {where}{message}")

    def validate(self, model: type[Model], data: interfaces.Anything, field: Sequence[str | int] = ()) -> Model:
        """Return the data below a field as a model; raises ConfigError for one mistake, unknown keys first."""
        try:
            return model.model_validate(data, context={"base": self.base})
        except pydantic.ValidationError as error:
            found = error.errors(include_url=False)
            first = next((one for one in found if one["type"] == "extra_forbidden"), found[0])
            where = [*field, *(step for step in first["loc"] if step != "[key]")]
            raise self.error(where, explanations.explain(first, model)) from error


def load(path: pathlib.Path, environ: Mapping[str, str]) -> tuple[Config, Document]:
    """Read a configuration file; raises ConfigError with file, line and field."""
    document = _read(path)
    if not isinstance(document.data, dict):
        raise document.error((), "expected a mapping with the key `controllers`; see `lostromos schema`")
    raw = document.data.get("environment")
    declared = document.validate(_Declared, {"environment": raw or {}}).environment
    document.data = _substitute(document, document.data, declared, environ, ())
    return document.validate(Config, document.data), document


class _Declared(pydantic.BaseModel):
    environment: Environment


def _read(path: pathlib.Path) -> Document:
    try:
        documents = yamlfile.parse(yamlfile.read(path))
    except yamlfile.YamlError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            msg = "there is no such file; name the configuration with -c, or create it (see `lostromos schema`)"
            raise errors.ConfigError(f"{path}: {msg}") from error
        raise errors.ConfigError(error.at(path)) from error
    if len(documents) > 1:
        second = documents[1].lines[()]
        raise errors.ConfigError(f"{path}:{second}: a second document begins here; a configuration is one document")
    document = documents[0] if documents else yamlfile.Parsed(None, {})
    return Document(path, document.data, document.lines)


def _substitute(
    document: Document,
    value: interfaces.Json,
    declared: Mapping[str, str | None],
    environ: Mapping[str, str],
    field: tuple[str | int, ...],
) -> interfaces.Json:
    """Return the value with ``${NAME}`` replaced by the variable, and ``$$`` by ``$``."""
    if isinstance(value, dict):
        return {key: _substitute(document, item, declared, environ, (*field, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_substitute(document, item, declared, environ, (*field, index)) for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name = match.group("name")
        if name is None:
            return "$"
        if name not in declared:
            hint = errors.nearest(name, list(declared))
            way_out = f"add {name} to `environment`, or write $${{{name}}} for the literal text"
            raise document.error(field, f"${{{name}}} is not declared; {way_out}{hint}")
        found = environ.get(name, declared[name])
        if found is None:
            raise document.error(
                field, f"the environment variable {name} is not set, and `environment` gives it no default"
            )
        return found

    return _VARIABLE.sub(replace, value)


def _prefixes(field: tuple[str | int, ...]) -> list[tuple[str | int, ...]]:
    return [field[:length] for length in range(len(field), -1, -1)]
