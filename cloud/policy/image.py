"""Whom the actions of the image service are for."""

from cloud.policy.rules import Rule, Rules

IMAGE: Rules = {
    "image:versions:list": Rule.ANYBODY,
    "image:schemas:show": Rule.USER,
    "image:images:list": Rule.USER,  # each sees what `show` and `show_public` let through
    "image:images:show": Rule.PROJECT_OR_SERVICE,
    "image:images:show_public": Rule.USER,
    "image:images:create": Rule.PROJECT,
    "image:images:update": Rule.PROJECT,
    "image:images:upload": Rule.PROJECT_OR_SERVICE,
    "image:images:delete": Rule.PROJECT_OR_SERVICE,
    "image:images:publicize": Rule.ADMIN,
    "image:images:give_away": Rule.ADMIN,  # to another project, or to none
}
"""By action; `PROJECT` is the image's owner. Whoever may see an image may download it."""
