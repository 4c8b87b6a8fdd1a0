"""Settings as they are given: a TOML file, the environment over it, and everything that is wrong with them at once.

`RADGATE__SECTION__KEY=value` overrides `[section] key`; lists are given with commas. What a newcomer gets wrong: one
underscore where two are meant would be ignored in silence, so that every other name that begins with `RADGATE_` is refused.
"""

import copy
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

from pydantic import BaseModel, SecretStr, ValidationError

from gateway.settings import Problem, Settings, SettingsError
from gateway.settings_checks import contradictions

ENVIRONMENT = "RADGATE__"
OTHER_NAMES = frozenset(
    {
        "RADGATE_CONFIG", "RADGATE_DATA",  # of the command line
        "RADGATE_DOCUMENT", "RADGATE_FILE", "RADGATE_PATIENT", "RADGATE_PEER", "RADGATE_STUDY", "RADGATE_TITLE",
        "RADGATE_WHAT",  # these of `radgate conformance run --provoke`
        "RADGATE_BENCH_ROWS", "RADGATE_SCREENSHOTS", "RADGATE_SEED", "RADGATE_SOAK", "RADGATE_STANDARDS",  # of the tests
    }
)  # fmt: skip
GIVEN_BY_KUBERNETES = re.compile(
    r"RADGATE_(SERVICE_|PORT(_|$))"
)  # to every pod beside a service that is called radgate
LISTS_OF_TABLES = frozenset({"issuer", "peer", "repository", "rule"})

CONSEQUENCES = (
    (r"tls\.(certificate|key)", r"listen\.(host|base_url)|peer\.\d+\.send_assertion"),
    (r"listen\.host", r"access\."),
    (r"issuer|assertion", r"peer\.\d+\.(assertion|issuers|send_assertion)"),
    (r"peer\.\d+\.(name|endpoint)", r"rule\."),
)
"""Where a key (left) cannot be read, what seems wrong with others (right) may only follow from that."""

WORDS: Mapping[str, tuple[str, str]] = {
    "extra_forbidden": ("is not a setting", "`radgate config init` writes a file with every setting explained"),
    "missing": ("is missing", "Add it"),
    "string_type": ("is not text", 'Write it as "..."'),
    "path_type": ("is not a path", 'Write it as "..."'),
    "is_instance_of": ("is not an OID", 'Write it as "1.2.3"'),
    **dict.fromkeys(
        ("int_type", "int_parsing", "int_from_float", "int_parsing_size"),
        ("is not a whole number", "Write digits without quotes"),
    ),
    **dict.fromkeys(("float_type", "float_parsing"), ("is not a number", "Write digits without quotes")),
    "finite_number": ("is not a finite number", "Write one that ends"),
    **dict.fromkeys(("bool_type", "bool_parsing"), ("is neither true nor false", "Write true or false")),
    **dict.fromkeys(("tuple_type", "frozen_set_type"), ("is not a list", 'Write ["...", "..."]')),
    **dict.fromkeys(
        ("model_type", "model_attributes_type", "mapping_type", "dict_type"),
        ("is not a table", "`radgate config init` shows what belongs there"),
    ),
    **dict.fromkeys(("literal_error", "enum"), ("is not one of them", "Write {expected}")),
    "greater_than": ("is too small", "Write more than {gt}"),
    "greater_than_equal": ("is too small", "Write {ge} or more"),
    "less_than": ("is too large", "Write less than {lt}"),
    "less_than_equal": ("is too large", "Write {le} or less"),
    "string_too_long": ("is too long", "Write at most {max_length} characters"),
    "string_too_short": ("is empty", "Write at least {min_length} characters"),
    "string_pattern_mismatch": ("is empty", "Write something that is seen"),
    "too_short": ("is empty", "Name at least {min_length}"),
}
"""What the validator finds, and what helps, as an operator would say it."""


def load(path: Path | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read a file (None: defaults only) and the environment over it; relative paths are relative to the file.

    Raises:
        SettingsError: With every problem that was found.
    """
    tables = _tables(path)
    problems = list(_overridden(tables, environment))
    settings, unread = _validated(tables)
    problems += unread
    if settings is not None:
        settings = _anchored(settings, path.parent if path is not None else Path())
        problems += [each for each in contradictions(settings) if not _follows(each.key, unread)]
    if settings is None or problems:
        raise SettingsError(tuple(problems))
    return settings


def _follows(key: str, unread: Iterable[Problem]) -> bool:
    """Whether it may be only because others of its table, or those on which it depends, could not be read."""
    return any(
        key.startswith(re.sub(r"^(\w+(?:\.\d+)?).*", r"\1.", each.key))
        or any(re.match(cause, each.key) and re.match(effect, key) for cause, effect in CONSEQUENCES)
        for each in unread
    )


def _tables(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(
            (Problem(str(path), "there is no such file", "`radgate config init` writes one"),)
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError((Problem(str(path), f"cannot be read: {error}", "Mend the file"),)) from None


def _overridden(tables: dict[str, Any], environment: Mapping[str, str]) -> Iterator[Problem]:
    """Put the environment's values over the file's; yields the names that mean nothing."""
    for name, value in environment.items():
        if not name.startswith(ENVIRONMENT):
            if name.startswith("RADGATE_") and name not in OTHER_NAMES and not GIVEN_BY_KUBERNETES.match(name):
                yield Problem(name, "is not a setting", f"Write {ENVIRONMENT}SECTION__KEY, with two underscores")
            continue
        names = name.removeprefix(ENVIRONMENT).lower().split("__")
        if names[0] in LISTS_OF_TABLES:
            yield Problem(name, "such tables are only read from the file", f"Write it below [[{names[0]}]]")
        else:
            _override(tables, names, value)


def _override(tables: dict[str, Any], names: list[str], value: str) -> None:
    *sections, key = names
    for section in sections:
        tables = tables.setdefault(section, {})
        if not isinstance(tables, dict):  # which is told when the tables are read
            return
    tables[key] = [each.strip() for each in value.split(",") if each.strip()] if _is_list(names) else value


def _is_list(names: list[str]) -> bool:
    kind: Any = Settings
    for name in names:
        field = kind.model_fields.get(name) if isinstance(kind, type) and issubclass(kind, BaseModel) else None
        if field is None:
            return False
        kind = field.annotation
    return get_origin(kind) in {tuple, frozenset}


def _validated(tables: dict[str, Any]) -> tuple[Settings | None, list[Problem]]:
    """The settings, without the values that cannot be read, and why they cannot. None: nothing is left to look at."""
    try:
        return Settings.model_validate(tables), []
    except ValidationError as error:
        problems = list(_problems(error))
        rest = copy.deepcopy(tables)
        try:
            for each in error.errors():
                _take_out(rest, each["loc"])
            return Settings.model_validate(rest), problems
        except (ValidationError, LookupError, TypeError):
            return None, problems


def _take_out(tables: Any, way: tuple[int | str, ...]) -> None:
    *steps, key = way
    if len(way) == 2 and isinstance(key, int):
        raise LookupError("the tables behind it would have other numbers")
    for step in steps:
        tables = tables[step]
    del tables[key]


def _problems(error: ValidationError) -> Iterator[Problem]:
    for each in error.errors():
        key = ".".join(str(part) for part in each["loc"])
        reason, cure = WORDS.get(each["type"], (each["msg"].removeprefix("Value error, "), "Change its value"))
        yield Problem(key, reason, cure.format(**each.get("ctx", {})) if each["type"] in WORDS else cure)


def _anchored(settings: Settings, folder: Path) -> Settings:
    """Make relative paths relative to the file that names them."""

    def at(path: Path | None) -> Path | None:
        return None if path is None else (folder / path).absolute()

    tls = settings.tls.model_copy(
        update={
            "certificate": at(settings.tls.certificate),
            "key": at(settings.tls.key),
            "trust": tuple(folder / each for each in settings.tls.trust),
        }
    )
    return settings.model_copy(
        update={
            "house": settings.house.model_copy(update={"data": at(settings.house.data)}),
            "affinity_domain": settings.affinity_domain.model_copy(
                update={"code_sets": at(settings.affinity_domain.code_sets)}
            ),
            "tls": tls,
            "store": settings.store.model_copy(update={"url": _anchored_url(settings.store.url, folder)}),
            "retention": settings.retention.model_copy(update={"raw_key": at(settings.retention.raw_key)}),
            "assertion": settings.assertion.model_copy(
                update={"certificate": at(settings.assertion.certificate), "key": at(settings.assertion.key)}
            ),
            "issuer": tuple(
                issuer.model_copy(update={"certificates": tuple(folder / each for each in issuer.certificates)})
                for issuer in settings.issuer
            ),
            "audit": settings.audit.model_copy(
                update={"syslog_trust": tuple(folder / each for each in settings.audit.syslog_trust)}
            ),
            "peer": tuple(peer.model_copy(update={"certificate": at(peer.certificate)}) for peer in settings.peer),
        }
    )


def _anchored_url(url: SecretStr | None, folder: Path) -> SecretStr | None:
    """The file of an SQLite address is a path like the others."""
    scheme, told, path = url.get_secret_value().partition(":///") if url is not None else ("", "", "")
    if scheme.partition("+")[0] != "sqlite" or not path or path.startswith((":", "?", "/")):
        return url
    return SecretStr(f"{scheme}{told}{(folder / path).absolute()}")
