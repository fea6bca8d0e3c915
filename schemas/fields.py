"""The marshmallow fields that check input. Each error message is one sentence with the field's name and what to do."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import ValidationError, fields

from governance.domain.limits import money
from governance.domain.limits.limit import MAX_COUNT
from governance.domain.names import MAX_NAME, has_control, hidden_in


class BaseField(fields.Field[Any]):
    """A field whose error messages contain its name in place of `{field}`."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's own idiom
        "required": "Give {field}: it is required.",
        "null": "Give {field} a value, or leave it out: it cannot be null.",
    }

    def make_error(self, key: str, **kwargs: Any) -> ValidationError:
        """Return the error for a fault. It contains the name of the field."""
        return super().make_error(key, field=self.data_key or self.name, **kwargs)

    def parse(self, value: Any) -> Any:
        """Return the loaded value, like `deserialize` for a field without validators. Raises ValidationError."""
        return self._deserialize(value, None, None)


class Text(BaseField):
    """Text of `least` to `most` characters, without control characters. Spaces at both ends are removed."""

    default_error_messages = {  # noqa: RUF012
        "text": "Give {field} as text.",
        "length": "Give {field} {least} to {most} characters.",
        "control": "Take the control characters out of {field}.",
    }

    def __init__(self, *, least: int = 0, most: int = MAX_NAME, **kwargs: Any) -> None:
        self.least, self.most = least, most
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        if not isinstance(value, str):
            raise self.make_error("text")
        text = value.strip()
        if not self.least <= len(text) <= self.most:
            raise self.make_error("length", least=self.least, most=self.most)
        if not text.isprintable() and has_control(text):
            raise self.make_error("control")
        return text


class Name(Text):
    """A name or an id: 1 to 255 visible characters."""

    default_error_messages = {  # noqa: RUF012
        "hidden": "Take {character} out of {field}: it cannot be seen, and another name would look the same.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=1, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        name = super()._deserialize(value)
        character = None if name.isascii() else hidden_in(name)
        if character:
            raise self.make_error("hidden", character=character)
        return name


class Provider(Name):
    """The name of a provider. `*` is refused, because a limit on the provider `*` would match no call."""

    default_error_messages = {"star": "Leave {field} out to mean all providers: '*' is not one."}  # noqa: RUF012

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> str:
        provider = super()._deserialize(value)
        if provider == "*":
            raise self.make_error("star")
        return provider


class OneOf(BaseField):
    """A text that must be a key of `choices`. The loaded value is the value of this key in `choices`."""

    default_error_messages = {"choice": "Give {field} as one of {choices}."}  # noqa: RUF012

    def __init__(self, choices: Mapping[str, Any], **kwargs: Any) -> None:
        self.choices = choices
        super().__init__(**kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> Any:
        if not isinstance(value, str) or value not in self.choices:
            raise self.make_error("choice", choices=", ".join(self.choices))
        return self.choices[value]


class Boolean(BaseField):
    """A JSON boolean."""

    default_error_messages = {"flag": "Give {field} as true or false."}  # noqa: RUF012

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("flag")
        return value


class Number(BaseField):
    """A JSON number from `least` to `most`. The range is checked before the number is converted."""

    default_error_messages = {  # noqa: RUF012
        "number": "Give {field} as a number.",
        "range": "Give {field} as a number from {least} to {most}.",
        "whole": "Give {field} as a whole number, without a decimal point or exponent.",
    }

    def __init__(self, *, least: int, most: int, **kwargs: Any) -> None:
        self.least, self.most = least, most
        super().__init__(**kwargs)

    def _ranged(self, value: Any) -> int | Decimal:
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise self.make_error("number")
        if not self.least <= value <= self.most:
            raise self.make_error("range", least=self.least, most=self.most)
        return value


class Integer(Number):
    """A whole number, written without a decimal point or exponent."""

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number = self._ranged(value)
        if not isinstance(number, int):
            raise self.make_error("whole")
        return number


class Maximum(Integer):
    """The maximum of tokens or requests in a rate limit."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=1, most=MAX_COUNT, **kwargs)


class Dollars(Number):
    """The maximum of a budget: dollars with at most 9 decimals. The loaded value is in billionths of a dollar."""

    default_error_messages = {  # noqa: RUF012
        "range": "Give {field} as a number of dollars above 0 and at most {most}.",
        "decimals": "Give {field} with at most 9 decimals: money is kept to the billionth of a dollar.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(least=0, most=money.MAX_LIMIT // money.NANOS, **kwargs)

    def _deserialize(self, value: Any, *_: Any, **__: Any) -> int:
        number = self._ranged(value)
        if number == 0:
            raise self.make_error("range", most=self.most)
        nanos, exact = money.nanos(number, money.MAX_LIMIT)
        if not exact:
            raise self.make_error("decimals")
        return nanos


class BoundedList(fields.List[Any]):
    """A list of at most `most` items. A longer list is refused before its items are loaded."""

    def __init__(self, inner: fields.Field[Any], *, most: int, **kwargs: Any) -> None:
        self.most = most
        super().__init__(inner, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if isinstance(value, list) and len(value) > self.most:
            raise self.make_error("most")
        return super()._deserialize(value, *args, **kwargs)


class ReadOnly(fields.Raw):
    """A field that clients cannot set. It is ignored in input, so that a client can send back a whole response."""

    def __init__(self) -> None:
        super().__init__(load_only=True, allow_none=True)


class Unsupported(BaseField):
    """A field of the gateway Bifrost that this service does not store. It is refused, unless it is empty."""

    def __init__(self, reason: str) -> None:
        super().__init__(metadata={"description": reason.format(field="it")}, error_messages={"kept": reason})

    def _deserialize(self, *_: Any, **__: Any) -> Any:
        raise self.make_error("kept")
