"""The table of fields that a report may contain.

The schema, the refusals, the statistics, the filters and the docs are all derived from FIELDS.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Field:
    """One field of a report's `version`: a string of printable ASCII characters."""

    name: str
    label: str  # what a reader calls it
    limit: int  # characters
    example: str
    meaning: str
    purpose: str
    required: bool = False
    counted_as: str | None = None  # its breakdown in the statistics; None: validated, not stored

    @property
    def rule(self) -> str:
        """Return what a refusal says the field must be."""
        null = "" if self.required else ", or null or left out"
        return f"a string of at most {self.limit} printable ASCII characters{null}"


FIELDS = (
    Field(
        name="app",
        label="version",
        limit=128,
        example="0.91.0",
        meaning="the version of the application, as it calls itself",
        purpose="to see which releases are still in use",
        required=True,
        counted_as="versions",
    ),
    Field(
        name="sha",
        label="commit",
        limit=64,
        example="f8d09c9",
        meaning="the git commit that the application was built from",
        purpose="not used; the published format requires it",
        required=True,
    ),
    Field(
        name="image",
        label="image",
        limit=255,
        example="ghcr.io/manyfold3d/manyfold",
        meaning="the name of the container image, without its tag",
        purpose="to see which container images are worth building",
        counted_as="images",
    ),
    Field(
        name="arch",
        label="architecture",
        limit=64,
        example="x86_64-linux",
        meaning="the platform: the processor and the C library of the system",
        purpose="to see which processors the application has to support",
        counted_as="architectures",
    ),
)
# The counted fields by name, each with its breakdown.
COUNTED = {field.name: field.counted_as for field in FIELDS if field.counted_as}
