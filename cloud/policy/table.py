"""The one table of what is allowed to whom, from each service's part of it."""

from cloud.policy.compute import COMPUTE
from cloud.policy.identity import IDENTITY
from cloud.policy.image import IMAGE
from cloud.policy.rules import Rules

POLICY: Rules = {**COMPUTE, **IDENTITY, **IMAGE}
