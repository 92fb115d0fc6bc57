"""How figures are written."""

from django import template

register = template.Library()


@register.filter
def figure(number: int) -> str:
    """A number with its thousands apart."""
    return f"{number:,}"
