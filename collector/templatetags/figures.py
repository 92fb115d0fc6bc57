"""How figures are written."""

from django import template

register = template.Library()


@register.filter
def figure(number: int | str) -> str:
    """A number with its thousands apart; a text as it is."""
    return f"{number:,}" if isinstance(number, int) else number
